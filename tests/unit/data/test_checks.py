import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.languages import languages
from tongues.core.ports import Verdict
from tongues.core.recipe import TranslationSection
from tongues.data.checks import standard_checks
from tongues.data.language_check import LanguageCheck
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


STORY = f"{ENGLISH} We went there in summer. My brother liked the trees. I liked the boats. It was good."
CUENTO = f"{SPANISH} Íbamos en verano. A mi hermano le gustaban los árboles. A mí, los barcos. Era bueno."


def hints(source: str, translated: str, target: str = "es", source_lang: str = "en") -> dict[str, str]:
    found = {v.check: v.reason for v in verdicts(source, translated, target, source_lang) if v.ok}
    return {check: reason for check, reason in found.items() if reason != "ok"}


@pytest.mark.parametrize(
    ("source", "translated", "target", "reasons"),
    [
        (ENGLISH, "La vieja casa de mi abuela está cerca del", "es", ["truncated"]),
        (ENGLISH, "La vieja casa de mi abuela está cerca del río y tiene un jardín grande, con", "es", []),
        (
            ENGLISH,
            "La vieja casa de mi abuela está cerca del río y tiene un jardín grande,",
            "es",
            ["truncated"],
        ),
        (f"{ENGLISH}\nGood.", "La vieja casa de mi abuela está\nBueno.", "es", ["truncated"]),
        (STORY, CUENTO.rstrip("."), "es", ["truncated"]),
        (f"{STORY} Was it good for us?", CUENTO, "es", ["truncated"]),
        (f"{ENGLISH} Where did she live before?", SPANISH, "es", ["truncated"]),
        (
            STORY,
            f"{SPANISH} We went there in summer. My brother liked the trees.",
            "es",
            ["partly-untranslated"],
        ),
        (
            STORY,
            "Старый дом моей бабушки стоит у реки, и у него большой сад. "
            "My brother liked the trees. I liked the boats.",
            "ru",
            ["partly-untranslated"],
        ),
        (STORY, f"{CUENTO.split('.', maxsplit=1)[0]}. Íbamos en verano.", "es", ["sentences-lost"]),
        (ENGLISH, SPANISH.replace("casa", "саsa"), "es", ["mixed-scripts"]),
        (ENGLISH, SPANISH.replace("casa", "房子"), "es", ["mixed-scripts"]),
        (ENGLISH, "Стaрый дом моей бабушки стоит у реки, и у него большой сад.", "ru", ["mixed-scripts"]),
        (ENGLISH, "祖母の古い家は川の近くにあり、大きな庭があります。", "zh-Hans", ["mixed-scripts"]),
        (ENGLISH, "Stara kuća moje bake stoji kraj reke i ima veliki vrt.", "sr", ["wrong-script"]),
        (
            ENGLISH,
            "Babeler khatun da ghor nodir kache ar akta boro bagan ache.",
            "mni-Mtei",
            ["wrong-script"],
        ),
        ("He has \u202bshalom\u202c and more", "Tiene \u202bshalom y más", "es", ["unbalanced-markup"]),
    ],
)
def test_checks_of_a_subtly_broken_translation_fail_with_just_that(
    source: str, translated: str, target: str, reasons: list[str]
) -> None:
    assert failures(source, translated, target) == reasons


