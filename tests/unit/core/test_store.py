import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.core import store as module
from tongues.core.errors import DataError
from tongues.core.records import ALIGNED_SCHEMA, AlignedRow, Source, Step
from tongues.core.shards import write_shards
from tongues.core.store import AlignedStore

STEP = Step("translate", "apertium", "m", "", "p")


def row(group: str, lang: str, text: str = "texto") -> AlignedRow:
    source = Source("tiny", "1", "x:1", "MIT")
    return AlignedRow(group, lang, text, "", f"{text} نص", ("a",), "c", source, (STEP,), {"echo": "ok"}, 0.5)


def table(groups: int = 50) -> list[AlignedRow]:
    return [row(f"{n:016x}", lang, f"{lang} {n}") for lang in ("en", "es", "zh-Hans") for n in range(groups)]


@pytest.mark.parametrize("per_shard", [7, 1_000])
def test_store_from_shards_gives_every_row_back_whatever_the_sharding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_shard: int
) -> None:
    rows = random.Random(1).sample(table(), 150)
    write_shards(tmp_path / "rows", ALIGNED_SCHEMA, (one.to_row() for one in rows), rows_per_shard=per_shard)
    monkeypatch.setattr(module, "_ROWS_PER_BATCH", 11)
    store = AlignedStore.load(tmp_path / "rows", source_lang="es", scratch=tmp_path / "scratch")
    assert (len(store), store.languages, store.source_lang) == (150, ["en", "es", "zh-Hans"], "es")
    assert store.groups("en", "zh-Hans") == [f"{n:016x}" for n in range(50)]
    assert all(store.get(one.group, one.lang) == one for one in rows)


def test_store_leaves_no_file_behind(tmp_path: Path) -> None:
    store = AlignedStore(table(3), scratch=tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []
    assert store.get("0000000000000002", "es").instruction == "es 2"


@pytest.mark.parametrize(
    ("group", "lang"), [("g", "es"), ("0000000000000001", "ca"), ("zz", "en"), ("", "en")]
)
def test_store_of_a_missing_item_raises_key_error(group: str, lang: str) -> None:
    with pytest.raises(KeyError):
        AlignedStore(table(3)).get(group, lang)


def test_store_of_nothing_has_no_languages() -> None:
    store = AlignedStore([])
    assert (len(store), store.languages, store.groups(), store.groups("en", "es")) == (0, [], [], [])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcé"), st.sampled_from(["en", "es"])), max_size=12), st.integers()
)
def test_store_is_a_mapping_by_key(keys: list[tuple[str, str]], seed: int) -> None:
    rows = [row(group, lang, f"{lang} {group}") for group, lang in keys]
    store = AlignedStore(random.Random(seed).sample(rows, len(rows)))
    assert len(store) == len(set(keys))
    for lang in ("en", "es"):
        assert store.groups(lang) == sorted({group for group, of in keys if of == lang})
    assert store.groups("en", "es") == sorted(
        {g for g, of in keys if of == "en"} & {g for g, of in keys if of == "es"}
    )


def test_store_with_two_texts_for_one_key_names_it() -> None:
    with pytest.raises(DataError, match=r"\(g, es\)"):
        AlignedStore([row("g", "es", "one"), row("h", "es"), row("g", "es", "two")])
