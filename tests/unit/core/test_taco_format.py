"""The chain, written as the authors release it and read back however a model lays it out."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.taco_format import read_answer, request_line, write_chain

SEPARATOR = " ,\n                        "


def test_write_chain_has_labels_order_and_layout_of_the_released_data() -> None:
    chain = write_chain("Say hello.", "Hello!", "नमस्ते!", lang="ne")
    assert chain == (
        "Instruction in English: Say hello. ,\n"
        "                        Response in English: Hello! ,\n"
        "                        Response in Nepali: नमस्ते!"
    )
    plain = write_chain("Say hello.", "Hello!", "नमस्ते!", lang="ne", layout="plain")
    assert plain == chain.replace(SEPARATOR, "\n")


def test_request_line_names_the_language_twice_and_the_one_between_twice() -> None:
    line = request_line("fa")
    assert (line.count("Persian"), line.count("English")) == (2, 2)
    assert line.startswith("Translate the following instructions from Persian to English, ")
    assert "Spanish" in request_line("ca", "es")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Instruction in English: a..\n   Response in English: b.. \n   Response in Nepali: क ख", "क ख"),
        ("Response in English: b\nResponse in Nepali:\nक\n\nख\n", "क\n\nख"),
        ("Response in English: b, Response in Nepali: क", "क"),
        ("response in nepali : क", "क"),
        ("Response in Nepali：क", "क"),
        ("Response in Nepali: क\nResponse in Nepali: ख", "ख"),
        ("Response in Nepali: he said Response in Nepali: so", "he said Response in Nepali: so"),
        ("Response in English: b\nResponse in Hindi: क", None),
        ("Instruction in English: a\nResponse in English: b", None),
        ("Response in Nepali:", None),
        ("Response in Nepali: \n \u2003 ", None),
        ("क ख", None),
        ("", None),
        ("Response in Nepali: \u202bक\u202c\x00", "\u202bक\u202c\x00"),
        ("Response in Nepali: \ud800", "\ud800"),
    ],
)  # fmt: skip
def test_read_answer_takes_the_last_segment_or_says_there_is_none(text: str, answer: str | None) -> None:
    assert read_answer(text, "ne") == answer


def test_read_answer_takes_a_name_with_brackets_literally() -> None:
    assert read_answer("Response in Chinese (Simplified): 好", "zh-Hans") == "好"
    assert read_answer("Response in Chinese Simplified: 好", "zh-Hans") is None


@pytest.mark.parametrize("text", [" " * 1_000_000, "Response in " * 90_000, "\n \t" * 300_000])
def test_read_answer_of_a_megabyte_without_a_label_is_quick(text: str) -> None:
    started = time.perf_counter()
    assert read_answer(text, "ne") is None
    assert time.perf_counter() - started < 1.0


texts = st.text(min_size=1).filter(lambda text: text.strip() and "response in" not in text.lower())


@given(texts, texts, texts, st.sampled_from(["ne", "sa", "mai", "fa", "zh-Hans", "ar", "th"]))
def test_read_answer_gives_back_what_was_written(
    instruction: str, response: str, answer: str, lang: str
) -> None:
    for layout in ("released", "plain"):
        chain = write_chain(instruction, response, answer, lang=lang, layout=layout)
        assert read_answer(chain, lang) == answer.strip()
