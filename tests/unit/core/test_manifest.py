import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tongues.core.digests import digest_files, digest_rows, digest_value
from tongues.core.errors import DataError
from tongues.core.manifest import (
    Manifest,
    Tally,
    read_manifest,
    verify_files,
    work_key,
    write_atomically,
    write_manifest,
)


def manifest_of(folder, **changes):
    fields = {
        "stage": "translate",
        "key": "k",
        "inputs": {"rows": "d" * 64},
        "params_sha256": "p",
        "recipe_sha256": "r",
        "content_sha256": "c",
        "files": digest_files(folder),
        "wall_s": 1.5,
        "finished_at": "2026-01-01T00:00:00+00:00",
    }
    return Manifest(**fields | changes)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "deep" / "b.txt").write_text("two")
    return tmp_path


def test_manifest_with_unaccounted_rows_is_refused(folder):
    with pytest.raises(ValidationError, match=r"unaccounted rows: \{'es': 1\}"):
        manifest_of(folder, tallies={"es": Tally(rows_in=5, rows_out=3, dropped={"echo": 1})})


def test_digest_ignores_time_and_rates_but_nothing_else(folder):
    first = manifest_of(folder)
    assert first.digest() == manifest_of(folder, wall_s=9.0, observed={"rate": 1}, finished_at="x").digest()
    assert first.digest() != manifest_of(folder, facts={"a": 1}).digest()
    assert first.digest() != manifest_of(folder, inputs={"rows": "e" * 64}).digest()


def test_write_manifest_after_a_file_changed_is_refused(folder):
    manifest = manifest_of(folder)
    (folder / "a.txt").write_text("changed")
    with pytest.raises(DataError, match=r"a\.txt"):
        write_manifest(folder, manifest)
    assert read_manifest(folder) is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "a.txt").write_bytes(b"onf"), "a.txt: changed"),
        (lambda f: (f / "deep" / "b.txt").unlink(), "b.txt: missing"),
        (lambda f: (f / "new").write_text(""), "new: not named"),
    ],
)
def test_verify_files_names_the_damaged_file(folder, damage, said):
    manifest = manifest_of(folder)
    write_manifest(folder, manifest)
    assert verify_files(folder, manifest) == []
    damage(folder)
    [line] = verify_files(folder, manifest)
    assert said in line


def test_read_manifest_of_garbage_says_what_to_do(folder):
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="run the stage again"):
        read_manifest(folder)


def test_write_atomically_failing_leaves_the_old_content(tmp_path, monkeypatch):
    target = tmp_path / "f"
    write_atomically(target, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_work_key_depends_on_every_part():
    keys = {
        work_key("a", {"x": "1"}, "p"), work_key("b", {"x": "1"}, "p"), work_key("a", {"x": "2"}, "p"),
        work_key("a", {"x": "1"}, "q"), work_key("a", {"y": "1"}, "p"),
    }  # fmt: skip
    assert len(keys) == 5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values))
def test_digest_value_does_not_depend_on_key_order(value):
    backwards = dict(reversed(value.items()))
    assert digest_value(value) == digest_value(backwards)


@given(st.lists(st.text(min_size=1)), st.randoms())
def test_digest_rows_does_not_depend_on_order_but_counts_repeats(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert digest_rows(rows) == digest_rows(shuffled)
    if rows:
        assert digest_rows(rows) != digest_rows([*rows, rows[0]])


def test_digest_value_known_answer():
    # sha256 of the bytes {"a":"ñ","b":1}
    import hashlib

    assert digest_value({"b": 1, "a": "ñ"}) == hashlib.sha256('{"a":"ñ","b":1}'.encode()).hexdigest()
    assert json.loads('"\\ud800"') and digest_value("\ud800")


@given(st.lists(st.tuples(st.sampled_from(["keep", "echo", "empty"]), st.integers(1, 3))))
def test_tally_counts_reconcile_whatever_happens(events):
    tally = Tally()
    for event, times in events:
        for _ in range(times):
            tally.keep() if event == "keep" else tally.drop(event)
    assert tally.unaccounted == 0
    total = Tally()
    total.add(tally)
    total.add(tally)
    assert total.rows_in == 2 * tally.rows_in and total.unaccounted == 0
