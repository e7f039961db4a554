import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.drops import DROP_SCHEMA, Drop
from tongues.core.errors import DataError
from tongues.core.records import (
    ALIGNED_SCHEMA,
    RECORD_SCHEMA,
    SOURCE_SCHEMA,
    AlignedRow,
    Message,
    Record,
    Source,
    SourceRow,
    Step,
)  # fmt: skip
from tongues.core.shards import read_shards, shard_paths, write_shards
from tongues.core.store import AlignedStore

SOURCE = Source("tiny", "1", "rows.jsonl:1", "CC-BY-4.0")
STEP = Step("translate", "apertium", "eng-spa 0.8", "", "p")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def aligned(group="g1", lang="es", output="hola", quality=None):
    return AlignedRow(
        group, lang, "di", "", output, ("x",), "talk", SOURCE, (STEP,), {"language": "ok"}, quality
    )


def record(answer="Hola, ¿qué tal?", group="g1"):
    turns = (Message("user", "مرحبا", "ar"), Message("assistant", answer, "es"))
    return Record.create(
        messages=turns, group=group, method="direct", source=SOURCE, steps=(STEP,), meta={"k": "v"}
    )


@given(st.lists(st.tuples(texts, texts, texts.filter(str.strip)), max_size=5))
def test_source_rows_survive_parquet_byte_for_byte(tmp_path_factory, items):
    rows = [
        SourceRow.create(instruction=i, input=n, output=o, source=SOURCE, protect=("a",)) for i, n, o in items
    ]
    folder = tmp_path_factory.mktemp("s")
    write_shards(folder, SOURCE_SCHEMA, (r.to_row() for r in rows))
    assert [SourceRow.from_row(r) for r in read_shards(folder)] == rows


def test_aligned_rows_and_records_survive_parquet(tmp_path):
    rows = [aligned(), aligned(lang="th", output="สวัสดี", quality=0.5)]
    write_shards(tmp_path / "a", ALIGNED_SCHEMA, (r.to_row() for r in rows))
    assert [AlignedRow.from_row(r) for r in read_shards(tmp_path / "a")] == rows
    write_shards(tmp_path / "r", RECORD_SCHEMA, [record().to_row()])
    assert [Record.from_row(r) for r in read_shards(tmp_path / "r")] == [record()]


def test_record_id_follows_text_group_and_method_only():
    assert record().id == record().id
    assert record().id != record(answer="Adiós").id
    assert record().id != record(group="g2").id


@pytest.mark.parametrize("answer", ["", "  \n"])
def test_record_with_empty_answer_is_refused(answer):
    with pytest.raises(ValueError, match="non-empty answer"):
        record(answer=answer)


def test_write_shards_splits_and_numbers_them(tmp_path):
    assert write_shards(tmp_path, RECORD_SCHEMA, (record().to_row() for _ in range(5)), rows_per_shard=2) == 5
    assert [p.name for p in shard_paths(tmp_path)] == [
        "part-00000.parquet",
        "part-00001.parquet",
        "part-00002.parquet",
    ]


@pytest.mark.parametrize("rows", [0, 2, 4])
def test_write_shards_at_exact_multiples_loses_and_invents_nothing(tmp_path, rows):
    write_shards(tmp_path, RECORD_SCHEMA, (record().to_row() for _ in range(rows)), rows_per_shard=2)
    assert len(list(read_shards(tmp_path))) == rows


def test_read_shards_of_an_empty_folder_is_an_error_not_an_empty_list(tmp_path):
    with pytest.raises(DataError, match="no Parquet shards"):
        list(read_shards(tmp_path))


def test_write_same_rows_twice_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_shards(tmp_path / name, RECORD_SCHEMA, [record().to_row()])
    first, second = (tmp_path / n / "part-00000.parquet" for n in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_drop_with_text_that_parquet_cannot_hold_is_kept_escaped_and_cut(tmp_path):
    drop = Drop("es", "echo", "why", "g1", "bad \ud800 " + "x" * 5000)
    write_shards(tmp_path, DROP_SCHEMA, [drop.to_row()])
    [row] = read_shards(tmp_path)
    assert row["text"].startswith("bad \\ud800 ") and len(row["text"]) < 2100


def test_store_finds_groups_present_in_all_asked_languages():
    store = AlignedStore([aligned("g1", "en"), aligned("g1", "es"), aligned("g2", "en")])
    assert store.groups() == ["g1", "g2"]
    assert store.groups("en", "es") == ["g1"]
    assert store.groups("ca") == []
    assert store.languages == ["en", "es"] and len(store) == 3


def test_store_with_two_texts_for_one_key_is_refused():
    AlignedStore([aligned(), aligned()])
    with pytest.raises(DataError, match=r"two different rows.*g1, es|g1, es.*two different rows"):
        AlignedStore([aligned(), aligned(output="otra")])
