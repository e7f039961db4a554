import unicodedata
from collections.abc import Sequence

import pytest

from tongues.core.languages import languages
from tongues.core.ports import Identified
from tongues.core.recipe import EvaluationSection, SuiteSection
from tongues.core.taco_format import write_chain
from tongues.data.language_id import RestrictedIdentifier
from tongues.evaluation import lines
from tongues.evaluation.chains import PLAIN, AnswerFormat
from tongues.evaluation.items import OpenItem, TranslationItem
from tongues.evaluation.lines import (
    foreign_words,
    found_in_lines,
    line_language_rate,
    line_languages,
    pass_rates,
)
from tongues.evaluation.samples import Sample
from tongues.evaluation.sandbox import Limits
from tongues.evaluation.score import measure
from tongues.evaluation.suite import Suite
from tongues.evaluation.tasks import Asking, ask_open, ask_translation

CHAIN = AnswerFormat("taco", "en", lambda prompt, lang: (f"chain to {lang}", f"[{prompt}]"))


def by_first_letter(text: str, candidates: Sequence[str]) -> Identified:
    return Identified({"h": "es", "g": "gl", "e": "en"}.get(text[:1], "und"), 1.0)


class Told:
    """A runner that says what a test wants and remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), list[tuple[str, str, int]]()

    def generate(self, prompts, *, max_new_tokens, systems=(), done=lambda _: None):
        self.asked += [
            (system, prompt, max_new_tokens)
            for system, prompt in zip(systems or [""] * len(prompts), prompts, strict=True)
        ]
        done(len(prompts))
        taken, self.answers = self.answers[: len(prompts)], self.answers[len(prompts) :]
        return taken


def asking(runner: Told, suite: Suite, answers: AnswerFormat) -> Asking:
    return Asking(lambda: runner, suite, by_first_letter, 10, 40, answers, lambda _: None, 20, Limits())


def suite() -> Suite:
    opened = {lang: (OpenItem("o", lang, f"{lang}?", "writing"),) for lang in ("en", "es", "gl")}
    sentences = {lang: (TranslationItem("t", lang, f"{lang}."),) for lang in ("en", "es", "gl")}
    return Suite("s", "en", ("es", "gl"), open=opened, translation=sentences)


def test_ask_open_chain_scores_its_last_segment_and_counts_a_missing_one() -> None:
    chain = write_chain("say hi", "hi there", "hola amigos", lang="es")
    runner = Told("english answer", chain, "Response in English: good\nnothing more")
    samples = ask_open(asking(runner, suite(), CHAIN), ["en", "es", "gl"])
    assert [s.got for s in samples] == ["english answer", "hola amigos", ""]
    assert [s.formatted for s in samples] == [None, True, False]
    assert [s.whole for s in samples] == ["", chain, runner_text(2)]
    assert [s.guessed_lang for s in samples] == ["en", "es", "und"]
    figures, _ = measure({("open", s.lang): [s] for s in samples})
    assert figures["open/es/format_failure_rate"].value == 0.0
    assert figures["open/gl/format_failure_rate"].value == 1.0
    assert "open/en/format_failure_rate" not in figures
    assert figures["open/gl/target_language_rate"].value == 0.0


def runner_text(number: int) -> str:
    return ["", "", "Response in English: good\nnothing more"][number]


def test_ask_open_chain_is_asked_for_in_its_own_words_with_room_the_source_language_plainly() -> None:
    runner = Told("x", "y", "z")
    ask_open(asking(runner, suite(), CHAIN), ["en", "es", "gl"])
    assert runner.asked == [("", "en?", 10), ("chain to es", "[es?]", 40), ("chain to gl", "[gl?]", 40)]


def test_ask_translation_only_the_last_segment_is_compared_with_the_reference() -> None:
    chain = write_chain("Translate", "en.", "es.", lang="es")
    (sample,) = ask_translation(asking(Told(chain), suite(), CHAIN), ["es"])
    assert (sample.got, sample.expected, sample.formatted) == ("es.", "es.", True)
    (plain,) = ask_translation(asking(Told(chain), suite(), PLAIN), ["es"])
    assert (plain.got, plain.formatted, plain.whole) == (chain, None, "")


def test_chain_limit_leaves_room_by_itself_and_yields_to_the_recipe() -> None:
    section = SuiteSection(open_uri="x")
    assert EvaluationSection(suite=section, max_new_tokens=30).chain_tokens == 120
    assert EvaluationSection(suite=section, max_chain_tokens=77).chain_tokens == 77


def test_line_languages_of_a_mixed_answer_by_real_identification() -> None:
    answer = (
        "El sol es una estrella muy grande y muy caliente.\n\n1.\n"
        "The moon is not a star, it is a rock that shines at night.\n"
        "太阳是一颗非常大的恒星。\n"
        "Por la noche vemos muchas estrellas en el cielo."
    )
    found = line_languages(answer, ["en", "es", "zh-Hans"], RestrictedIdentifier())
    assert found == ("es", "en", "zh-Hans", "es")


@pytest.mark.parametrize(
    ("answer", "langs"),
    [
        ("", ()),
        ("1. 2. 3.\n***", ()),
        ("hola", ("es",)),  # too short for a line, but all there is
        ("hola a todos, amigos\n- 3\nok", ("es",)),
        ("hola a todos, amigos\nenglish it is, really", ("es", "en")),
    ],
)
def test_line_languages_pass_over_lines_that_cannot_tell(answer: str, langs: tuple[str, ...]) -> None:
    assert line_languages(answer, ["en", "es"], by_first_letter) == langs


def opened(lang: str, *line_langs: str) -> Sample:
    return Sample("open", lang, str(line_langs), "?", "", "x", line_langs=line_langs)


def test_line_language_rate_is_over_lines_and_an_answer_without_any_counts_against() -> None:
    samples = [opened("es", "es", "es", "en"), opened("es", "es"), opened("es")]
    figure = line_language_rate(samples)
    assert figure.value == pytest.approx(3 / 5)
    assert figure.n == 3
    assert figure.low is not None and figure.low < 3 / 5 < (figure.high or 0)


def test_found_in_lines_is_a_row_of_the_matrix_that_adds_up_to_one() -> None:
    row = found_in_lines([opened("es", "es", "es", "en"), opened("es")])
    assert {lang: figure.value for lang, figure in row.items()} == {"en": 0.25, "es": 0.5, "und": 0.25}
    assert {figure.n for figure in row.values()} == {4}


@pytest.mark.parametrize(
    ("lang", "answer", "foreign"),
    [
        ("ru", "Привет, это really хорошо, SQL и Python, pH 7, 10 km", ["really"]),
        ("ru", "Слово 你好 в тексте", ["你好"]),
        ("ru", "нeт, SMS-ка", []),  # a Latin letter that looks alike, and a borrowed abbreviation
        ("hi", "नमस्ते दुनिया, computer चलता है", ["computer"]),
        ("zh-Hans", "我喜欢cats，因为ｃａｔｓ很可爱。々", ["cats", "cats"]),
        ("th", "สวัสดี https://x.y/hello `print` hello@x.y\n```\nfor row in rows\n```\nครับ", []),
        ("ja", "これはテストです。ーー", []),
        ("ar", "مرحبا ال-internet", ["internet"]),
        ("ko", "한국어와 漢字", []),
        ("es", "hola, this is all English, привет", []),  # Latin script: cannot be told
        ("ta", "", []),
    ],
)
def test_foreign_words_are_those_in_another_script(lang: str, answer: str, foreign: list[str]) -> None:
    assert foreign_words(answer, lang) == foreign


def test_every_script_of_the_table_has_an_alphabet_but_latin() -> None:
    """Each language's own name for its letters: none of them is foreign to itself."""
    scripts = {one.script for one in languages().values()}
    assert scripts - set(lines._ALPHABETS) == {"Latn"}
    first = {unicodedata.name(chr(c), "").split(" ")[0] for c in range(0x2FFFF)}
    assert first >= lines._KNOWN


