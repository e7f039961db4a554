"""Zstd Parquet shards: how every table of rows stands on disk.

Parquet cannot hold lone surrogates, so text that carries them is refused where it enters
(`tongues.data.sources`), with file and line, and never reaches a shard.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tongues.core.errors import DataError

ROWS_PER_SHARD = 50_000
_ROWS_PER_BATCH = 4_096

Row = dict[str, Any]


class ShardWriter:
    """Writes rows one by one as ``part-00000.parquet`` and so on; memory stays at two batches.

    One batch is compressed in a thread while the next one is made; an error of it is raised by the next
    call, at the latest by `close`.

    Args:
        folder: created if absent; must hold no shard yet.
        schema: the columns; a row that does not fit raises.
        rows_per_shard: rows in one file, at least 1.
    """

    def __init__(self, folder: Path, schema: pa.Schema, *, rows_per_shard: int = ROWS_PER_SHARD) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._schema, self._rows_per_shard = folder, schema, rows_per_shard
        self._batch: list[Row] = []
        self._parquet: pq.ParquetWriter | None = None
        self._thread = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None
        self._shards = self._in_shard = self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(complete=kind is None)

    def write(self, row: Row) -> None:
        """Add one row."""
        self._batch.append(row)
        self.rows += 1
        if len(self._batch) == min(_ROWS_PER_BATCH, self._rows_per_shard - self._in_shard):
            self._flush()

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Add the rows of a batch that has the schema's columns."""
        if self._batch:
            self._flush()
        start = 0
        while start < batch.num_rows:
            part = batch.slice(start, self._rows_per_shard - self._in_shard)
            self._append(pa.Table.from_batches([part]).cast(self._schema))
            self.rows += part.num_rows
            start += part.num_rows

    def close(self, *, complete: bool = True) -> None:
        """Write what is left; no rows still give one empty shard, to tell "nothing" from "missing"."""
        try:
            if complete and (self._batch or self._shards == 0):
                self._flush()
            if complete:
                self._wait()
        finally:
            self._thread.shutdown()
            if self._parquet is not None:
                self._parquet.close()
                self._parquet = None

    def _flush(self) -> None:
        rows, self._batch = self._batch, []
        self._append(pa.Table.from_pylist(rows, schema=self._schema))

    def _append(self, table: pa.Table) -> None:
        if self._parquet is None:
            path = self._folder / f"part-{self._shards:05d}.parquet"
            self._parquet = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._shards += 1
        self._wait()
        if table.num_rows:
            self._written = self._thread.submit(self._parquet.write_table, table)
        self._in_shard += table.num_rows
        if self._in_shard == self._rows_per_shard:
            self._wait()
            self._parquet.close()
            self._parquet, self._in_shard = None, 0

    def _wait(self) -> None:
        written, self._written = self._written, None
        if written is not None:
            written.result()


def write_shards(
    folder: Path, schema: pa.Schema, rows: Iterable[Row], *, rows_per_shard: int = ROWS_PER_SHARD
) -> int:
    """Write rows as shards; see `ShardWriter`.

    Returns:
        The number of rows written.
    """
    with ShardWriter(folder, schema, rows_per_shard=rows_per_shard) as writer:
        for row in rows:
            writer.write(row)
    return writer.rows


def shard_paths(folder: Path) -> list[Path]:
    """The shards of a folder in order.

    Raises:
        DataError: the folder holds none.
    """
    paths = sorted(folder.glob("part-*.parquet"))
    if not paths:
        raise DataError(
            "no Parquet shards here", where=str(folder), fix="run the stage that writes them again"
        )
    return paths


def read_shards(folder: Path, columns: list[str] | None = None) -> Iterator[Row]:
    """Read rows back in the order they were written, a batch in memory at a time."""
    for path in shard_paths(folder):
        with pq.ParquetFile(path) as parquet:
            for batch in parquet.iter_batches(batch_size=_ROWS_PER_BATCH, columns=columns):
                yield from batch.to_pylist()
