"""What a suite asks for and nobody measured: by name, with the reason."""

from collections.abc import Sequence

from tongues.core.languages import language
from tongues.core.scores import TOGETHER, Scores

_OUT_OF_THE_SOURCE = ("translation",)
"""Tasks that have nothing in the source language."""


def not_measured(scores: Sequence[Scores]) -> list[tuple[str, str]]:
    """Sets that could not be loaded, then sets without items in some languages of the recipe.

    Args:
        scores: of all models, at least one; a set is named once.

    Returns:
        Set, or set/language, and why; empty where everything was measured.
    """
    named = {name: reason for one in scores for name, reason in sorted(one.unmeasured.items())}
    found = list(named.items())
    for task, langs in sorted(_measured_in(scores[-1]).items()):
        missing = [
            language(lang).name
            for lang in _wanted(scores[-1], task)
            if lang not in langs and f"{task}/{lang}" not in named
        ]
        found += [(task, f"no items in {', '.join(missing)}")] if missing else []
    return found


def _measured_in(scores: Scores) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, measurement in scores.measurements.items():
        task, lang, _ = name.split("/", 2)
        if lang != TOGETHER and measurement.n:
            found.setdefault(task, set()).add(lang)
    return found


def _wanted(scores: Scores, task: str) -> Sequence[str]:
    return scores.languages if task in _OUT_OF_THE_SOURCE else (scores.source_lang, *scores.languages)
