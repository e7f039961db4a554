"""The report: one HTML file that needs no network, no script and no explanation."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tongues import __version__
from tongues.core.languages import UNDETERMINED, Language, language
from tongues.core.pages import write_page
from tongues.core.scores import Measurement, Scores
from tongues.evaluation.charts import change_bars, consistency_curves, shares
from tongues.evaluation.compare import MEASURES, ByTask, Change, Measure, by_task, compare, together_measures
from tongues.evaluation.samples import read_samples
from tongues.evaluation.showcase import showcase
from tongues.evaluation.wording import headline, verdict_words

_TEMPLATES = Path(__file__).parent / "templates"
_ROLE_NAMES = {"base": "the base model", "champion": "the champion", "candidate": "the candidate"}
_FULL_COLOUR = {" %": 25.0, "": 10.0}
"""Change, in the measure's own unit, at which a cell of the heat map has its full colour."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the heat map.

    Args:
        text: the candidate's value.
        change: the change against the base; "" where there is none.
        strength: 0..100, depth of the colour.
        side: "better" or "worse" by sign alone, "" where nothing changed.
        clear: whether the interval excludes zero.
    """

    text: str
    change: str = ""
    strength: int = 0
    side: str = ""
    clear: bool = False


def write_report(
    scores: Sequence[Scores],
    samples: Mapping[str, Path],
    *,
    recipe_name: str,
    facts: Mapping[str, str],
    out: Path,
) -> Path:
    """Write the comparison as one self-contained HTML file.

    Args:
        scores: one per model; "base" and "candidate" are compared, "champion" too if given.
        samples: role to the folder of its samples; roles without one get no intervals of change.
        recipe_name: for the title.
        facts: more lines for the last section, such as methods; "date" replaces today's.
        out: the file to write.

    Returns:
        The file.

    Raises:
        DataError: a samples folder holds none, or they cannot be read.
    """
    answers = {role: by_task(read_samples(folder)) for role, folder in samples.items()}
    values = _context(scores, answers, recipe_name=recipe_name, facts=facts)
    return write_page(out, _TEMPLATES, "report.html.j2", **values)


def _context(
    scores: Sequence[Scores],
    answers: Mapping[str, ByTask],
    *,
    recipe_name: str,
    facts: Mapping[str, str],
) -> dict[str, Any]:
    by_role: dict[str, Scores] = {one.role: one for one in scores}
    subject = by_role.get("candidate", scores[-1])
    langs = (subject.source_lang, *subject.languages)
    changes: dict[str, list[Change]] = {
        role: compare(other, subject, answers.get(role, {}), answers.get(subject.role, {}))
        for role, other in by_role.items()
        if role != subject.role
    }
    against = "base" if "base" in changes else next(iter(changes), "")
    main = changes.get(against, [])
    return {
        "recipe_name": recipe_name,
        "headlines": [headline(c, subject.source_lang, _ROLE_NAMES[role]) for role, c in changes.items()],
        "scores": scores,
        "subject": subject,
        "languages": [language(lang) for lang in langs],
        "findings": [_finding(language(lang), main) for lang in langs],
        "noise": _noise(subject),
        "changes": changes,
        "against": against,
        "role_names": _ROLE_NAMES,
        "verdict_words": verdict_words,
        "heat": _heat(subject, langs, main),
        "bars": _bars(main, langs),
        "together": together_measures(scores),
        "curves": consistency_curves(scores, _options(answers)),
        "rates": _rates(scores, langs),
        "confusion": _confusion(answers, langs),
        "sections": showcase(
            langs, subject.source_lang, answers.get(against, {}), answers.get(subject.role, {})
        ),
        "task_names": {"open": "Open questions", "choices": "Multiple choice", "translation": "Translation"},
        "language": language,
        "facts": _facts(scores, facts),
    }


def _finding(lang: Language, changes: Sequence[Change]) -> dict[str, Any]:
    order = {measure.label: at for at, measure in enumerate(MEASURES)}
    mine = [c for c in changes if c.lang == lang.code and c.measure.main]
    mine.sort(key=lambda change: order[change.measure.label])
    return {"language": lang, "changes": mine}


def _noise(scores: Scores) -> str:
    found = [(m, scores.get(m.task, scores.languages[0], m.metric)) for m in MEASURES if m.main]
    sizes = ", ".join(f"{got.n} for {measure.short}" for measure, got in found if got)
    return (
        f"Items per language: {sizes}; the fewer there are, the wider the intervals. Each interval stands "
        "for itself, so of twenty of them one is expected to miss the truth."
    )


def _heat(scores: Scores, langs: Sequence[str], changes: Sequence[Change]) -> dict[str, Any]:
    found = {(change.lang, change.measure): change for change in changes}
    measures = [m for m in MEASURES if any(scores.get(m.task, lang, m.metric) for lang in langs)]
    rows = [
        (
            language(lang),
            [_cell(m, scores.get(m.task, lang, m.metric), found.get((lang, m))) for m in measures],
        )
        for lang in langs
    ]
    return {"measures": measures, "rows": rows}


def _cell(measure: Measure, value: Measurement | None, change: Change | None) -> Cell:
    if change is None:
        return Cell(measure.show(value))
    moved = change.delta.value * measure.factor * measure.better
    strength = min(100, round(100 * abs(moved) / _FULL_COLOUR[measure.unit]))
    side = "better" if moved > 0 else "worse" if moved < 0 else ""
    return Cell(measure.show(value), change.shown, strength, side, change.verdict != "unclear")


def _bars(changes: Sequence[Change], langs: Sequence[str]) -> list[Any]:
    panels = []
    for measure in (m for m in MEASURES if m.main):
        mine = sorted((c for c in changes if c.measure == measure), key=lambda c: langs.index(c.lang))
        if mine:
            panels.append(change_bars(measure, mine))
    return panels


def _rates(scores: Sequence[Scores], langs: Sequence[str]) -> list[Any]:
    plots = [
        shares(measure, scores, langs) for measure in MEASURES if measure.metric == "target_language_rate"
    ]
    return [plot for plot in plots if plot.marks]


def _options(answers: Mapping[str, ByTask]) -> int:
    """Choices per question, for the chance level; four where no sample tells."""
    choices = (
        s
        for groups in answers.values()
        for (task, _), found in groups.items()
        for s in found
        if task == "choices"
    )
    return next((len(sample.options) for sample in choices), 4)


def _confusion(answers: Mapping[str, ByTask], langs: Sequence[str]) -> list[dict[str, Any]]:
    """Per model: language asked to language answered, over open questions."""
    tables = []
    for role, groups in answers.items():
        asked = {lang: groups.get(("open", lang), ()) for lang in langs}
        counts = {lang: Counter(s.guessed_lang for s in found) for lang, found in asked.items() if found}
        if counts:
            unknown = any(count[UNDETERMINED] for count in counts.values())
            tables.append({"role": role, "counts": counts, "columns": [*langs, *[UNDETERMINED] * unknown]})
    return tables


def _facts(scores: Sequence[Scores], given: Mapping[str, str]) -> list[tuple[str, str]]:
    facts = {"date": datetime.now(UTC).date().isoformat(), "tongues": __version__, **given}
    for one in scores:
        facts[f"{one.role} model"] = f"{one.model} (sha256 {one.model_sha256})"
    for suite in dict.fromkeys(f"{one.suite} (sha256 {one.suite_sha256})" for one in scores):
        facts["suite and settings"] = suite
    for name, signature in scores[0].signatures.items():
        facts[name] = signature
    return list(facts.items())
