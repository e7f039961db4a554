import pytest

from tongues.core.languages import languages
from tongues.core.ports import Identify
from tongues.data.language_check import LanguageCheck
from tongues.data.language_id import RestrictedIdentifier, untellable
from tongues.data.letter_ratios import count_letters

IDENTIFIER = RestrictedIdentifier()
IDENTIFY: Identify = IDENTIFIER


@pytest.mark.parametrize(
    ("text", "candidates", "lang"),
    [
        ("La casa de mi abuela es muy grande y tiene un jardín.", ["es", "ca", "gl", "en"], "es"),
        ("La casa de la meva àvia és molt gran i té un jardí.", ["es", "ca", "gl", "en"], "ca"),
        ("A casa da miña avoa é moi grande e ten un xardín.", ["es", "ca", "gl", "en"], "gl"),
        ("The house of my grandmother is very large.", ["es", "ca", "gl", "en"], "en"),
        ("वह स्कूल जाता है", ["en", "hi"], "hi"),
        ("這是一個測試，請翻譯這個句子", ["en", "zh-Hans", "zh-Hant"], "zh-Hant"),
        ("这是一个测试，请翻译这个句子", ["en", "zh-Hant", "zh-Hans"], "zh-Hans"),
        ("Ang bahay ng aking lola ay malaki", ["en", "fil"], "fil"),
    ],
)
def test_identify_among_candidates_names_the_language(text: str, candidates: list[str], lang: str) -> None:
    seen = IDENTIFY(text, candidates)
    assert seen.lang == lang
    assert 0.5 < seen.confidence <= 1


@pytest.mark.parametrize("text", ["", "123 + 4 = ?", "\u200d\u0301 …"])
def test_identify_of_a_text_without_letters_is_undetermined(text: str) -> None:
    assert IDENTIFY(text, ["en", "es"]).lang == "und"


def test_identify_does_not_depend_on_the_order_of_candidates() -> None:
    text = "no sé"
    assert IDENTIFY(text, ["es", "ca", "gl"]) == IDENTIFY(text, ["gl", "es", "ca"])


def test_identify_with_a_candidate_it_does_not_know_excludes_nothing() -> None:
    asturian = "La casa de la mio güela ye perguapa y tien un xardín"
    assert IDENTIFY(asturian, ["ast", "en"]).lang == "und"
    assert IDENTIFY("This is plainly an English sentence.", ["ast", "en"]).lang == "en"
    assert IDENTIFY(asturian, ["ast"]).lang == "und"


def test_identify_of_a_lone_surrogate_does_not_fail() -> None:
    assert IDENTIFY("\ud800 hello my good friend", ["en", "es"]).lang == "en"


def test_supports_says_which_languages_of_the_table_are_known() -> None:
    unknown = {code for code in languages() if not IDENTIFIER.supports(code)}
    assert {"ast", "ckb", "mi"} <= unknown
    assert not unknown & {"es", "ca", "gl", "eo", "zh-Hans", "fil", "gn"}
    assert len(unknown) < 30


def test_count_letters_counts_no_marks_digits_or_signs() -> None:
    assert count_letters("añ1 ก็ e\u0301!") == 4


def test_untellable_names_unknown_languages_and_pairs_that_are_confused() -> None:
    told = untellable(["en", "es", "ast", "id", "ms", "hr"])
    assert sorted(told) == ["ast", "id", "ms"]
    assert "not known" in told["ast"]
    assert "ms" in told["id"]
    assert "id" in told["ms"]
    assert untellable(["en", "id", "hr"]) == {}


def test_language_check_does_not_trust_the_identifier_between_languages_it_confuses() -> None:
    croatian = "Stara kuća moje bake nalazi se blizu rijeke i ima veliki vrt s tri jabuke. " * 2
    check = LanguageCheck(RestrictedIdentifier(), ("hr", "bs", "es"), 40)
    source = "The old house of my grandmother stands near the river. " * 2
    assert check(source, croatian, "en", "bs").ok
    assert check(source, croatian, "en", "hr").ok
    assert check(source, croatian, "en", "es").reason == "wrong-language"


def test_identify_of_a_long_text_looks_at_both_ends() -> None:
    spanish, english = "La casa de mi abuela es grande. ", "The house of my grandmother is large. "
    identify = RestrictedIdentifier()
    assert identify(spanish * 20_000, ["en", "es"]).lang == "es"
    assert identify(english * 200 + spanish * 40_000, ["en", "es"]).confidence > 0.5
