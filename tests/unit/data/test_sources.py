import json
from pathlib import Path

import pytest

from tongues.core.drops import DROP_SCHEMA, Drop
from tongues.core.errors import DataError
from tongues.core.recipe import SourceSection
from tongues.core.records import SourceRow
from tongues.core.shards import write_shards
from tongues.data.sources import read_source

SECTION = SourceSection(uri="x.jsonl", dataset="tiny", revision="7", licence="CC0-1.0")
GOOD = {"instruction": "Say hello.", "input": "", "output": "Hello."}


def read(path: Path, content: bytes | str, section: SourceSection = SECTION) -> list[SourceRow | Drop]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_source(path, section=section))


def reasons(rows: list[SourceRow | Drop]) -> list[tuple[str, str]]:
    return [(row.where.split(":")[1], row.reason) for row in rows if isinstance(row, Drop)]


def test_read_source_of_a_good_line_keeps_every_field(tmp_path: Path) -> None:
    line = GOOD | {"input": "Ada", "protect": ["Ada"], "category": "dialogue", "id": "ignored"}
    [row] = read(tmp_path / "x.jsonl", json.dumps(line))
    assert isinstance(row, SourceRow)
    assert (row.instruction, row.input, row.output) == ("Say hello.", "Ada", "Hello.")
    assert (row.protect, row.category) == (("Ada",), "dialogue")
    assert (row.source.dataset, row.source.revision, row.source.row) == ("tiny", "7", "x.jsonl:1")


