"""Records as columns: what passes over millions of them work on, a batch at a time."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.core.records import RECORD_SCHEMA, Record, Source, Step

TURN_BREAK = "\n"
_TURNS_OF_A_SHOT = 2
T = TypeVar("T", bound=Hashable)


class Labels(Generic[T]):
    """Few distinct values, each as a small number, in the order in which they were first seen."""

    def __init__(self) -> None:
        self._places: dict[T, int] = {}

    @property
    def names(self) -> list[T]:
        """The values; a number is a place in this list."""
        return list(self._places)

    def codes(self, values: Sequence[T]) -> npt.NDArray[np.uint16]:
        """The numbers of the values; new values get new ones."""
        places = self._places
        found = (places.setdefault(value, len(places)) for value in values)
        return np.fromiter(found, np.uint16, len(values))

    def codes_of(self, column: pa.Array, name: Callable[[Any], T]) -> npt.NDArray[np.uint16]:
        """The numbers of what `name` makes of a column's values."""
        encoded = column.dictionary_encode()
        of_values = self.codes([name(value) for value in encoded.dictionary.to_pylist()])
        places: npt.NDArray[np.int32] = encoded.indices.to_numpy()
        return of_values[places]


def to_batch(records: Sequence[Record]) -> pa.RecordBatch:
    """Records as one batch of RECORD_SCHEMA."""
    columns: list[list[Any]] = [
        [record.id for record in records],
        [[(m.role, m.content, m.lang) for m in record.messages] for record in records],
        [record.lang for record in records],
        [record.group for record in records],
        [record.method for record in records],
        [_source(record.source) for record in records],
        [[_step(step) for step in record.steps] for record in records],
        [sorted(record.meta.items()) for record in records],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, RECORD_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=RECORD_SCHEMA)


def _source(source: Source) -> tuple[str, str, str, str]:
    return source.dataset, source.revision, source.row, source.licence


def _step(step: Step) -> tuple[str, str, str, str, str]:
    return step.op, step.engine, step.model, step.prompt_sha256, step.params_sha256


def turns(batch: pa.RecordBatch) -> tuple[list[str], list[str], list[int]]:
    """Roles and texts of all turns, and how many turns each record has."""
    messages = batch.column("messages")
    flat = messages.flatten()
    counts = messages.value_lengths().to_pylist()
    return flat.field("role").to_pylist(), flat.field("content").to_pylist(), counts


def texts(batch: pa.RecordBatch) -> list[str]:
    """All turns of each record as one text."""
    _, contents, counts = turns(batch)
    ends = np.cumsum(counts).tolist()
    return [TURN_BREAK.join(contents[end - count : end]) for end, count in zip(ends, counts, strict=True)]


def own_texts(batch: pa.RecordBatch) -> list[str]:
    """Each record's own turns as one text, without those of its shots.

    Two samples whose shots are the same few items in another order are not alike for that.
    """
    _, contents, counts = turns(batch)
    ends, shots = np.cumsum(counts).tolist(), shots_of(batch)
    return [
        TURN_BREAK.join(contents[end - count + _TURNS_OF_A_SHOT * len(shots.get(row, ())) : end])
        for row, (end, count) in enumerate(zip(ends, counts, strict=True))
    ]


def shots_of(batch: pa.RecordBatch) -> dict[int, list[str]]:
    """Row to the groups of its shots (see `Record.groups`), of the rows that have any."""
    if not any_shots(batch):
        return {}
    metas = batch.column("meta")
    named = ((row, dict(meta).get("shots", "")) for row, meta in enumerate(metas.to_pylist()))
    return {row: shots.split(",") for row, shots in named if shots}


def any_shots(batch: pa.RecordBatch) -> bool:
    """Whether a record of the batch has shots."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.equal(batch.column("meta").keys, "shots")).as_py())


def characters(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Characters of each record, all turns together."""
    import pyarrow.compute as pc

    messages = batch.column("messages")
    lengths = pc.utf8_length(messages.flatten().field("content")).to_numpy(zero_copy_only=False)
    counts = messages.value_lengths().to_numpy(zero_copy_only=False)
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    ends = np.cumsum(counts)
    found: npt.NDArray[np.int64] = sums[ends] - sums[ends - counts]
    return found
