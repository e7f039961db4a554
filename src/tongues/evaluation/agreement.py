"""Two runners on the same model and items: where they agree, item by item."""

from collections.abc import Sequence
from typing import TypedDict

from tongues.core.errors import DataError
from tongues.core.scores import Measurement
from tongues.evaluation.compare import ByTask
from tongues.evaluation.metrics import share
from tongues.evaluation.samples import Sample


class Disagreement(TypedDict):
    """One item that two runners answered differently."""

    task: str
    lang: str
    id: str
    first: str
    second: str
    loglikelihood_gap: float
    """Smallest distance, in nats, between the two chosen options of either runner; 0.0 for text."""


class Agreement(TypedDict):
    """How far two runners agree on one task and language.

    ``largest_difference`` is that of one option's log-likelihood between the runners, in nats; 0.0 for text.
    ``same_verdict`` counts items that both have right or both wrong; it is ``same`` where nothing is right.
    """

    task: str
    lang: str
    same: Measurement
    same_verdict: Measurement
    largest_difference: float
    differing: list[Disagreement]


def agreement(first: ByTask, second: ByTask) -> list[Agreement]:
    """Compare two runners' samples, item by item.

    Args:
        first: samples of one runner, by task and language.
        second: those of the other, on the same suite.

    Raises:
        DataError: they were not asked the same items.
    """
    if {key: _ids(found) for key, found in first.items()} != {key: _ids(f) for key, f in second.items()}:
        raise DataError("the two folders do not hold the same items", fix="evaluate both on the same suite")
    return [_of_task(*key, first[key], second[key]) for key in first]


def _ids(samples: Sequence[Sample]) -> list[str]:
    return [sample.id for sample in samples]


def _of_task(task: str, lang: str, first: Sequence[Sample], second: Sequence[Sample]) -> Agreement:
    pairs = list(zip(first, second, strict=True))
    differences = [
        abs(x - y) for a, b in pairs for x, y in zip(a.loglikelihoods, b.loglikelihoods, strict=True)
    ]
    return {
        "task": task,
        "lang": lang,
        "same": share([a.got == b.got for a, b in pairs]),
        "same_verdict": share(
            [a.got == b.got if a.correct is None else a.correct == b.correct for a, b in pairs]
        ),
        "largest_difference": max(differences, default=0.0),
        "differing": [_differing(a, b) for a, b in pairs if a.got != b.got],
    }


def _differing(a: Sample, b: Sample) -> Disagreement:
    gaps = [abs(_of(s, a.got) - _of(s, b.got)) for s in (a, b) if s.loglikelihoods]
    return {
        "task": a.task,
        "lang": a.lang,
        "id": a.id,
        "first": a.got,
        "second": b.got,
        "loglikelihood_gap": min(gaps, default=0.0),
    }


def _of(sample: Sample, letter: str) -> float:
    """Log-likelihood of the option with this letter."""
    return sample.loglikelihoods[ord(letter) - ord("A")]
