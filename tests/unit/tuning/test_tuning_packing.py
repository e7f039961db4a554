"""Rows into passes: known answers, and what must hold for any lengths."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.tuning.packing import Budget, best_fit, efficiency, like_lengths, share_out, slots, split_step

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=60)
BUDGETS = st.builds(Budget, tokens=st.integers(1, 600), rows=st.integers(1, 12))


def test_best_fit_known_answer() -> None:
    # By hand: 6 opens a bin (4 free); 5 another (5 free); 4 fits the first best; 3 the second, and 2 too.
    passes = best_fit([4, 5, 6, 2, 3], Budget(10, 9))
    assert [sorted(one) for one in passes] == [[0, 2], [1, 3, 4]]
    assert efficiency(passes, [4, 5, 6, 2, 3], Budget(10, 9)) == 1.0


def test_best_fit_takes_the_fullest_bin_that_holds_the_row_not_the_first() -> None:
    # 7 leaves 3 free, 6 leaves 4; a first fit would waste one slot on the 4 and open a third bin.
    assert best_fit([6, 7, 3, 4], Budget(10, 9)) == [(1, 2), (0, 3)]


def test_like_lengths_known_answer() -> None:
    # Sorted 8 7 3 2 2: 8+7 take 16 slots, a third row would make 24; then 3 rows of 3 slots.
    passes = like_lengths([2, 8, 3, 7, 2], Budget(16, 9))
    assert passes == [(1, 3), (2, 0, 4)]
    assert [slots(one, [2, 8, 3, 7, 2], "padded") for one in passes] == [16, 9]


@given(lengths=LENGTHS, budget=BUDGETS, layout=st.sampled_from(["packed", "padded"]))
def test_split_step_every_row_is_in_one_pass_and_budgets_hold(
    lengths: list[int], budget: Budget, layout: str
) -> None:
    passes = split_step(lengths, layout, budget)  # type: ignore[arg-type]
    assert sorted(i for one in passes for i in one) == list(range(len(lengths)))
    for one in passes:
        size = slots(one, lengths, layout)  # type: ignore[arg-type]
        assert len(one) == 1 or (size <= budget.tokens and len(one) <= budget.rows)


@given(lengths=LENGTHS, budget=BUDGETS, ranks=st.integers(1, 5))
def test_share_out_gives_all_processes_as_many_passes_and_each_row_to_one(
    lengths: list[int], budget: Budget, ranks: int
) -> None:
    shares = share_out(best_fit(lengths, budget), lengths, ranks)
    assert len({len(share) for share in shares}) == 1
    assert sorted(i for share in shares for one in share for i in one) == list(range(len(lengths)))


def test_share_out_empty_passes_only_where_rows_are_fewer_than_processes() -> None:
    shares = share_out([(0, 1, 2, 3)], [5, 5, 5, 5], 4)
    assert all(one for share in shares for one in share)
    assert sum(not one for share in share_out([(0,)], [5], 3) for one in share) == 2


@pytest.mark.parametrize("seed", range(3))
def test_best_fit_fills_passes_of_mixed_rows_to_97_percent(seed: int) -> None:
    draw = random.Random(seed)
    lengths = [min(int(draw.lognormvariate(5, 0.8)) + 8, 2048) for _ in range(600)]
    budget = Budget(4096, 600)
    assert efficiency(best_fit(lengths, budget), lengths, budget) >= 0.97
