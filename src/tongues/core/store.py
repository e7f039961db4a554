"""The aligned store: every item in every language, keyed by (group, lang).

Rows stay on disk, in an Arrow file that is mapped into memory; of each row only its group and its
place are held, as arrays. A row becomes an object when it is asked for.
"""

import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tongues.core.errors import DataError
from tongues.core.records import ALIGNED_SCHEMA, AlignedRow
from tongues.core.shards import shard_paths

_ROWS_PER_BATCH = 4_096
Groups = npt.NDArray[np.bytes_]
Places = npt.NDArray[np.int64]


class AlignedStore:
    """Random access to aligned rows, independent of the order they were written in.

    Args:
        rows: any order; a (group, lang) that stands twice is an error.
        source_lang: language of the originals.
        scratch: folder for the file; the system's temporary folder when absent.

    Raises:
        DataError: a key stands twice with different text.
    """

    def __init__(
        self, rows: Iterable[AlignedRow], *, source_lang: str = "en", scratch: Path | None = None
    ) -> None:
        self._open(_batches(iter(rows)), source_lang, scratch)

    @classmethod
    def load(cls, folder: Path, *, source_lang: str = "en", scratch: Path | None = None) -> Self:
        """Read a store from its shards; see the class for the rest."""
        store = cls.__new__(cls)
        store._open(_shard_batches(folder), source_lang, scratch)
        return store

    @property
    def languages(self) -> list[str]:
        """Languages that have at least one row, in code order; the source language among them."""
        return sorted(self._index)

    def groups(self, *langs: str) -> list[str]:
        """Groups present in all the named languages, in digest order, so that draws repeat."""
        found, *others = (self._of(lang)[0] for lang in langs or (self.source_lang,))
        for other in others:
            found = np.intersect1d(found, other, assume_unique=True)
        return [group.decode() for group in found.tolist()]

    def get(self, group: str, lang: str) -> AlignedRow:
        """One row.

        Raises:
            KeyError: the item does not exist in that language.
        """
        groups, places = self._of(lang)
        at = int(np.searchsorted(groups, group.encode()))
        if at == len(groups) or groups[at] != group.encode():
            raise KeyError((group, lang))
        return self._row(int(places[at]))

    def __len__(self) -> int:
        return sum(len(groups) for groups, _ in self._index.values())

    def _open(self, batches: Iterator[pa.RecordBatch], source_lang: str, scratch: Path | None) -> None:
        self.source_lang = source_lang
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        # The name goes at once: the file lives as long as it is mapped, and never longer.
        with tempfile.NamedTemporaryFile(dir=scratch, prefix="aligned-", suffix=".arrow") as file:
            groups, langs, self._starts = _write(batches, file.name)
            with pa.ipc.open_file(pa.memory_map(file.name)) as reader:
                self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        self._index = {lang: self._indexed(groups, langs, lang) for lang in np.unique(langs).tolist()}

    def _indexed(self, groups: Groups, langs: npt.NDArray[np.object_], lang: str) -> tuple[Groups, Places]:
        """The groups of a language in order, and where their rows stand."""
        places = np.flatnonzero(langs == lang)
        places = places[np.argsort(groups[places], kind="stable")]
        ordered = groups[places]
        again = ordered[1:] == ordered[:-1]
        for at in np.flatnonzero(again).tolist():
            if self._row(int(places[at])) != self._row(int(places[at + 1])):
                raise DataError(
                    "two different rows for one key",
                    where=f"({ordered[at].decode()}, {lang})",
                    fix="gather the store again from finished shards only",
                )
        first = np.append(True, ~again)[: len(places)]
        return ordered[first], places[first]

    def _of(self, lang: str) -> tuple[Groups, Places]:
        return self._index.get(lang, (np.empty(0, "S1"), np.empty(0, np.int64)))

    def _row(self, place: int) -> AlignedRow:
        batch = int(np.searchsorted(self._starts, place, side="right")) - 1
        [row] = self._batches[batch].slice(place - int(self._starts[batch]), 1).to_pylist()
        return AlignedRow.from_row(row)


def _batches(rows: Iterator[AlignedRow]) -> Iterator[pa.RecordBatch]:
    while batch := [row.to_row() for row in islice(rows, _ROWS_PER_BATCH)]:
        yield pa.RecordBatch.from_pylist(batch, schema=ALIGNED_SCHEMA)


def _shard_batches(folder: Path) -> Iterator[pa.RecordBatch]:
    for path in shard_paths(folder):
        with pq.ParquetFile(path) as parquet:
            yield from parquet.iter_batches(batch_size=_ROWS_PER_BATCH)


def _write(batches: Iterator[pa.RecordBatch], path: str) -> tuple[Groups, npt.NDArray[np.object_], Places]:
    """Write the rows as one Arrow file; their groups, languages and the first row of each batch."""
    groups, langs, starts = [np.empty(0, "S1")], [np.empty(0, object)], [0]
    names: dict[str, str] = {}
    with pa.ipc.new_file(path, ALIGNED_SCHEMA) as writer:
        for batch in batches:
            writer.write_batch(batch)
            groups.append(np.array([group.encode() for group in batch.column("group").to_pylist()]))
            found = (names.setdefault(lang, lang) for lang in batch.column("lang").to_pylist())
            langs.append(np.fromiter(found, object, batch.num_rows))
            starts.append(starts[-1] + batch.num_rows)
    return np.concatenate(groups), np.concatenate(langs), np.array(starts[:-1] or [0], np.int64)