def told(lang: str, got: str, *line_langs: str) -> Sample:
    return Sample("open", lang, got, "?", "", got, guessed_lang=lang, line_langs=line_langs)


def test_pass_rates_by_line_by_word_and_both() -> None:
    """Of five: one other line, one without any, three by line, of which two by word; 2·.6·(2/3)/(.6+2/3)."""
    by_line = [told("ru", "да", "ru"), told("ru", "да нет", "ru", "ru"), told("ru", "да really", "ru")]
    samples = [told("ru", "да", "ru", "en"), told("ru", ""), *by_line]
    found = pass_rates(samples)
    assert (found["line_pass_rate"].value, found["line_pass_rate"].n) == (0.6, 5)
    assert (found["word_pass_rate"].value, found["word_pass_rate"].n) == (pytest.approx(2 / 3), 3)
    both = found["language_pass_rate"]
    assert both.value == pytest.approx(2 * 0.6 * (2 / 3) / (0.6 + 2 / 3)) and both.n == 5
    assert both.low is not None and both.high is not None and both.low < both.value < both.high


def test_pass_rates_without_words_that_can_be_told_are_of_lines_alone() -> None:
    assert list(pass_rates([told("es", "sí", "es")])) == ["line_pass_rate"]
    none = pass_rates([told("ru", "yes", "en"), told("ru", "")])
    assert list(none) == ["line_pass_rate"] and none["line_pass_rate"].value == 0
    every = pass_rates([told("ru", "да really", "ru")])
    assert every["word_pass_rate"].value == every["language_pass_rate"].value == 0


def test_open_answers_have_the_rates_and_the_matrix_in_their_scores() -> None:
    found, signatures = measure({("open", "ru"): [told("ru", "да", "ru"), told("ru", "да\nyes", "ru", "en")]})
    assert found["open/ru/line_pass_rate"].value == 0.5
    assert found["open/ru/lines_found_en"].value == pytest.approx(1 / 3)
    assert found["open/ru/word_pass_rate"].value == 1.0
    assert "2406.20052" in signatures["language_pass_rate"]
