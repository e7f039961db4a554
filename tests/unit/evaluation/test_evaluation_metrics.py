from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.evaluation.intervals import wilson
from tongues.evaluation.metrics import (
    ac3,
    chance,
    consistency,
    item_agreement,
    share,
    together,
)

LETTERS = st.sampled_from("ABCD")


@st.composite
def aligned_answers(draw: st.DrawFn) -> dict[str, list[str]]:
    languages, items = draw(st.integers(2, 6)), draw(st.integers(1, 12))
    return {f"l{i}": draw(st.lists(LETTERS, min_size=items, max_size=items)) for i in range(languages)}


def brute_force_consistency(answers: dict[str, list[str]], s: int) -> float:
    """The definition itself: every subset of s languages, every item."""
    subsets = list(combinations(answers, s))
    items = len(next(iter(answers.values())))
    means = [
        sum(len({answers[lang][i] for lang in subset}) == 1 for i in range(items)) / items
        for subset in subsets
    ]
    return sum(means) / len(subsets)


@given(aligned_answers(), st.data())
def test_consistency_any_answers_equal_brute_force(
    answers: dict[str, list[str]], data: st.DataObject
) -> None:
    s = data.draw(st.integers(2, len(answers)))
    assert consistency(answers, s) == pytest.approx(brute_force_consistency(answers, s), abs=1e-12)


@given(aligned_answers())
def test_consistency_larger_subsets_never_agree_more(answers: dict[str, list[str]]) -> None:
    values = [consistency(answers, s) for s in range(2, len(answers) + 1)]
    assert values == sorted(values, reverse=True)
    assert all(0 <= value <= 1 for value in values)


def test_consistency_known_answers() -> None:
    answers = {"en": "AAB", "es": "AAC", "zh": "ABD", "vi": "ABA"}
    assert consistency(answers, 2) == pytest.approx((6 / 6 + 2 / 6 + 0) / 3)
    assert consistency(answers, 3) == pytest.approx((1 + 0 + 0) / 3)
    assert consistency(answers, 4) == pytest.approx(1 / 3)


def test_consistency_agreement_on_a_wrong_letter_counts_but_blanks_do_not() -> None:
    assert item_agreement(["C", "C", "C"], 3) == 1
    assert item_agreement(["", "", ""], 2) == 0


def test_consistency_guessing_meets_the_stated_chance() -> None:
    everything = {"en": [], "es": [], "ca": []}  # every combination of letters once
    for a in "ABCD":
        for b in "ABCD":
            for c in "ABCD":
                for lang, letter in zip(everything, (a, b, c), strict=True):
                    everything[lang].append(letter)
    accuracy, consistent, harmonic = chance(4, 3)
    assert consistency(everything, 3) == pytest.approx(consistent) == pytest.approx(0.0625)
    assert (accuracy, harmonic) == (pytest.approx(0.25), pytest.approx(0.10))


@pytest.mark.parametrize("s", [0, 1, 4])
def test_consistency_subset_size_out_of_range_is_refused(s: int) -> None:
    with pytest.raises(ValueError, match=r"must lie in 2\.\.3"):
        consistency({"a": "A", "b": "A", "c": "A"}, s)


@pytest.mark.parametrize(
    ("accuracy", "consistent", "published"),
    [(51.4, 58.3, 54.6), (92.4, 87.6, 90.0), (89.4, 81.5, 85.3), (33.0, 32.1, 32.5), (40.3, 33.3, 36.5)],
)
def test_ac3_published_aggregates_reproduce(accuracy: float, consistent: float, published: float) -> None:
    # the published accuracy and consistency are rounded themselves
    assert ac3(accuracy, consistent) == pytest.approx(published, abs=0.1)


def test_ac3_two_zeros_give_zero() -> None:
    assert ac3(0.0, 0.0) == 0.0


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe, Stat. Med. 17 (1998) 857, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_published_intervals_reproduce(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 500), st.data())
def test_wilson_any_share_lies_inside_and_more_items_narrow_it(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1
    wider = wilson(successes * 10, n * 10)
    assert wider[1] - wider[0] < high - low


def test_share_nothing_asked_says_so() -> None:
    measured = share([])
    assert (measured.n, measured.low, measured.high) == (0, 0.0, 1.0)


def test_together_figures_equal_the_single_functions() -> None:
    answers = {"en": list("ABCA"), "es": list("ABDA"), "gl": list("ACDB")}
    gold = list("ABCD")
    figures = together(answers, gold)
    accuracy = (3 / 4 + 2 / 4 + 1 / 4) / 3
    assert figures["accuracy"].value == pytest.approx(accuracy)
    assert set(figures) == {"accuracy", "consistency_2", "ac3_2", "consistency_3", "ac3_3"}
    for s in (2, 3):
        assert figures[f"consistency_{s}"].value == pytest.approx(consistency(answers, s))
        assert figures[f"ac3_{s}"].value == pytest.approx(ac3(accuracy, consistency(answers, s)))
    for figure in figures.values():
        assert figure.low is not None and figure.high is not None
        assert figure.low <= figure.value <= figure.high
        assert figure.n == 4


def test_together_one_language_has_accuracy_alone() -> None:
    assert set(together({"en": ["A"]}, ["A"])) == {"accuracy"}


@given(st.integers(2, 6), st.integers(2, 6))
def test_chance_formula_counts_combinations(options: int, s: int) -> None:
    assert chance(options, s)[1] == pytest.approx(options / options**s)
    assert comb(s, s) == 1
