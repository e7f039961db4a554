"""Answers that evaluation got, kept beside its report: what an endpoint must say again."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tongues.core.digests import canonical_json
from tongues.core.errors import DataError
from tongues.core.manifest import write_atomically
from tongues.evaluation.chains import PLAIN, AnswerFormat
from tongues.evaluation.samples import Sample
from tongues.serving.revision import Recorded

RECORDED_NAME = "recorded.json"
_PER_LANGUAGE = 4
_TASKS = ("open", "translation", "qa", "math")
"""Tasks whose answers are texts, the one that says most about language first."""

_ALL = TypeAdapter(tuple[Recorded, ...])


def write_recorded(
    folder: Path, samples: Sequence[Sample], answers: AnswerFormat = PLAIN, *, chain_tokens: int = 0
) -> None:
    """Keep some answers per language, each with all that it was asked for with.

    Args:
        folder: of the comparison.
        samples: of the candidate.
        answers: how it was asked.
        chain_tokens: longest chain, in tokens.
    """
    first = [one for lang in _languages(samples) for one in _of(lang, samples)]
    chosen = [_recorded(one, answers, chain_tokens) for one in first]
    write_atomically(folder / RECORDED_NAME, canonical_json(json.loads(_ALL.dump_json(tuple(chosen)))))


def _languages(samples: Sequence[Sample]) -> list[str]:
    return list(dict.fromkeys(sample.lang for sample in samples))


def _of(lang: str, samples: Sequence[Sample]) -> list[Sample]:
    for task in _TASKS:
        if fit := [s for s in samples if s.lang == lang and s.task == task]:
            return fit[:_PER_LANGUAGE]
    return []


def _recorded(one: Sample, answers: AnswerFormat, chain_tokens: int) -> Recorded:
    """Of a chain all that was said, and its system message; the user's turn is the sample's own."""
    if one.formatted is None:
        return Recorded(one.lang, one.prompt, one.got, one.guessed_lang)
    system, _ = answers.worded(one.prompt, one.lang)
    return Recorded(one.lang, one.prompt, one.whole.strip(), one.guessed_lang, system, chain_tokens)


def read_recorded(path: Path) -> tuple[Recorded, ...]:
    """Read them back.

    Raises:
        DataError: the file does not hold any such thing.
    """
    try:
        return _ALL.validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"no recorded answers ({error.errors()[0]['msg']})", where=str(path)) from error
