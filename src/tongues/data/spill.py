"""Records on disk between passes, in the order of their ids whatever the order they came in.

Each record goes to one of 128 files by the beginning of its id; whoever reads gets some thousands of a file
at a time, in the order of ids. All passes see the same order, which is why a result depends neither on the
order of input nor on its sharding. Memory holds a 128th of the records once, and what is made of some
thousands, however many there are.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.core.digests import digest_value
from tongues.core.records import RECORD_SCHEMA, Record
from tongues.data.record_batches import to_batch

Places = npt.NDArray[np.int64]
_PARTS = 128
_BORDERS = np.array([f"{256 * part // _PARTS:02x}" for part in range(1, _PARTS)], dtype="S2")
"""Ids are hexadecimal digests, so equal steps make parts of equal size."""
_ROWS_AT_ONCE = 16_384


class RecordSpill:
    """Takes records in any order and gives them back in the order of their ids.

    Use it as a context manager while records are added; read it when it is left.

    Args:
        folder: for its files, as large as the text; not compressed, for they are read several times.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = [folder / f"part-{part:03d}.arrow" for part in range(_PARTS)]
        self._waiting: list[Record] = []
        self._ordered: set[Path] = set()
        self._files = ExitStack()
        self._writers = [self._files.enter_context(_writer(path)) for path in self._paths]
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._files.close()

    def add(self, record: Record) -> None:
        """Take one record."""
        self._waiting.append(record)
        if len(self._waiting) == _ROWS_AT_ONCE:
            self._flush()

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Take a batch of RECORD_SCHEMA."""
        self.rows += batch.num_rows
        beginnings = _ids(batch)
        parts = np.searchsorted(_BORDERS, beginnings.astype("S2"), side="right")
        order = np.argsort(parts, kind="stable")
        together = batch.take(pa.array(order))
        ends = np.searchsorted(parts[order], np.arange(_PARTS), side="right").tolist()
        for writer, begin, end in zip(self._writers, [0, *ends], ends, strict=False):
            if end > begin:
                writer.write_batch(together.slice(begin, end - begin))

    def parts(self) -> Iterator[pa.RecordBatch]:
        """All records in the order of their ids, at most 16,384 at a time; one empty batch if there are none.

        The order within a file is found when it is read first, and kept beside it.
        """
        if not self.rows:
            yield to_batch([])
        for path in self._paths:
            batch = _whole(path)
            order = self._order(path, batch) if batch.num_rows else np.empty(0, np.int64)
            for start in range(0, len(order), _ROWS_AT_ONCE):
                yield batch.take(pa.array(order[start : start + _ROWS_AT_ONCE]))

    def _order(self, path: Path, batch: pa.RecordBatch) -> Places:
        kept = path.with_suffix(".order")
        if path not in self._ordered:
            _in_order(batch).astype(np.uint32).tofile(kept)
            self._ordered.add(path)
        return np.fromfile(kept, np.uint32).astype(np.int64)

    def _flush(self) -> None:
        if self._waiting:
            self.add_batch(to_batch(self._waiting))
            self._waiting = []


def _writer(path: Path) -> pa.ipc.RecordBatchFileWriter:
    return pa.ipc.new_file(str(path), RECORD_SCHEMA)


def _whole(path: Path) -> pa.RecordBatch:
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
        batches = reader.read_all().combine_chunks().to_batches()
    return batches[0] if batches else to_batch([])


def _ids(batch: pa.RecordBatch) -> npt.NDArray[np.bytes_]:
    return np.array(batch.column("id").to_pylist(), dtype="S")


def _in_order(batch: pa.RecordBatch) -> Places:
    ids = _ids(batch)
    # Numbers sort several times as fast as texts; the first eight bytes weigh most.
    words = ids.astype(f"S{-(-ids.itemsize // 8) * 8}").view(">u8").reshape(len(ids), -1)
    order: Places = np.lexsort(words.T[::-1])
    tied = ids[order[1:]] == ids[order[:-1]]
    for start, end in _runs(tied):
        rank = {place: _digest(batch, place) for place in order[start:end].tolist()}
        order[start:end] = sorted(rank, key=lambda place: rank[place])
    return order


def _runs(tied: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where equal ids begin and end: they may differ in where they came from, which their digests tell."""
    steps = np.diff(np.concatenate([[0], tied.astype(np.int8), [0]]))
    return list(
        zip(np.flatnonzero(steps == 1).tolist(), (np.flatnonzero(steps == -1) + 1).tolist(), strict=True)
    )


def _digest(batch: pa.RecordBatch, place: int) -> str:
    return digest_value(Record.from_row(batch.slice(place, 1).to_pylist()[0]).to_row())
