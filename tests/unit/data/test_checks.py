import pytest

from tongues.core.ports import Verdict
from tongues.core.recipe import TranslationSection
from tongues.data.checks import standard_checks
from tongues.data.language_id import RestrictedIdentifier

SECTION = TranslationSection.model_validate({"engine": {"kind": "apertium"}})
CHECKS = standard_checks(SECTION, RestrictedIdentifier(), ["es", "ca", "gl"])
ENGLISH = "The old house of my grandmother stands near the river, and it has a large garden."
SPANISH = "La vieja casa de mi abuela está cerca del río y tiene un jardín grande."


def verdicts(source: str, translated: str, target: str = "es", source_lang: str = "en") -> list[Verdict]:
    return [check(source, translated, source_lang, target) for check in CHECKS]


def failures(source: str, translated: str, target: str = "es", source_lang: str = "en") -> list[str]:
    return [v.reason for v in verdicts(source, translated, target, source_lang) if not v.ok]


def test_checks_of_a_good_translation_are_all_ok() -> None:
    seen = verdicts(ENGLISH, SPANISH)
    assert {v.reason for v in seen} == {"ok"}
    assert len({v.check for v in seen}) == len(CHECKS)


@pytest.mark.parametrize(
    ("source", "translated", "reason"),
    [
        (ENGLISH, "", "empty"),
        (ENGLISH, " \u200b\n", "empty"),
        (ENGLISH, ENGLISH.upper() + "!", "echo"),
        (ENGLISH, SPANISH[:15], "too-short"),
        (ENGLISH, SPANISH + " Además, " + SPANISH.replace("casa", "finca") * 3, "too-long"),
        ("He has 3 cats and 1,000.5 euros", "Tiene 3 gatos y 1.000,6 euros", "changed-numbers"),
        ("He has some cats", "Tiene 3 gatos", "changed-numbers"),
        ("in the 19th century", "en el siglo XX", "changed-numbers"),
        ("a (b) c", "a (b c", "unbalanced-markup"),
        ("a **b** c", "a ** b c", "unbalanced-markup"),
        ("a [b] c", "a ]b[ c", "unbalanced-markup"),
        (ENGLISH, SPANISH[:40] + " casa casa casa casa casa casa casa", "repetition"),
        (ENGLISH, "Sí. " + "Esto es así. " * 8, "repetition"),
        (ENGLISH, "I'm sorry, but I can't do what you want from me here.", "refusal"),
        (ENGLISH, "Como modelo de lenguaje, no tengo una abuela ni una casa.", "refusal"),
        (ENGLISH, f"Here is the translation: {SPANISH}", "meta-comment"),
        (ENGLISH, f"Sure! Here's your Spanish translation:\n{SPANISH}", "meta-comment"),
        (ENGLISH, f"{SPANISH}\nNote: I kept the original meaning in this translation.", "meta-comment"),
        (
            ENGLISH,
            "A vella casa da miña avoa está preto do río e ten un xardín moi grande.",
            "wrong-language",
        ),
        (
            ENGLISH,
            "The ancient home of my granny is by the river, and there is a big garden.",
            "wrong-language",
        ),
    ],
)
def test_checks_of_a_bad_translation_fail_with_the_reason(source: str, translated: str, reason: str) -> None:
    assert reason in failures(source, translated)


@pytest.mark.parametrize(
    ("source", "translated"),
    [
        ("", ""),
        ("Leonardo da Vinci", "Leonardo da Vinci"),
        ("Seattle, Boston, New York, Los Angeles", "Seattle, Boston, New York, Los Angeles"),
        ("no", "no"),
        ("Yes.", "Sí, así es."),
        ("1. 2. 3.", "1. 2. 3."),
        ("1,000.5 km in 10:30", "1.000,5 km en 10.30"),
        ("2 of 3", "3 de 2"),
        ("the 21st century", "el siglo XXI"),
        ("the 15th century", "el segle xv"),
        ("1) one 2) two", "1) uno 2) dos"),
        ("I'm sorry, but I cannot come today.", "Lo siento, pero no puedo venir hoy."),
        ("very very very very very very very good and fine", "muy muy muy muy muy muy muy bueno y bien"),
        ("Translate the text into Spanish", "Translation: texto en español"),
    ],
)
def test_checks_of_an_innocent_translation_do_not_fail(source: str, translated: str) -> None:
    assert failures(source, translated) == []


def test_language_check_of_a_short_text_is_only_a_hint() -> None:
    seen = {v.check: v for v in verdicts("good bread", "bo pan e viño")}
    assert seen["language"].reason in ("unsure", "ok")
    assert seen["language"].ok


def test_language_check_that_is_not_confident_is_only_a_hint() -> None:
    names = "George Washington, Confucius, Michael Jordania, Michelangelo"
    seen = {v.check: v for v in verdicts(names + "!", names)}
    assert (seen["language"].ok, seen["language"].reason) == (True, "unsure")


def test_language_check_of_a_target_nobody_can_tell_knows_only_the_source_language() -> None:
    catalan = "La vella casa de la meva àvia és a prop del riu, i té un jardí gran amb tres pomeres. "
    seen = {v.check: v for v in verdicts(ENGLISH * 4, catalan * 4, target="ast")}
    assert (seen["language"].ok, seen["language"].reason) == (True, "unsure")
    assert failures(SPANISH, ENGLISH, target="ast", source_lang="en") == ["wrong-language"]


@pytest.mark.parametrize(
    ("translated", "target"),
    [
        ("我祖母的老房子坐落在河边，还有一个很大的花园。", "zh-Hans"),
        ("祖母の古い家は川の近くにあり、大きな庭があります。", "ja"),
        ("บ้านเก่าของคุณยายของฉันอยู่ใกล้แม่น้ำและมีสวนขนาดใหญ่", "th"),
        ("यह मेरी दादी का पुराना घर नदी के पास है और इसमें एक बड़ा बगीचा है।", "hi"),
        ("بيت جدتي القديم يقع بالقرب من النهر وفيه حديقة كبيرة.", "ar"),
        ("우리 할머니의 오래된 집은 강 근처에 있고 큰 정원이 있습니다.", "ko"),
    ],
)
def test_checks_of_other_scripts_accept_a_translation_and_refuse_a_loop(translated: str, target: str) -> None:
    assert failures(ENGLISH, translated, target) == []
    loop = translated[: len(translated) // 3] + translated[2:8] * 12
    assert "repetition" in failures(ENGLISH, loop, target)


def test_number_check_compares_digits_of_all_scripts_by_value() -> None:
    assert "changed-numbers" not in failures("I have 25 books and 7 pens", "لدي ٢٥ كتابا و٧ أقلام", "ar")
    assert "changed-numbers" in failures("I have 25 books and 7 pens", "لدي ٢٦ كتابا و٧ أقلام", "ar")


@pytest.mark.timeout(30)
def test_checks_of_a_very_long_text_end() -> None:
    assert "repetition" in failures("word " * 3 + ENGLISH * 2_000, "palabra larga " * 20_000)
