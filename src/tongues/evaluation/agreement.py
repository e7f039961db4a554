"""Two runners on the same model and items: where they agree, item by item."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypedDict

from tongues.core.digests import canonical_json
from tongues.core.errors import DataError
from tongues.core.manifest import write_atomically
from tongues.core.scores import Measurement
from tongues.evaluation.compare import ByTask
from tongues.evaluation.metrics import share
from tongues.evaluation.samples import Sample

ITEMS_NAME, AGREEMENT_NAME = "agreement.parquet", "agreement.json"


@dataclass(frozen=True, slots=True)
class ItemAgreement:
    """One item as two runners answered it.

    Args:
        task: such as "choices".
        lang: BCP-47 code.
        id: of the item.
        first: chosen letter or text of the one runner.
        second: of the other.
        first_score: what the item adds to its task's main measure, 0..1; None where nothing is known right.
        second_score: the same of the other.
        loglikelihood_difference: largest one of an option between the runners, in nats; 0.0 for text.
        loglikelihood_gap: smallest distance, in nats, between the two chosen options of either runner; 0.0
            for text, and where both chose the same.
    """

    task: str
    lang: str
    id: str
    first: str
    second: str
    first_score: float | None
    second_score: float | None
    loglikelihood_difference: float
    loglikelihood_gap: float

    @property
    def same(self) -> bool:
        """Whether both gave the same answer, to the letter."""
        return self.first == self.second

    @property
    def same_score(self) -> bool:
        """Whether both answers count the same; where nothing is known right, whether they are the same."""
        return self.same if self.first_score is None else self.first_score == self.second_score


class Disagreement(TypedDict):
    """One item that two runners answered differently; see `ItemAgreement`."""

    task: str
    lang: str
    id: str
    first: str
    second: str
    first_score: float | None
    second_score: float | None
    loglikelihood_gap: float


class Agreement(TypedDict):
    """How far two runners agree on one task and language.

    ``largest_difference`` is that of one option's log-likelihood between the runners, in nats; 0.0 for text.
    ``same_score`` counts items that count the same for both; it is ``same`` where nothing is right.
    """

    task: str
    lang: str
    same: Measurement
    same_score: Measurement
    largest_difference: float
    differing: list[Disagreement]


def item_agreements(first: ByTask, second: ByTask) -> list[ItemAgreement]:
    """Lay two runners' samples side by side, item by item.

    Args:
        first: samples of one runner, by task and language.
        second: those of the other, on the same suite.

    Raises:
        DataError: they were not asked the same items.
    """
    if {key: _ids(found) for key, found in first.items()} != {key: _ids(f) for key, f in second.items()}:
        raise DataError("the two folders do not hold the same items", fix="evaluate both on the same suite")
    return [_item(a, b) for key in first for a, b in zip(first[key], second[key], strict=True)]


def agreement(items: Sequence[ItemAgreement]) -> list[Agreement]:
    """Shares per task and language, and what differs.

    Args:
        items: those of a task and language in a row, as `item_agreements` has them.
    """
    return [_of_task(*key, list(found)) for key, found in groupby(items, lambda item: (item.task, item.lang))]


def write_agreement(folder: Path, items: Sequence[ItemAgreement]) -> None:
    """Keep every item as Parquet, and the shares with what differs as JSON.

    Args:
        folder: receives ``agreement.parquet`` and ``agreement.json``; made where it is missing.
        items: as `item_agreements` has them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    rows = [{name: getattr(item, name) for name in (*item.__slots__, "same", "same_score")} for item in items]
    pq.write_table(pa.Table.from_pylist(rows), folder / ITEMS_NAME, compression="zstd")
    write_atomically(folder / AGREEMENT_NAME, canonical_json(plain(agreement(items))))


def plain(found: Sequence[Agreement]) -> list[dict[str, object]]:
    """The same for JSON."""
    return [{k: v.model_dump() if isinstance(v, Measurement) else v for k, v in a.items()} for a in found]


def _ids(samples: Sequence[Sample]) -> list[str]:
    return [sample.id for sample in samples]


def _item(a: Sample, b: Sample) -> ItemAgreement:
    differences = [abs(x - y) for x, y in zip(a.loglikelihoods, b.loglikelihoods, strict=True)]
    gaps = [abs(_of(s, a.got) - _of(s, b.got)) for s in (a, b) if s.loglikelihoods]
    return ItemAgreement(
        task=a.task,
        lang=a.lang,
        id=a.id,
        first=a.got,
        second=b.got,
        first_score=_score(a),
        second_score=_score(b),
        loglikelihood_difference=max(differences, default=0.0),
        loglikelihood_gap=min(gaps, default=0.0),
    )


def _of(sample: Sample, letter: str) -> float:
    """Log-likelihood of the option with this letter."""
    return sample.loglikelihoods[ord(letter) - ord("A")]


def _score(sample: Sample) -> float | None:
    """F1 where there is one, else right or wrong, else whether the language is the one asked for."""
    if sample.f1 is not None:
        return sample.f1
    if sample.correct is not None:
        return float(sample.correct)
    return float(sample.in_asked_language) if sample.guessed_lang else None


def _of_task(task: str, lang: str, items: Sequence[ItemAgreement]) -> Agreement:
    return {
        "task": task,
        "lang": lang,
        "same": share([item.same for item in items]),
        "same_score": share([item.same_score for item in items]),
        "largest_difference": max(item.loglikelihood_difference for item in items),
        "differing": [_differing(item) for item in items if not item.same],
    }


def _differing(item: ItemAgreement) -> Disagreement:
    return {
        "task": item.task,
        "lang": item.lang,
        "id": item.id,
        "first": item.first,
        "second": item.second,
        "first_score": item.first_score,
        "second_score": item.second_score,
        "loglikelihood_gap": item.loglikelihood_gap,
    }
