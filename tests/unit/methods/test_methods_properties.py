"""What holds for every method, whatever the store and the numbers."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tongues.core.recipe import MethodSection
from tongues.core.records import AlignedRow, Record, Source
from tongues.core.store import AlignedStore
from tongues.methods.registry import builder

SOURCE = Source("tiny", "1", "x:1", "CC0-1.0")
ALL = {"high": None, "mid": None, "low": None}
SECTIONS: list[dict[str, object]] = [
    {"method": "direct", "english_rows": 2},
    {"method": "sphinx", "rows": ALL},
    {"method": "sphinx", "rows": ALL, "shots": {"choose": "nearest", "max": 3, "pool": 4}},
    {"method": "taco", "english_rows": None},
    {"method": "crossin", "base": 3, "en2x": 6, "x2en": 6, "x2x": 6, "trans": 6},
    {"method": "qalign", "english_rows": 2},
    {"method": "sdrrl", "answers": "given", "translation": None},
]
IN_ENGLISH = (
    "/english",
    "/base",
    "/x2en",
    "/x2x",
    "/trans",
    "qalign",
    "-source",
    "/switched",
    "/translation",
)
hostile = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["مرحبا \u202eabc\u202c", "你好。", "e\u0301\u0327", "a\x00b", "\ufeff", "[es]\n[en]", "\n"]
)
LANGS = ("en", "es", "ar", "zh-Hans")


@st.composite
def rows(pick: st.DrawFn) -> list[AlignedRow]:
    """Six items that exist everywhere, and some that exist in some languages."""
    extra = pick(
        st.lists(st.tuples(st.sampled_from(["x1", "x2", "x3"]), st.sampled_from(LANGS)), unique=True)
    )
    keys = [(f"g{g}", lang) for g in range(6) for lang in LANGS] + extra
    return [
        AlignedRow(group, lang, f"{lang} {group} {pick(hostile)}", pick(hostile), f"{lang}! {pick(hostile)}",
                   (), "c", SOURCE, (), {}, None)
        for group, lang in keys
    ]  # fmt: skip


def made(section: dict[str, object], table: list[AlignedRow], langs: list[str], seed: int) -> list[Record]:
    parsed = TypeAdapter(MethodSection).validate_python(section)
    build = builder(str(section["method"]))
    return list(build(AlignedStore(table), parsed, languages=langs, source_lang="en", seed=seed))


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: "-".join(map(str, s.values()))[:30])
@settings(max_examples=8, deadline=None)
@given(table=rows(), seed=st.integers(0, 3), order=st.randoms(use_true_random=False))
def test_method_gives_the_same_records_in_any_order_and_answers_in_a_taught_language(
    section: dict[str, object], table: list[AlignedRow], seed: int, order: random.Random
) -> None:
    langs = ["es", "ar", "zh-Hans"]
    records = made(section, table, langs, seed)
    shuffled, others = order.sample(table, len(table)), order.sample(langs, len(langs))
    assert made(section, shuffled, others, seed) == records
    there = {(row.group, row.lang) for row in table}
    for record in records:
        assert record.answer.role == "assistant"
        assert record.lang in langs or (record.lang == "en" and record.method.endswith(IN_ENGLISH))
        assert (record.group, record.lang) in there
        assert [m.role for m in record.messages if m.role != "system"] == ["user", "assistant"] * (
            len(record.groups)
        )
        assert Record.from_row(record.to_row()) == record
