"""Zstd Parquet shards: how every table of rows stands on disk.

Parquet cannot hold lone surrogates, so text that carries them is refused where it enters
(`tongues.data.sources`), with file and line, and never reaches a shard.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tongues.core.errors import DataError

ROWS_PER_SHARD = 50_000
_ROWS_PER_BATCH = 4_096

Row = dict[str, Any]


def write_shards(
    folder: Path, schema: pa.Schema, rows: Iterable[Row], *, rows_per_shard: int = ROWS_PER_SHARD
) -> int:
    """Write rows as ``part-00000.parquet`` and so on; memory stays at one batch.

    Args:
        folder: created if absent; must hold no shard yet.
        schema: the columns; a row that does not fit raises.
        rows: dictionaries with exactly the schema's names.
        rows_per_shard: rows in one file, at least 1.

    Returns:
        The number of rows written. No rows still give one empty shard, so that a reader
        can tell "nothing" from "missing".
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, total, shard = iter(rows), 0, 0
    while True:
        written = _write_one(
            folder / f"part-{shard:05d}.parquet", schema, islice(source, rows_per_shard), shard
        )
        total, shard = total + written, shard + 1
        if written < rows_per_shard:
            return total


def _write_one(path: Path, schema: pa.Schema, rows: Iterator[Row], shard: int) -> int:
    written = 0
    writer: pq.ParquetWriter | None = None
    try:
        while batch := list(islice(rows, _ROWS_PER_BATCH)):
            writer = writer or pq.ParquetWriter(path, schema, compression="zstd")
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            written += len(batch)
        if writer is None and shard == 0:
            writer = pq.ParquetWriter(path, schema, compression="zstd")
    finally:
        if writer is not None:
            writer.close()
    return written


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
