"""Segments: ledger entries as Parquet, which is how they travel between machines.

A segment holds entries in key order, each key once, and in the file's metadata the running totals of
what was spent. Segments may repeat one another; `merge_segments` gives the same bytes whatever
the order they come in and however the entries are spread over them.
"""

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tongues.core.errors import DataError
from tongues.inference.spending import Spent

ROWS_PER_BATCH = 10_000
_FILES_AT_ONCE = 32
_SPENT = b"tongues.spent"
_FIX = "export it again"
_SCHEMA = pa.schema(
    [
        pa.field("key", pa.binary(32), nullable=False),
        pa.field("text", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)

Entry = tuple[bytes, str | None, str, str]
"""Key, text, reason, detail."""

Totals = dict[tuple[str, str], Spent]
"""Account and writer to the running total."""


class Segment:
    """An open segment; use it as a context manager.

    Args:
        path: the file.

    Raises:
        DataError: the file is not a segment, or its entries are not in order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _readable(path):
            self._parquet = pq.ParquetFile(path)
            try:
                self.totals = self._checked_totals()
            except BaseException:
                self._parquet.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parquet.close()

    def entries(self) -> Iterator[Entry]:
        """All entries in key order, a batch in memory at a time."""
        last = b""
        with _readable(self._path):
            for batch in self._parquet.iter_batches(batch_size=ROWS_PER_BATCH):
                for entry in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if entry[0] <= last:
                        raise DataError(
                            "a ledger segment that is not in key order", where=str(self._path), fix=_FIX
                        )
                    last = entry[0]
                    yield entry

    def _checked_totals(self) -> Totals:
        if not self._parquet.schema_arrow.equals(_SCHEMA):
            raise DataError(
                "not a ledger segment: other columns", where=str(self._path), fix="name another file"
            )
        metadata = self._parquet.metadata.metadata or {}
        return decode_totals(metadata.get(_SPENT, b"[]"))


def write_segment(path: Path, entries: Iterable[Entry], totals: Totals) -> int:
    """Write a segment; the file is there when it is whole.

    Args:
        path: written, its folder created if absent.
        entries: in key order, each key once.
        totals: what was spent.

    Returns:
        The number of entries.

    Raises:
        DataError: the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = _write(partial, iter(entries), totals)
        partial.replace(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"the ledger segment cannot be written ({error})", where=str(path), fix="free disk space"
        ) from error
    finally:
        with suppress(OSError):  # what cannot be removed must not hide what went wrong
            partial.unlink()
    return written


def merge_segments(paths: Sequence[Path], into: Path) -> int:
    """Merge segments into one, in flat memory.

    Of several entries with one key an answer goes before a failure, and the smaller text before the
    larger, so that the outcome depends on the entries alone.

    Args:
        paths: the segments, any order.
        into: the file to write; scratch files are written beside it.

    Returns:
        The number of entries in the merged segment.

    Raises:
        DataError: a file is not a segment, or the merged one cannot be written.
    """
    if len(paths) <= _FILES_AT_ONCE:
        return _merge(paths, into)
    into.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=into.parent, prefix=".merge-") as folder:
        halfway = []
        for start in range(0, len(paths), _FILES_AT_ONCE):
            halfway.append(Path(folder) / f"{start}.parquet")
            _merge(paths[start : start + _FILES_AT_ONCE], halfway[-1])
        return merge_segments(halfway, into)


def encode_totals(totals: Mapping[tuple[str, str], Spent]) -> str:
    """Totals as JSON, equal totals as equal text."""
    return json.dumps([[*key, *astuple(totals[key])] for key in sorted(totals)])


def decode_totals(text: str | bytes) -> Totals:
    """Totals from JSON; see `encode_totals`."""
    return {(account, writer): Spent(*amounts) for account, writer, *amounts in json.loads(text)}


def _merge(paths: Sequence[Path], into: Path) -> int:
    with ExitStack() as stack:
        segments = [stack.enter_context(Segment(path)) for path in paths]
        merged = heapq.merge(*(segment.entries() for segment in segments), key=_rank)
        best = (next(same) for _, same in groupby(merged, key=itemgetter(0)))
        return write_segment(into, best, _larger(segment.totals for segment in segments))


def _rank(entry: Entry) -> tuple[bytes, bool, str, str, str]:
    key, text, reason, detail = entry
    return key, text is None, text or "", reason, detail


def _larger(many: Iterable[Totals]) -> Totals:
    """A total only grows, so the larger one is the later one."""
    largest: Totals = {}
    for totals in many:
        for key, spent in totals.items():
            known = largest.get(key, Spent())
            largest[key] = Spent(*map(max, astuple(known), astuple(spent)))
    return largest


def _write(path: Path, entries: Iterator[Entry], totals: Totals) -> int:
    written = 0
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd", use_dictionary=["reason"]) as writer:
        if totals:
            writer.add_key_value_metadata({_SPENT.decode(): encode_totals(totals)})
        while batch := list(islice(entries, ROWS_PER_BATCH)):
            writer.write_table(pa.Table.from_arrays(_columns(batch), schema=_SCHEMA))
            written += len(batch)
    return written


def _columns(batch: list[Entry]) -> list[Any]:
    return [
        pa.array(column, type=field.type)
        for column, field in zip(zip(*batch, strict=True), _SCHEMA, strict=True)
    ]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowInvalid, ValueError, TypeError) as error:
        raise DataError(f"not a readable ledger segment ({error})", where=str(path), fix=_FIX) from error