@pytest.mark.parametrize(
    ("source", "translated", "target"),
    [
        ("Read this.", "Lee esto", "es"),
        (ENGLISH, SPANISH.rstrip("."), "es"),
        ("What is it, in the end? Tell me what you think.", "¿Qué es, al final? Dime lo que piensas.", "es"),
        ("Would you tell me the way to the station?", "Dígame por favor el camino a la estación.", "es"),
        ("Where is my house by the river?", "บ้านของฉันอยู่ที่ไหนริมแม่น้ำ", "th"),
        (
            "He wrote 'El perro de la casa grande no come' there.",
            "Allí escribió: «El perro de la casa grande no come».",
            "es",
        ),
        (
            "She read Whether the Pope Has the Power to Require Vows last year.",
            "El año pasado leyó Whether the Pope Has the Power to Require Vows.",
            "es",
        ),
        (ENGLISH, f"«{SPANISH}»", "es"),
        (ENGLISH.rstrip("."), SPANISH.rstrip("."), "es"),
        (ENGLISH, "บ้านเก่าของคุณยายของฉันอยู่ใกล้แม่น้ำ", "th"),
        (STORY, CUENTO.replace(". ", ", "), "es"),
        (
            "She works at Google in San Francisco on Android.",
            "她在San Francisco的Google从事Android工作。",
            "zh-Hans",
        ),
        ("What does Broadmeadows make?", "Broadmeadows制作什么品牌的汽车？", "zh-Hans"),
        ("The word Привет means hello in Russian.", "La palabra Привет significa hola en ruso.", "es"),
        ("The angle is 3 radians, or π.", "El ángulo es 3 radianes, o π.", "es"),
        ("There were three dogs and twenty cats.", "那里有3只狗和20只猫。", "zh-Hans"),
        ("The second of May", "2 de mayo", "es"),
        (
            "family \U0001f468\u200d\U0001f469\u200d\U0001f467 photo",
            "foto de \U0001f468\u200d\U0001f469\u200d\U0001f467 familia",
            "es",
        ),
    ],
)
def test_checks_of_a_translation_that_only_looks_odd_do_not_fail(
    source: str, translated: str, target: str
) -> None:
    assert failures(source, translated, target) == []


def test_truncation_check_says_where_only_the_stop_is_missing() -> None:
    assert hints(ENGLISH, SPANISH.rstrip(".")) == {"truncation": "no-final-stop"}
    assert hints(STORY, CUENTO.replace(". ", ", ")) == {"sentences": "fewer-sentences"}


@pytest.mark.parametrize(
    ("target", "translated"),
    [
        ("es", "Lo siento, pero no puedo ayudar con eso."),
        ("fr", "Je suis désolé, mais je ne peux pas traduire ce texte."),
        ("de", "Es tut mir leid, aber ich kann diesen Text nicht übersetzen."),
        ("pt", "Desculpe, mas não posso traduzir este texto."),
        ("it", "Mi dispiace, ma non posso tradurre questo testo."),
        ("ca", "Ho sento, però no puc traduir aquest text."),
        ("gl", "Síntoo, pero non podo traducir este texto."),
        ("nl", "Het spijt me, maar ik kan deze tekst niet vertalen."),
        ("pl", "Przykro mi, ale nie mogę przetłumaczyć tego tekstu."),
        ("ru", "Извините, но я не могу перевести этот текст."),
        ("uk", "На жаль, я не можу перекласти цей текст."),
        ("tr", "Üzgünüm, ama bu metni çeviremem."),
        ("id", "Maaf, saya tidak dapat menerjemahkan teks ini."),
        ("vi", "Xin lỗi, nhưng tôi không thể dịch văn bản này."),
        ("sw", "Samahani, siwezi kutafsiri maandishi haya."),
        ("zh-Hans", "对不起，我不能翻译这段文字。"),
        ("zh-Hant", "抱歉，我無法翻譯這段文字。"),
        ("ja", "申し訳ありませんが、この文章は翻訳できません。"),
        ("ko", "죄송합니다만, 이 글을 번역할 수 없습니다."),
        ("ar", "عذرًا، لا أستطيع ترجمة هذا النص."),
        ("fa", "متأسفم، نمی‌توانم این متن را ترجمه کنم."),
        ("hi", "क्षमा करें, मैं इस पाठ का अनुवाद नहीं कर सकता।"),
        ("bn", "দুঃখিত, আমি এই লেখাটি অনুবাদ করতে পারছি না।"),
        ("th", "ขออภัย ฉันไม่สามารถแปลข้อความนี้ได้"),
        ("eo", "Mi bedaŭras, sed mi ne povas traduki ĉi tiun tekston."),
        ("es", "As an AI language model I have no grandmother."),
    ],
)
def test_refusals_are_seen_in_the_language_they_are_made_in(target: str, translated: str) -> None:
    assert "refusal" in failures(ENGLISH, translated, target)
    excuse = "I am sorry, but I cannot translate this text for you today."
    assert "refusal" not in failures(excuse, translated, target)


