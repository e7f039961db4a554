import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tongues.core.shards import ShardWriter, read_shards, shard_paths

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("text", pa.string())])


def batch(numbers: range) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"n": n, "text": f"t{n}"} for n in numbers], schema=SCHEMA)


def test_rows_and_batches_stand_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    draw, at = random.Random(1), 0
    with ShardWriter(tmp_path, SCHEMA, rows_per_shard=100) as writer:
        while at < 1_000:
            some = range(at, min(at + draw.randint(1, 260), 1_000))
            if draw.random() < 0.5:
                writer.write_batch(batch(some))
            else:
                for n in some:
                    writer.write({"n": n, "text": f"t{n}"})
            at = some.stop
    assert [row["n"] for row in read_shards(tmp_path)] == list(range(1_000)) and writer.rows == 1_000
    assert [pq.read_metadata(path).num_rows for path in shard_paths(tmp_path)] == [100] * 10


class Full(OSError):
    """The disk is full."""


def full(*_: object) -> None:
    raise Full


@pytest.mark.parametrize("then", ["close", "write"])
def test_a_batch_that_cannot_be_written_is_never_lost_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    writer = ShardWriter(tmp_path, SCHEMA)
    writer.write_batch(batch(range(5)))
    writer._wait()
    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    writer.write_batch(batch(range(5, 9)))
    with pytest.raises(Full):
        writer.close() if then == "close" else writer.write_batch(batch(range(9, 12)))


def test_the_error_of_the_caller_is_the_one_that_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(KeyError), ShardWriter(tmp_path, SCHEMA) as writer:
        writer.write_batch(batch(range(5)))
        raise KeyError
