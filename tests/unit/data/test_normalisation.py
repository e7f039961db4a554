import random
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.data import normalisation
from tongues.data.normalisation import normalise, normalised

REAL = [
    "  Año  NUEVO\n",
    "an\u0303o\tnuevo",
    "STRASSE und Straße, GROẞ",
    "Ὀδυσσεύς ΟΔΟΣ οδος ς\u0301 ß\u0301",
    "İstanbul ILIK",
    "한국어 \u1112\u1161\u11ab",
    "ประเทศไทย กุ้ง น้ำ",
    "हिन्दी क़ क\u093c",
    "مُحَمَّد شدّةٌ",
    "tiếng Việt tie\u0302\u0301ng Vie\u0323\u0302t",
    "م\u0651\u064eد م\u064e\u0651د",
    "中文，没有空格\u3000全角",
    "ﬁ Ǆ ŉ ΐ Ꭰ ꭰ",
    "",
    "   ",
    "a\u2028b\x1ec\u00a0d\u200be",
]


def at_once(texts: list[str]) -> list[str]:
    return normalisation._at_once(pa.array(texts, pa.string())).to_pylist()


def test_normalise_makes_unicode_forms_case_and_space_equal() -> None:
    assert normalise(" E\u0301l\u00a0 STRASSE\n") == normalise("él straße")


@pytest.mark.parametrize("text", REAL)
def test_texts_of_any_script_are_normalised_at_once_as_one_by_one(text: str) -> None:
    assert at_once([text, text + "x", "x" + text]) == [normalise(t) for t in (text, text + "x", "x" + text)]


def test_known_texts_normalised_at_once() -> None:
    assert at_once(["  STRAẞE\n\n Σς ", "E\u0301", "م\u0651\u064e", "\u3000"]) == [
        *("strasse σσ", "é", "م\u064e\u0651", ""),
    ]


@pytest.mark.parametrize("pattern", ["{}", "a{}", "{}\u0301", "\u0323{}", "\u1100{}", "X {} Y"])
def test_every_character_is_normalised_at_once_as_one_by_one(pattern: str) -> None:
    # Ideographs and syllables of Hangul are alike; a few of them do.
    points = [*range(0x3500), *range(0xA000, 0xAC40), *range(0xD780, 0xD800), *range(0xF8F0, 0x12000)]
    points += [*range(0x1D100, 0x1F100), *range(0x2F7F0, 0x2FA30), *range(0xE0000, 0xE0200), 0x10FFFF]
    texts = [pattern.format(chr(point)) for point in points]
    found = at_once(texts)
    assert [t for t, one in zip(texts, found, strict=True) if one != normalise(t)] == []


PIECES = st.sampled_from(
    [
        *(
            "a",
            "B",
            " ",
            "  ",
            "\n",
            "\u00a0",
            "\u1680",
            "\x1c",
            "\u200b",
            "É",
            "e\u0301",
            "ß",
            "ẞ",
            "ς",
            "Σ",
        ),
        *(
            "\u0323",
            "\u0307",
            "\u0345",
            "İ",
            "\u1112",
            "\u1161",
            "\u11ab",
            "\u0e38\u0e49",
            "क",
            "\u093c",
            "中",
        ),
    ]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=8).map("".join), max_size=6))
def test_any_texts_are_normalised_at_once_as_one_by_one(texts: list[str]) -> None:
    assert at_once(texts) == list(map(normalise, texts))


def test_a_megabyte_without_a_break_is_normalised_at_once() -> None:
    texts = ["É" * 500_000, "é " * 300_000, " \n" * 300_000, "\u0323\u0307" * 500]
    assert at_once(texts) == list(map(normalise, texts))


def test_few_and_many_texts_give_the_same() -> None:
    texts = random.Random(1).choices(REAL, k=2_000)
    few = [one for text in texts for one in normalised(pa.array([text])).to_pylist()]
    assert normalised(pa.array(texts)).to_pylist() == few


def test_columns_that_begin_in_the_middle_are_normalised() -> None:
    column = pa.array(REAL * 100, pa.string()).slice(7, 900)
    assert normalised(column).to_pylist() == [normalise(text) for text in (REAL * 100)[7:907]]


def test_text_of_many_languages_never_goes_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    normalisation._strange()
    monkeypatch.setattr(normalisation, "normalise", lambda text: pytest.fail(f"one by one: {text}"))
    plain = [
        "Plain  Text,\n1 line",
        "STRASSE Straße",
        "Ελληνικός λόγος",
        "中文。",
        "Việt Nam",
        "عربي",
        "नमस्ते",
    ]
    wanted = [
        "plain text, 1 line",
        "strasse strasse",
        "ελληνικόσ λόγοσ",
        "中文。",
        "việt nam",
        "عربي",
        "नमस्ते",
    ]
    assert at_once([unicodedata.normalize("NFC", text) for text in plain]) == wanted
