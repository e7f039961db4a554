from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.data.buckets import Buckets
from tongues.data.draw import Draw
from tongues.data.removals import Removals

KEYS = st.integers(0, 2**64 - 1)


def reference(rows: list[tuple[int, int, int]], wanted: list[int]) -> list[int]:
    """Sort everything in memory, and go down each urn until one does not fit."""
    urns = defaultdict(list)
    for _, place in sorted((rank, place) for place, (rank, *_) in enumerate(rows)):
        urns[rows[place][1]].append((place, rows[place][2]))
    chosen = []
    for cell, waiting in urns.items():
        left = wanted[cell]
        for place, size in waiting:
            if size > left:
                break
            chosen.append(place)
            left -= size
    return sorted(chosen)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(KEYS | st.sampled_from([5, 2**63]), st.integers(0, 2), st.integers(1, 9)), max_size=60
    ),
    st.lists(st.integers(0, 60), min_size=3, max_size=3),
    st.integers(1, 20),
)
def test_drawn_is_what_sorting_everything_in_memory_gives(
    rows: list[tuple[int, int, int]], wanted: list[int], size: int
) -> None:
    ranks, cells, sizes = (np.array([row[n] for row in rows], np.uint64) for n in range(3))
    with TemporaryDirectory() as folder:
        with Draw(Path(folder)) as draw:
            for start in range(0, len(rows), size):
                here = np.arange(start, min(start + size, len(rows)))
                draw.add(ranks=ranks[here], places=here, cells=cells[here], sizes=sizes[here])
        assert draw.available(3) == [sum(size for _, cell, size in rows if cell == n) for n in range(3)]
        assert draw.drawn(wanted).tolist() == reference(rows, wanted)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(KEYS, st.integers(0, 99))), st.integers(1, 9))
def test_buckets_give_every_row_back_in_the_order_of_key_beginnings(
    rows: list[tuple[int, int]], size: int
) -> None:
    with TemporaryDirectory() as folder:
        with Buckets(Path(folder), [("key", np.uint64), ("place", np.uint32)]) as buckets:
            for start in range(0, len(rows), size):
                some = rows[start : start + size]
                buckets.add(
                    key=np.array([r[0] for r in some], np.uint64), place=np.array([r[1] for r in some])
                )
        back = [(int(row["key"]), int(row["place"])) for part in buckets.parts() for row in part]
    assert back == sorted(rows, key=lambda row: row[0] >> 58)


def test_removals_hand_a_survivor_that_went_on_to_its_own() -> None:
    exact = Removals.of([7, 4, 9], [2, 1, 3])
    near = Removals.of([3, 2], [0, 1], [0.8, 0.9])
    both = exact.followed_by(near)
    assert dict(zip(both.places.tolist(), both.survivors.tolist(), strict=True)) == {
        7: 1,
        4: 1,
        9: 0,
        3: 0,
        2: 1,
    }
    assert both.survivor_of(9) == (0, float(np.float32(0.8))) and both.survivor_of(4) == (1, 1.0)
    assert both.survivor_of(1) is None and both.survivor_of(10) is None
    assert both.staying(11).nonzero()[0].tolist() == [0, 1, 5, 6, 8, 10]
    assert len(Removals.none().followed_by(near)) == 2 and exact.followed_by(Removals.none()).survivor_of(
        7
    ) == (2, 1.0)
