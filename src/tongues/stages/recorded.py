"""Answers that evaluation got, kept beside its report: what an endpoint must say again."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tongues.core.digests import canonical_json
from tongues.core.errors import DataError
from tongues.core.manifest import write_atomically
from tongues.evaluation.samples import Sample
from tongues.serving.revision import Recorded

RECORDED_NAME = "recorded.json"
_PER_LANGUAGE = 4
_TASKS = ("open", "translation", "qa", "math")
"""Tasks whose answers are texts, the one that says most about language first."""

_ALL = TypeAdapter(tuple[Recorded, ...])


def write_recorded(folder: Path, samples: Sequence[Sample]) -> None:
    """Keep some answers per language; no chains, since those were asked for with more than a prompt."""
    chosen = [one for lang in _languages(samples) for one in _of(lang, samples)]
    write_atomically(folder / RECORDED_NAME, canonical_json(json.loads(_ALL.dump_json(tuple(chosen)))))


def _languages(samples: Sequence[Sample]) -> list[str]:
    return list(dict.fromkeys(sample.lang for sample in samples))


def _of(lang: str, samples: Sequence[Sample]) -> list[Recorded]:
    for task in _TASKS:
        fit = [s for s in samples if s.lang == lang and s.task == task and s.formatted is None]
        if fit:
            return [Recorded(lang, s.prompt, s.got, s.guessed_lang) for s in fit[:_PER_LANGUAGE]]
    return []


def read_recorded(path: Path) -> tuple[Recorded, ...]:
    """Read them back.

    Raises:
        DataError: the file does not hold any such thing.
    """
    try:
        return _ALL.validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(f"no recorded answers ({error.errors()[0]['msg']})", where=str(path)) from error
