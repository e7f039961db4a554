"""The ledger: what is put is found again, by anyone, after anything."""

import random
import sqlite3

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.core.errors import DataError
from tongues.core.records import Step
from tongues.inference.engine import Outcome, failed
from tongues.inference.ledger import Ledger, ledger_key

STEP = Step("translate", "apertium", "pair 1", "", "p")


def keys(count: int) -> list[bytes]:
    return [ledger_key(f"text {i}", STEP, "en", "es") for i in range(count)]


def test_ledger_key_every_part_changes_it():
    base = ("text", STEP, "en", "es")
    others = [
        ("Text", STEP, "en", "es"),
        ("text", Step("translate", "openai", "pair 1", "", "p"), "en", "es"),
        ("text", Step("translate", "apertium", "pair 2", "", "p"), "en", "es"),
        ("text", Step("translate", "apertium", "pair 1", "q", "p"), "en", "es"),
        ("text", Step("translate", "apertium", "pair 1", "", "q"), "en", "es"),
        ("text", STEP, "es", "es"),
        ("text", STEP, "en", "ca"),
    ]
    assert len({ledger_key(*parts) for parts in [base, *others]}) == len(others) + 1
    assert len(ledger_key(*base)) == 32


def test_ledger_reopened_has_every_outcome(tmp_path):
    path = tmp_path / "deep" / "ledger.sqlite"
    stored = {key: Outcome(f"texto {i} ñ 中 \0") for i, key in enumerate(keys(2_000))}
    with Ledger(path) as ledger:
        ledger.put_many(stored)
    with Ledger(path) as ledger:
        assert ledger.get_many([*stored, b"x" * 32]) == stored
        assert len(ledger) == 2_000


def test_ledger_passing_failure_is_not_stored(ledger):
    first, second = keys(2)
    ledger.put_many({first: failed("timeout"), second: failed("truncated", "cut", permanent=True)})
    assert ledger.get_many([first, second]) == {second: failed("truncated", "cut", permanent=True)}


def test_ledger_same_key_again_first_answer_stays(ledger):
    (key,) = keys(1)
    ledger.put_many({key: Outcome("uno")})
    ledger.put_many({key: Outcome("dos")})
    ledger.put_many({key: failed("truncated", permanent=True)})
    assert ledger.get_many([key]) == {key: Outcome("uno")}


def test_ledger_answer_replaces_failure(ledger):
    (key,) = keys(1)
    ledger.put_many({key: failed("truncated", permanent=True)})
    ledger.put_many({key: Outcome("uno")})
    assert ledger.get_many([key]) == {key: Outcome("uno")}


def test_ledger_usage_counts_are_not_replayed(ledger):
    (key,) = keys(1)
    ledger.put_many({key: Outcome("uno", prompt_tokens=9)})
    assert ledger.get_many([key])[key].prompt_tokens == 0


@settings(max_examples=12)
@given(parts=st.lists(st.dictionaries(st.integers(0, 30), st.text(min_size=1)), min_size=2, max_size=4))
def test_ledger_merge_any_order_holds_the_union(parts, tmp_path_factory):
    folder, all_keys = tmp_path_factory.mktemp("merge"), keys(31)
    for number, part in enumerate(parts):
        with Ledger(folder / f"{number}.sqlite") as ledger:
            ledger.put_many({all_keys[k]: Outcome(t) for k, t in part.items()})
    with Ledger(folder / "all.sqlite") as merged:
        new = sum(merged.merge(folder / f"{number}.sqlite") for number in range(len(parts)))
        expected = {all_keys[k]: Outcome(t) for part in reversed(parts) for k, t in part.items()}
        assert merged.get_many(all_keys) == expected
        assert new == len(merged) == len(expected)


def test_ledger_segment_round_trip_equal_whatever_the_insert_order(tmp_path):
    stored = {key: Outcome(f"t{i}") for i, key in enumerate(keys(500))}
    stored |= {ledger_key("bad", STEP, "en", "es"): failed("truncated", "why", permanent=True)}
    shuffled = list(stored.items())
    random.Random(1).shuffle(shuffled)
    tables = []
    for name, rows in (("a", list(stored.items())), ("b", shuffled)):
        with Ledger(tmp_path / f"{name}.sqlite") as ledger:
            ledger.put_many(dict(rows))
            assert ledger.export_segment(tmp_path / f"{name}.parquet") == 501
        tables.append(pq.read_table(tmp_path / f"{name}.parquet"))
    assert tables[0].equals(tables[1])
    with Ledger(tmp_path / "c.sqlite") as ledger:
        assert ledger.import_segment(tmp_path / "a.parquet") == 501
        assert ledger.import_segment(tmp_path / "b.parquet") == 0
        assert ledger.get_many(stored) == stored


def test_ledger_empty_exports_and_imports(tmp_path, ledger):
    assert ledger.export_segment(tmp_path / "s.parquet") == 0
    assert ledger.import_segment(tmp_path / "s.parquet") == 0


@pytest.mark.parametrize("content", [b"", b"PAR1 not really", b"{}"])
def test_ledger_import_broken_segment_says_so(tmp_path, ledger, content):
    (tmp_path / "s.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"s\.parquet.*not a readable ledger segment"):
        ledger.import_segment(tmp_path / "s.parquet")


def test_ledger_import_other_table_is_refused(tmp_path, ledger):
    pq.write_table(pa.table({"key": [b"1"]}), tmp_path / "s.parquet")
    with pytest.raises(DataError, match="other columns"):
        ledger.import_segment(tmp_path / "s.parquet")


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at" * 9, b"x"])
def test_ledger_other_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"ledger\.sqlite.*damaged.*Fix: move the file away"):
        Ledger(path)
    assert path.read_bytes() == content


def test_ledger_foreign_sqlite_file_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE bills (amount)")
    with pytest.raises(DataError, match="an SQLite file, but no ledger"):
        Ledger(tmp_path / "other.sqlite")


def test_ledger_newer_version_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(DataError, match="upgrade tongues"):
        Ledger(path)


def test_ledger_truncated_file_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.put_many({key: Outcome("x" * 100) for key in keys(500)})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=f"damaged.*{len(content) // 2} bytes of {len(content)}"):
        Ledger(path)


def test_ledger_garbage_in_the_middle_is_noticed(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.put_many({key: Outcome("x" * 100) for key in keys(500)})
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(bytes(content))
    with Ledger(path) as ledger, pytest.raises(DataError, match="damaged"):
        ledger.get_many(keys(500))


def test_ledger_disk_full_says_so_and_keeps_the_rest(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.put_many({keys(1)[0]: Outcome("kept")})
        pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DataError, match=r"cannot be used now.*full"):
            ledger.put_many({key: Outcome("y" * 5_000) for key in keys(200)})
        assert len(ledger) == 1
    with Ledger(path) as ledger:
        assert ledger.get_many(keys(200)) == {keys(1)[0]: Outcome("kept")}
