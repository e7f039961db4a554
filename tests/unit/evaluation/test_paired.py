"""Paired differences: Tango's bound against a brute-force likelihood, and what a candidate can do to it."""

from math import log, sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.comparison import CONFIDENCES
from tongues.evaluation.paired import by_bootstrap, paired, score_bound


def likeliest_losses(gained: int, lost: int, n: int, d: float) -> float:
    """Share of losses with the largest multinomial likelihood where gains less losses are d, by trying."""

    def fit(q: float) -> float:
        parts = ((gained, q + d), (lost, q), (n - gained - lost, 1 - 2 * q - d))
        return sum(count * log(max(share, 1e-300)) for count, share in parts if count)

    low, high = max(0.0, -d), (1 - d) / 2
    for _ in range(12):  # narrow a grid twelve times
        step = (high - low) / 40
        best = max((low + i * step for i in range(41)), key=fit)
        low, high = max(0.0, -d, best - step), min((1 - d) / 2, best + step)
    return (low + high) / 2


@pytest.mark.parametrize(
    ("gained", "lost", "n"), [(5, 8, 60), (0, 10, 24), (12, 3, 40), (1, 1, 7), (9, 0, 30), (2, 6, 500)]
)
def test_score_bound_is_where_the_brute_force_score_test_turns(gained: int, lost: int, n: int) -> None:
    bound = score_bound(gained, lost, n, 0.95)
    q = likeliest_losses(gained, lost, n, bound)
    score = (gained - lost - n * bound) / sqrt(n * (2 * q + bound * (1 - bound)))
    assert score == pytest.approx(NormalDist().inv_cdf(0.95), abs=1e-3)


@pytest.mark.parametrize(("n", "bound"), [(5, -0.3511), (60, -0.0431), (500, -0.0054)])
def test_score_bound_few_items_without_any_change_leave_much_open(n: int, bound: float) -> None:
    z = NormalDist().inv_cdf(0.95)
    assert score_bound(0, 0, n, 0.95) == pytest.approx(-z * z / (n + z * z)) == pytest.approx(bound, abs=1e-4)


tables = st.integers(1, 60).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n)).filter(lambda t: t[0] + t[1] <= n)
)


@given(tables, st.sampled_from(CONFIDENCES))
def test_score_bound_worse_answers_never_raise_it(table: tuple[int, int, int], confidence: float) -> None:
    gained, lost, n = table
    bound = score_bound(gained, lost, n, confidence)
    assert -1 <= bound <= (gained - lost) / n + 1e-12
    if gained + lost < n:
        assert score_bound(gained, lost + 1, n, confidence) <= bound + 1e-9
    if gained:
        assert score_bound(gained - 1, lost, n, confidence) <= bound + 1e-9
        assert score_bound(gained - 1, lost + 1, n, confidence) <= bound + 1e-9


@given(tables)
def test_score_bound_more_confidence_leaves_more_open(table: tuple[int, int, int]) -> None:
    bounds = [score_bound(*table, confidence) for confidence in CONFIDENCES]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == pytest.approx((table[0] - table[1]) / table[2], abs=1e-9)


def test_paired_right_and_wrong_takes_the_score_interval_in_both_directions() -> None:
    found = paired([1, 1, 1, 0, 0], [1, 1, 1, 0, 0])
    assert found.interval == "score"
    assert (found.change.low, found.change.high) == pytest.approx((-0.4345, 0.4345), abs=1e-4)
    assert found.gain_at_least(-1) == pytest.approx(found.gain_at_least(1))


def test_paired_other_values_are_resampled_and_below_ten_items_have_no_bound() -> None:
    before, after = [0.1 * i for i in range(12)], [0.1 * i + 0.2 for i in range(12)]
    found = paired(before, after)
    assert found.interval == "bootstrap"
    assert found.at_least["0.95"] == pytest.approx(0.2)
    few = paired(before[:9], after[:9])
    assert few.at_least == {"0.5": pytest.approx(0.2)}


def test_gain_of_a_measure_where_less_is_better_is_bounded_by_the_rise() -> None:
    lost = paired([0.0] * 20, [1.0] * 5 + [0.0] * 15)  # failures rose by a quarter
    assert lost.gain_at_least(-1)["0.5"] == pytest.approx(-0.25)
    assert lost.gain_at_least(-1)["0.95"] < -0.25 < lost.gain_at_least(1)["0.5"]


def test_by_bootstrap_percentiles_are_those_of_the_resamples() -> None:
    np = pytest.importorskip("numpy")
    found = by_bootstrap(0.0, np.linspace(-1, 1, 1001), 50)
    assert found.at_least["0.95"] == pytest.approx(-0.9)
    assert found.at_most["0.99"] == pytest.approx(0.98)
