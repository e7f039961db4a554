from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.evaluation.answers import exact_match, f1, last_number, normalised_tokens


@pytest.mark.parametrize(
    ("text", "lang", "tokens"),
    [
        ("The Cat's  “big” house.", "en", ["cats", "big", "house"]),
        ("La casa de las flores", "es", ["casa", "de", "flores"]),
        ("The casa", "es", ["the", "casa"]),
        ("L’Église du château", "fr", ["église", "château"]),
        ("l'aigua", "ca", ["aigua"]),
        ("الكتاب", "ar", ["كتاب"]),
        ("在14世纪，the end", "zh-Hans", ["在", "14", "世", "纪", "the", "end"]),
        ("น้ำ ปลา", "th", ["น้ํ", "า", "ป", "ล", "า"]),
        ("ＡＢＣ", "en", ["abc"]),
        ("…—!", "en", []),
    ],
)
def test_normalised_tokens_known_answers_per_language(text: str, lang: str, tokens: list[str]) -> None:
    assert normalised_tokens(text, lang) == tokens


def test_f1_is_two_thirds_for_two_of_three_and_three() -> None:
    # common 2, answer 3 tokens, gold 3 tokens: 2*2/(3+3)
    assert f1("the red big house", ["red big barn"], "en") == pytest.approx(2 / 3)
    assert f1("红色房子", ["红色"], "zh-Hans") == pytest.approx(2 * 2 / (4 + 2))
    assert not exact_match("the red big house", ["red big barn"], "en")


def test_f1_takes_the_best_known_answer_and_counts_a_repeated_word_once() -> None:
    assert f1("blue", ["red", "the blue"], "en") == 1.0
    assert f1("blue blue blue", ["blue"], "en") == pytest.approx(2 * 1 / (3 + 1))


def test_f1_of_nothing_is_one_only_against_nothing() -> None:
    assert f1("", ["x"], "en") == 0.0
    assert f1("the", ["a"], "en") == 1.0


def brute_force_f1(answer: list[str], gold: list[str]) -> float:
    """Precision and recall by taking tokens away one at a time."""
    rest, hit = list(gold), 0
    for token in answer:
        if token in rest:
            rest.remove(token)
            hit += 1
    if not answer or not gold:
        return float(answer == gold)
    precision, recall = hit / len(answer), hit / len(gold)
    return 2 * precision * recall / (precision + recall) if hit else 0.0


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(["en", "es", "fr", "ar", "th", "zh-Hans"]))
def test_f1_equals_precision_and_recall_counted_by_hand(answer: str, gold: str, lang: str) -> None:
    tokens = normalised_tokens(answer, lang), normalised_tokens(gold, lang)
    assert f1(answer, [gold], lang) == pytest.approx(brute_force_f1(*tokens))
    assert exact_match(answer, [gold], lang) == (tokens[0] == tokens[1])
    assert f1(answer, [answer], lang) == 1.0


@given(st.text(max_size=60), st.sampled_from(["en", "th", "ar", "zh-Hans"]))
def test_normalised_tokens_lose_no_letter_of_a_language_without_articles(text: str, lang: str) -> None:
    letters = Counter(c for c in "".join(normalised_tokens(text, "sw")))
    assert all(not c.isspace() for c in letters)
    assert Counter("".join(normalised_tokens(text, lang))) <= letters


@pytest.mark.parametrize(
    ("text", "lang", "number"),
    [
        ("so 3 + 4 = 7.", "en", "7"),
        ("$1,234", "en", "1234"),
        ("1,234 km", "de", "1.234"),
        ("1.234 km", "de", "1234"),
        ("1.234,50 €", "de", "1234.5"),
        ("1,234,567", "sw", "1234567"),
        ("18 000 dollars", "fr", "18000"),
        ("18\u202f000", "fr", "18000"),
        ("a. 5 b. 12,5", "es", "12.5"),
        ("٣٤٫٥", "ar", "34.5"),
        ("उत्तर १२ है", "hi", "12"),
        ("答案是18。", "zh-Hans", "18"),
        ("−3", "en", "-3"),
        ("18.0", "en", "18"),
        ("none at all ² ½", "en", None),
        ("", "en", None),
        ("9" * 5_000, "en", None),
    ],
)
def test_last_number_as_each_language_writes_it(text: str, lang: str, number: str | None) -> None:
    assert last_number(text, lang) == (None if number is None else Decimal(number))


@given(st.text(alphabet="0123456789.,-−٣٫'’ \u00a0xé", max_size=40), st.sampled_from(["en", "de", "ar"]))
def test_last_number_never_fails(text: str, lang: str) -> None:
    last_number(text, lang)


def test_last_number_megabyte_of_marks_is_quick() -> None:
    assert last_number("1," * 500_000, "en") is None
