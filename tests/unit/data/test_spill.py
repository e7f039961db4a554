import dataclasses
import random
from pathlib import Path

import pyarrow as pa
import pytest

from tongues.core.records import Message, Record, Source
from tongues.data.record_batches import to_batch
from tongues.data.spill import RecordSpill


def records(count: int, draw: random.Random) -> list[Record]:
    turns = (Message("user", "q", "es"), Message("assistant", "a", "es"))
    one = Record.create(messages=turns, group="g", method="direct", source=Source("tiny", "1", "x:1", "MIT"))
    ids = {f"{draw.getrandbits(64):016x}" for _ in range(count)}
    return [dataclasses.replace(one, id=name) for name in sorted(ids, key=lambda name: draw.random())]


def spilled(folder: Path, batches: list[pa.RecordBatch]) -> RecordSpill:
    with RecordSpill(folder) as spill:
        for batch in batches:
            spill.add_batch(batch)
    return spill


def ids(spill: RecordSpill) -> list[str]:
    return [name for batch in spill.parts() for name in batch.column("id").to_pylist()]


def test_records_come_back_in_the_order_of_their_ids_whenever_they_are_read(tmp_path: Path) -> None:
    some = records(3_000, random.Random(1))
    spill = spilled(tmp_path, [to_batch(some[:1_200]), to_batch(some[1_200:])])
    assert ids(spill) == ids(spill) == sorted(one.id for one in some)


@pytest.mark.parametrize("size", [7, 24])
def test_ids_of_other_lengths_come_back_in_order(tmp_path: Path, size: int) -> None:
    draw = random.Random(size)
    names = [one.id * 2 for one in records(400, draw)]
    some = [
        dataclasses.replace(one, id=name[: draw.randint(2, size)])
        for one, name in zip(records(400, draw), names, strict=True)
    ]
    assert ids(spilled(tmp_path, [to_batch(some)])) == sorted(one.id for one in some)


def test_records_of_one_id_come_back_in_the_order_of_their_digests(tmp_path: Path) -> None:
    [one] = records(1, random.Random(3))
    twins = [dataclasses.replace(one, source=Source("tiny", "1", f"x:{n}", "MIT")) for n in range(9)]
    orders = []
    for seed in range(3):
        shuffled = random.Random(seed).sample(twins, len(twins))
        [part] = spilled(tmp_path / str(seed), [to_batch(shuffled)]).parts()
        orders.append(part.column("source").to_pylist())
    assert orders[0] == orders[1] == orders[2]