def test_refusal_of_a_source_in_another_language_is_no_refusal_of_the_translation() -> None:
    source = "Lo siento, pero no puedo ayudar con eso hoy por la tarde."
    assert "refusal" not in failures(
        source, "I'm sorry, but I can't help with that this afternoon.", "en", "es"
    )


def test_source_already_in_the_target_language_is_no_echo() -> None:
    assert failures(SPANISH, SPANISH) == []
    assert hints(SPANISH, SPANISH) == {"echo": "already-in-target", "untranslated": "partly-kept"}
    assert failures(ENGLISH, ENGLISH) == ["echo", "wrong-language", "partly-untranslated"]
    assert hints("el pan bueno", "el pan bueno").get("echo") != "already-in-target"


def test_echo_with_joiners_marks_of_direction_and_other_width_is_an_echo() -> None:
    hidden = "\u200f" + ENGLISH.replace("house", "ho\u200duse").replace("river", "ｒｉｖｅｒ") + "\u202c"
    assert "echo" in failures(ENGLISH, hidden)


def test_length_limits_of_a_language_hold_for_letters_as_counted() -> None:
    own = {"engine": {"kind": "apertium"}, "length_ratios": [{"lang": "es", "low": 0.9, "high": 1.05}]}
    strict = standard_checks(TranslationSection.model_validate(own), RestrictedIdentifier(), ["es"])
    letters = sum(map(str.isalpha, ENGLISH))
    for share, reason in ((0.85, "too-short"), (0.95, "ok"), (1.1, "too-long")):
        text = "x" * round(share * letters)
        assert strict[-1](ENGLISH, text, "en", "es").reason == reason
        assert strict[-1](ENGLISH, text, "en", "ca").reason == "ok"


def test_length_is_judged_by_what_is_usual_in_the_language() -> None:
    chinese = "我祖母的老房子坐落在河边，还有一个很大的花园。"
    assert failures(ENGLISH, chinese, "zh-Hans") == []
    assert failures(chinese, ENGLISH, "en", "zh-Hans") == []
    assert "too-long" in failures(ENGLISH, chinese * 4, "zh-Hans")
    assert "too-short" in failures(ENGLISH, chinese[:6] + "。", "zh-Hans")


@given(st.text(), st.text(), st.sampled_from(["es", "zh-Hans", "ar", "th", "mni-Mtei", "el"]))
def test_checks_of_any_two_texts_give_one_verdict_each_and_do_not_raise(
    source: str, translated: str, target: str
) -> None:
    seen = verdicts(source, translated, target)
    assert len(seen) == len(CHECKS)
    assert all(v.ok or (v.reason != "ok" and v.detail) for v in seen)


@given(st.text(st.characters(categories=["Cs", "Cc", "Cf", "Lo", "Mn"]), max_size=30))
def test_checks_of_surrogates_controls_and_marks_do_not_raise(text: str) -> None:
    assert len(verdicts(ENGLISH, text)) == len(verdicts(text, SPANISH)) == len(CHECKS)


def test_checks_leave_time_for_translating() -> None:
    cheap = [check for check in CHECKS if not isinstance(check, LanguageCheck)]
    began = time.process_time()
    for _ in range(50):
        for check in cheap:
            check(ENGLISH * 3, SPANISH * 3, "en", "es")
    assert (time.process_time() - began) / 50 < 0.005


def test_checks_without_a_model_know_every_language_of_the_table() -> None:
    cheap = [check for check in CHECKS if not isinstance(check, LanguageCheck)]
    for lang in languages():
        seen = [check(STORY, "Xyz é 字.", "en", lang) for check in cheap]
        assert "too-short" in {v.reason for v in seen if not v.ok}
