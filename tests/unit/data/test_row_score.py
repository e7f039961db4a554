import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.data.language_id import RestrictedIdentifier
from tongues.data.letter_ratios import english_letters, length_ratio, letters_per_english
from tongues.data.row_score import RowScorer

SCORE = RowScorer(RestrictedIdentifier(), ["es", "ca", "gl"])
ENGLISH = "The old house of my grandmother stands near the river, and it has a large garden."
SPANISH = "La vieja casa de mi abuela está cerca del río y tiene un jardín grande."


def score(source: str, translated: str, target: str = "es") -> float:
    return SCORE(source, translated, "en", target)


def test_score_of_a_good_translation_is_near_one() -> None:
    assert score(ENGLISH, SPANISH) > 0.9
    assert score(ENGLISH, "我祖母的老房子坐落在河边，还有一个很大的花园。", "zh-Hans") > 0.8


@pytest.mark.parametrize(
    "worse",
    [
        "La vieja house de mi grandmother está cerca del river y tiene un garden grande.",
        SPANISH[: len(SPANISH) // 2],
        f"{SPANISH} {SPANISH} {SPANISH}",
        "A vella casa da miña avoa está preto do río e ten un xardín moi grande.",
        "La casa está near the river, and it has a large garden.",
    ],
)
def test_score_falls_with_words_left_text_lost_or_added_and_another_language(worse: str) -> None:
    assert score(ENGLISH, worse) < 0.7 < score(ENGLISH, SPANISH)


def test_score_falls_with_every_word_that_is_left_as_it_was() -> None:
    words, left = SPANISH.split(), ENGLISH.split()
    scores = [score(ENGLISH, " ".join(left[:n] + words[n:])) for n in (0, 3, 6, 9)]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.1


def test_score_does_not_count_names_that_stay() -> None:
    source = "Yesterday Maria Schmidt travelled from Berlin to Edinburgh with Jonathan."
    translated = "Ayer Maria Schmidt viajó desde Berlin hasta Edinburgh con su amigo Jonathan."
    assert score(source, translated) > 0.5
    assert score(source, translated) - score(source, translated.replace("viajó", "travelled")) > 0.3


def test_score_of_a_source_already_in_the_target_language_is_not_lowered_for_it() -> None:
    assert score(SPANISH, SPANISH) > 0.9
    assert score(ENGLISH, ENGLISH) < 0.05


def test_score_of_a_language_nobody_can_tell_goes_by_the_rest() -> None:
    asturian = "La vieya casa de la mio güela ta cerca del ríu y tien un xardín grande."
    assert score(ENGLISH, asturian, "ast") > 0.8


@pytest.mark.parametrize(
    ("source", "translated", "expected"), [("", "", 1.0), ("12 + 3", "", 1.0), ("Yes", "12", 0.0)]
)
def test_score_without_letters(source: str, translated: str, expected: float) -> None:
    assert score(source, translated) == expected


@given(st.text(), st.text(), st.sampled_from(["es", "th", "ast", "mni-Mtei"]))
def test_score_of_any_two_texts_is_a_share_and_repeats(source: str, translated: str, target: str) -> None:
    first = score(source, translated, target)
    assert 0 <= first <= 1
    assert first == RowScorer(RestrictedIdentifier(), ["gl", "ca", "es"])(source, translated, "en", target)


def test_length_ratio_is_one_where_the_letters_are_as_many_as_usual() -> None:
    assert length_ratio("a" * 100, "字" * 34, "en", "zh-Hans") == pytest.approx(1)
    assert length_ratio("字" * 34, "a" * 100, "zh-Hans", "en") == pytest.approx(1)
    assert length_ratio("", "a", "en", "es") == 0
    assert letters_per_english("ti") == pytest.approx(letters_per_english("am"))
    assert english_letters("a1 \u0301!", "en") == 1
