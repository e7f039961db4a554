"""Cutting a row into segments: everything that is not a segment survives byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.ports import Masked, SpanLostError
from tongues.core.records import Source, SourceRow
from tongues.data.spans import SpanProtector
from tongues.translation.segments import prepare, restore, without_marks, without_words

PROTECTOR = SpanProtector()
SOURCE = Source("tests", "1", "tests:1", "Apache-2.0")


def fields_of(output: str, protect: tuple[str, ...] = ()):
    row = SourceRow.create(instruction="Do it.", input="", output=output, source=SOURCE, protect=protect)
    return prepare(row, PROTECTOR)


def segments_of(output: str, protect: tuple[str, ...] = ()) -> list[str]:
    return fields_of(output, protect)[2].segments


def upper(field) -> str:
    return field.join(segment.upper() for segment in field.segments)


@given(st.text() | st.text(alphabet="ab X`q19\n\t\r-*>#.) {}%s\0\u2028é中ก"))
def test_prepare_identity_translation_gives_the_text_back(text):
    for field in fields_of(text):
        assert "".join(piece.text for piece in field.pieces) == field.masked.text
        assert restore(field, field.join(iter(field.segments)), PROTECTOR) == field.source


@given(st.text(alphabet="ab -*\n\t\r\0\x85\u2028."))
def test_prepare_segments_hold_no_separator_and_a_letter(text):
    for segment in segments_of(text):
        assert not set(segment) & set("\n\t\r\0\x85\u2028")
        assert any(map(str.isalpha, segment))
        assert segment == segment.strip()


def test_prepare_markdown_only_words_change():
    text = "# A list\n\n- one cat\n  * two  dogs \n\n3. three\r\n\tB) four\n> quoted\n---\n| a | b |\n42\n"
    field = fields_of(text)[2]
    translated = restore(field, upper(field), PROTECTOR)
    assert translated == text.upper()
    assert field.segments == ["A list", "one cat", "two  dogs", "three", "four", "quoted", "| a | b |"]


def test_prepare_code_block_of_many_lines_is_no_segment():
    text = "Run this:\n```python\nfor cat in cats:\n    print(cat)\n```\nand look."
    field = fields_of(text)[2]
    assert field.segments == ["Run this:", "and look."]
    assert restore(field, upper(field), PROTECTOR) == (
        "RUN THIS:\n```python\nfor cat in cats:\n    print(cat)\n```\nAND LOOK."
    )


@pytest.mark.parametrize(
    "text", ["", "   ", "\n\n", "42", "1 + 1 = 2", "`code()`", "- `a`\n- `b`", "😀", "…"]
)
def test_prepare_nothing_to_translate_gives_no_segment(text):
    assert segments_of(text) == []


def test_prepare_literal_of_the_row_is_not_shown_to_the_engine():
    segments = segments_of("The word colour is British.", protect=("colour",))
    assert len(segments) == 1
    assert "colour" not in segments[0]


@pytest.mark.parametrize("text", ["今日は晴れです。", "สวัสดีชาวโลก", "שלום עולם", "नमस्ते दुनिया", "ΚΌΣΜΕ"])
def test_prepare_any_script_is_a_segment(text):
    assert segments_of(text) == [text]


def test_restore_lost_mark_raises():
    field = fields_of("See https://example.org/a now.")[2]
    with pytest.raises(SpanLostError):
        restore(field, "Ver ahora.", PROTECTOR)


def test_restore_protector_that_changes_bytes_is_found_out():
    class Sloppy:
        def mask(self, text, literals=()):
            return Masked(text.replace("A  B", "Xq0q"), {"Xq0q": "A  B"} if "A  B" in text else {})

        def restore(self, translated, masked):
            return translated.replace("Xq0q", "A B")

    row = SourceRow.create(instruction="Say A  B now", input="", output="Yes", source=SOURCE)
    field = prepare(row, Sloppy())[0]
    with pytest.raises(SpanLostError, match="stands 0 times instead of 1"):
        restore(field, "Di Xq0q ahora", Sloppy())


def test_without_marks_any_case_becomes_a_space():
    assert without_marks("a Xq1q b xq12q.", ["Xq1q", "Xq12q"]) == "a   b  ."
    assert without_marks("a.b", []) == "a.b"


def test_without_words_takes_whole_words_that_stand_on_all_sides():
    texts = ["the word an in banana and an apple", "la palabra an en banana, y banana"]
    assert without_words(texts, ["an", "apple"]) == [
        "the word   in banana and   apple",
        "la palabra   en banana, y banana",
    ]
    assert without_words(texts, []) == texts
