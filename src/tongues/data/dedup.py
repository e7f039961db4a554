"""Exact duplicates after normalising: of each set of equal records one survives, always.

Two records are equal when they teach the same language and all their messages are the same up
to Unicode normalisation (NFC), case, and the amount and kind of white space. Group and method do
not count: the same conversation reached on two ways is still one.

Of a record 20 bytes stand on disk, a digest of what counts and its place; a 64th of them is in memory at
a time.
"""

from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.data.buckets import Buckets, Rows
from tongues.data.normalisation import normalised
from tongues.data.removals import Removals

Keys = npt.NDArray[np.uint64]
"""Two numbers per record."""

_TURN, _ROLE = "\x1e", "\x1f"
"""White space to Unicode, so that no normalised text has them."""
_ROWS_AT_ONCE = 4_096
_THREADS = 2
"""Arrow normalises in one while the other hashes, which needs the interpreter's lock."""


def record_keys(batch: pa.RecordBatch) -> Keys:
    """What decides on equality: rows of two numbers, equal for equal records.

    Args:
        batch: of RECORD_SCHEMA; lang and messages are read.
    """
    parts = [batch.slice(start, _ROWS_AT_ONCE) for start in range(0, batch.num_rows, _ROWS_AT_ONCE)]
    with ThreadPoolExecutor(_THREADS) as threads:
        return np.frombuffer(b"".join(threads.map(_digests, parts)), np.uint64).reshape(-1, 2)


class DuplicateFinder:
    """Finds the records that are equal to an earlier one: the first of each set of equal records stays.

    Run it before splitting: duplicates in different groups would otherwise stand on both sides.

    Args:
        folder: for its files; created if absent.
    """

    def __init__(self, folder: Path) -> None:
        self._buckets = Buckets(folder, [("key", np.uint64), ("other", np.uint64), ("place", np.uint32)])
        self._records = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._buckets.__exit__(*error)

    def add(self, keys: Keys) -> None:
        """Take the keys of the next records, in the order of their ids, so that the smallest id survives."""
        places = np.arange(self._records, self._records + len(keys), dtype=np.uint32)
        self._buckets.add(key=keys[:, 0], other=keys[:, 1], place=places)
        self._records += len(keys)

    def find(self) -> Removals:
        """What goes, once all have been added and the finder was left as a context manager."""
        parts = [_repeated(rows) for rows in self._buckets.parts()]
        gone = [np.concatenate(side) for side in zip(*parts, strict=True)]
        return Removals.of(*gone) if gone else Removals.none()


def _repeated(rows: Rows) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Places of the rows that repeat an earlier one, and places of the first of their kind."""
    ordered = rows[np.lexsort((rows["other"], rows["key"]))]
    first = np.ones(len(rows), np.bool_)
    first[1:] = (ordered["key"][1:] != ordered["key"][:-1]) | (ordered["other"][1:] != ordered["other"][:-1])
    places = ordered["place"]
    earliest = places[np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))]
    return places[~first], earliest[~first]


def _digests(batch: pa.RecordBatch) -> bytes:
    return b"".join([blake2b(text, digest_size=16).digest() for text in _equal_bytes(batch)])


def _equal_bytes(batch: pa.RecordBatch) -> list[bytes]:
    """Language, roles and normalised texts of each record: the same bytes for equal records."""
    import pyarrow.compute as pc

    messages = batch.column("messages")
    turns = messages.flatten()
    told = pc.binary_join_element_wise(turns.field("role"), normalised(turns.field("content")), _ROLE)
    ends = np.cumsum(messages.value_lengths().to_numpy(zero_copy_only=False), dtype=np.int32)
    offsets = pa.array(np.concatenate([np.zeros(1, np.int32), ends]))
    whole = pc.binary_join(pa.ListArray.from_arrays(offsets, told), _TURN)
    named = pc.binary_join_element_wise(batch.column("lang"), whole, _TURN)
    found: list[bytes] = named.cast(pa.binary()).to_pylist()
    return found
