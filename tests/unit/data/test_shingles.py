import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.data import shingles as module
from tongues.data.shingles import shingles


def sets(*texts: str) -> list[set[int]]:
    found = shingles(texts)
    bounds = zip(found.offsets[:-1].tolist(), found.offsets[1:].tolist(), strict=True)
    return [set(found.hashes[start:end].tolist()) for start, end in bounds]


def textbook(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).casefold())
    return {tuple(words[i : i + 3]) for i in range(max(len(words) - 2, min(len(words), 1)))}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet="ab1 É.,_\n", max_size=30), max_size=8))
def test_shingles_are_as_many_as_the_textbook_has_and_equal_where_it_has_equal_ones(texts: list[str]) -> None:
    ours, theirs = sets(*texts), [textbook(text) for text in texts]
    assert [len(one) for one in ours] == [len(one) for one in theirs]
    for a, b in zip(ours, theirs, strict=True):
        for c, d in zip(ours, theirs, strict=True):
            assert len(a & c) == len(b & d)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("?! \U0001f600", 0),
        ("one", 1),
        ("one two", 1),
        ("one two three four", 2),
        ("தமிழ் மொழி நல்ல மொழி", 2),
        ("हिन्दी में चार शब्द", 2),
        ("天地玄黄宇宙洪荒", 4),
        ("ปลาที่กินได้", 4),
        ("天地 abc 玄黄宇宙", 3),
    ],
)
def test_shingles_keep_words_whole_across_marks_and_cut_scripts_without_spaces(text: str, count: int) -> None:
    assert [len(one) for one in sets(text)] == [count]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Él dijo: «no, gracias»", "e\u0301l DIJO no gracias"),
        ("می\u200cخواهم این را بدانم", "می\u200eخواهم این را بدانم"),
        ("soft\u00adware is every where", "software is every where"),
        ("天 地 玄 黄 宇 宙", "天地玄黄宇宙"),
        ("a straße b", "A STRASSE, B"),
    ],
)
def test_shingles_of_texts_that_look_alike_are_equal(one: str, other: str) -> None:
    [a, b] = sets(one, other)
    assert a == b and a


def test_shingles_of_a_text_do_not_depend_on_its_neighbours_or_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = [
        "first of all the texts",
        "天地玄黄宇宙洪荒",
        "",
        "x" * 3000 + " y z",
        "\ud800 lone surrogate here now",
    ]
    together = sets(*texts)
    assert together == [sets(text)[0] for text in texts]
    monkeypatch.setattr(module, "_BLOCK_CHARS", 16)
    module._powers.cache_clear()
    assert sets(*texts) == together


def test_shingles_of_a_megabyte_in_one_field_with_nul() -> None:
    text = "".join(f"word{n}\0 " for n in range(120_000))
    assert 119_980 <= len(sets(text)[0]) <= 119_998, "a few meet by chance in 32 bits"


def test_shingles_are_sorted_within_each_text() -> None:
    found = shingles(["b a c d e f", "天地玄黄宇宙洪荒"])
    for start, end in zip(found.offsets, found.offsets[1:], strict=False):
        part = found.hashes[start:end].astype(np.int64)
        assert (np.diff(part) > 0).all()
