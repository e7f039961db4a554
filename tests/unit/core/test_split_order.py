"""The order that splits cut, and neighbourhoods in it."""

import hashlib
import random

from hypothesis import given
from hypothesis import strategies as st

from tongues.core.split_order import in_split_order, neighbourhoods

names = st.lists(st.text("abc", min_size=1, max_size=4), max_size=40)


def test_in_split_order_follows_the_documented_digest() -> None:
    groups = [f"g{g}" for g in range(50)]
    key = {g: hashlib.blake2b(f"9:{g}".encode(), digest_size=8).digest() for g in groups}
    assert in_split_order(groups, seed=9) == sorted(groups, key=key.__getitem__)


@given(names, st.integers(1, 9), st.integers(0, 5))
def test_neighbourhoods_cut_the_order_into_pieces_of_at_least_the_size(
    groups: list[str], size: int, seed: int
) -> None:
    pieces = neighbourhoods(groups, size, seed=seed)
    assert [g for piece in pieces for g in piece] == in_split_order(groups, seed=seed)
    assert all(len(piece) == size for piece in pieces[:-1])
    assert all(len(piece) < 2 * size for piece in pieces)
    assert len(pieces) <= 1 or len(pieces[-1]) >= size


@given(names, st.integers(0, 5))
def test_in_split_order_does_not_depend_on_the_order_of_input(groups: list[str], seed: int) -> None:
    shuffled = random.Random(1).sample(groups, len(groups)) + groups[:3]
    assert in_split_order(shuffled, seed=seed) == in_split_order(groups, seed=seed)