BAD_LINES = [
    ("{not json", "not-json"),
    ("[" * 100_000, "not-json"),
    ('{"instruction": ' + "9" * 5_000 + "}", "not-json"),
    ("[1, 2]", "not-an-object"),
    ('"text"', "not-an-object"),
    ('{"input": "", "output": "x"}', "missing-field"),
    ('{"instruction": "a"}', "missing-field"),
    ('{"instruction": "a", "instances": []}', "missing-field"),
    ('{"instruction": "a", "instances": [3]}', "wrong-type"),
    ('{"instruction": "a", "instances": {"input": "", "output": "x"}}', "wrong-type"),
    ('{"instruction": 5, "output": "x"}', "wrong-type"),
    ('{"instruction": "a", "output": null}', "wrong-type"),
    ('{"instruction": "a", "output": "x", "input": ["b"]}', "wrong-type"),
    ('{"instruction": "a", "output": "x", "protect": "a"}', "wrong-type"),
    ('{"instruction": "a", "output": "x", "protect": ["zzz"]}', "protect-not-found"),
    ('{"instruction": "a", "output": "x", "protect": [""]}', "protect-not-found"),
    ('{"instruction": " \\u200b\\n", "output": "x"}', "empty-instruction"),
    ('{"instruction": "a", "output": "\\ufeff \\t"}', "empty-output"),
    ('{"instruction": "a\\ud800", "output": "x"}', "lone-surrogate"),
    ('{"instruction": "a", "output": "x\\u0000"}', "nul-character"),
    ('{"instruction": "a", "output": "x", "category": "\\udfff"}', "lone-surrogate"),
    ('{"instruction": "a", "output": "x", "keep": "input"}', "wrong-type"),
    ('{"instruction": "a", "output": "x", "keep": ["input", 1]}', "wrong-type"),
    ('{"instruction": "a", "output": "x", "keep": {"input": true}}', "wrong-type"),
    ('{"instruction": "a", "output": "x", "keep": false}', "wrong-type"),
    ('{"instruction": "a", "output": "x", "keep": ["title"]}', "unknown-field"),
    ('{"instruction": "a", "output": "x", "keep": ["Input"]}', "unknown-field"),
    ('{"instruction": "a", "output": "x", "skip": true}', "wrong-type"),
    ('{"instruction": "a", "output": "x", "skip": "\\u0000"}', "nul-character"),
    ('{"instruction": "a", "output": "x", "skip": "\\ud800"}', "lone-surrogate"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_read_source_of_a_bad_line_drops_it_and_goes_on(tmp_path: Path, line: str, reason: str) -> None:
    rows = read(tmp_path / "x.jsonl", f"{json.dumps(GOOD)}\n{line}\n" + json.dumps(GOOD | {"input": "again"}))
    assert reasons(rows) == [("2", reason)]
    assert sum(isinstance(row, SourceRow) for row in rows) == 2


def test_read_source_of_hostile_rows_gives_drops_that_parquet_can_hold(tmp_path: Path) -> None:
    rows = read(tmp_path / "x.jsonl", "\n".join(line for line, _ in BAD_LINES).encode() + b"\n\xff\xfe{}")
    drops = [row.to_row() for row in rows if isinstance(row, Drop)]
    assert reasons(rows)[-1] == (str(len(BAD_LINES) + 1), "not-utf8")
    assert write_shards(tmp_path / "drops", DROP_SCHEMA, drops) == len(BAD_LINES) + 1


def test_read_source_numbers_lines_through_bom_crlf_blanks_and_line_separators(tmp_path: Path) -> None:
    odd = json.dumps(GOOD | {"output": "one\u2028two\u0085three"}, ensure_ascii=False)
    rows = read(tmp_path / "x.jsonl", f"\ufeff{odd}\r\n\r\n  \r\nbroken\r\n")
    assert isinstance(rows[0], SourceRow)
    assert rows[0].output == "one\u2028two\u0085three"
    assert reasons(rows) == [("4", "not-json")]


def test_read_source_of_a_line_of_a_megabyte_keeps_it_whole(tmp_path: Path) -> None:
    [row] = read(tmp_path / "x.jsonl", json.dumps(GOOD | {"output": "я" * 1_000_000}))
    assert isinstance(row, SourceRow)
    assert len(row.output) == 1_000_000


def test_read_source_of_the_same_text_twice_drops_the_second(tmp_path: Path) -> None:
    rows = read(tmp_path / "x.jsonl", f"{json.dumps(GOOD)}\n{json.dumps(GOOD | {'category': 'other'})}\n")
    assert reasons(rows) == [("2", "duplicate")]
    assert isinstance(rows[1], Drop)
    assert rows[1].detail == "same text as x.jsonl:1"


def test_read_source_of_seed_tasks_takes_the_first_instance(tmp_path: Path) -> None:
    task = {
        "instruction": "Add.",
        "instances": [{"input": "1", "output": "2"}, {"input": "3", "output": "4"}],
    }
    [row] = read(tmp_path / "seed.jsonl", json.dumps(task))
    assert isinstance(row, SourceRow)
    assert (row.instruction, row.input, row.output) == ("Add.", "1", "2")


@pytest.mark.parametrize(
    ("extra", "keep", "skip"),
    [
        ({}, None, ""),
        ({"keep": None, "skip": None}, None, ""),
        ({"keep": []}, (), ""),
        ({"keep": ["output", "input", "output"]}, ("output", "input"), ""),
        ({"skip": " a pun\n"}, None, "a pun"),
        ({"skip": "  "}, None, ""),
    ],
)
@pytest.mark.parametrize("shape", ["jsonl", "array", "seed"])
def test_read_source_keeps_what_a_row_says_of_its_own_translation(
    tmp_path: Path, extra: dict[str, object], keep: tuple[str, ...] | None, skip: str, shape: str
) -> None:
    task = {"instruction": "Say hello.", "instances": [{"input": "", "output": "Hello."}]}
    line = json.dumps((task if shape == "seed" else GOOD) | extra)
    [row] = read(
        tmp_path / ("x.json" if shape == "array" else "x.jsonl"), f"[{line}]" if shape == "array" else line
    )
    assert isinstance(row, SourceRow)
    assert (row.keep, row.skip) == (keep, skip)


@pytest.mark.parametrize(
    ("extra", "category"),
    [
        ({"is_classification": True}, "classification"),
        ({"is_classification": False}, ""),
        ({"is_classification": "true"}, ""),
        ({"is_classification": True, "category": "topic"}, "topic"),
    ],
)
def test_read_source_of_seed_tasks_takes_classification_as_category(
    tmp_path: Path, extra: dict[str, object], category: str
) -> None:
    task = {"instruction": "Is it?", "instances": [{"input": "", "output": "Yes"}]} | extra
    [row] = read(tmp_path / "seed.jsonl", json.dumps(task))
    assert isinstance(row, SourceRow)
    assert row.category == category


def test_read_source_of_an_array_counts_from_zero(tmp_path: Path) -> None:
    rows = read(
        tmp_path / "x.json", "\ufeff \n" + json.dumps([GOOD, 7, GOOD | {"input": None, "output": "Hi."}])
    )
    assert reasons(rows) == [("1", "not-an-object")]
    assert isinstance(rows[2], SourceRow)
    assert (rows[2].source.row, rows[2].input) == ("x.json:2", "")


def test_read_source_of_jsonl_named_json_reads_lines(tmp_path: Path) -> None:
    assert len(read(tmp_path / "x.json", f"{json.dumps(GOOD)}\n{json.dumps(GOOD | {'input': 'b'})}")) == 2


def test_read_source_reads_at_most_max_rows_good_or_bad(tmp_path: Path) -> None:
    section = SECTION.model_copy(update={"max_rows": 2})
    rows = read(tmp_path / "x.jsonl", f"bad\n\n{json.dumps(GOOD)}\nbad\n", section)
    assert [type(row) for row in rows] == [Drop, SourceRow]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("x.json", b'[{"instruction": "a"', "not a JSON array"),
        ("x.json", b"[" * 100_000, "not a JSON array"),
        ("x.json", b'{\n "data": []\n}', "one JSON object over many lines"),
        ("x.jsonl", '{"a": 1}'.encode("utf-16"), "UTF-16"),
    ],
)
def test_read_source_of_a_file_that_is_not_rows_raises(
    tmp_path: Path, name: str, content: bytes, what: str
) -> None:
    with pytest.raises(DataError, match=what):
        read(tmp_path / name, content)


def test_read_source_of_a_missing_file_or_a_folder_raises(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jsonl", tmp_path):
        with pytest.raises(DataError, match="cannot be read") as caught:
            next(read_source(path, section=SECTION))
        assert str(path) in caught.value.line()


def test_read_source_streams_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"input": "b"}) + "\n")
    rows = read_source(path, section=SECTION)
    assert isinstance(next(rows), SourceRow)
    rows.close()  # type: ignore[attr-defined]
