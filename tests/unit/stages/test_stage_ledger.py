"""The ledger of a workspace: what is new is published while work goes on, and read by others."""

import json
import threading
import time

import pytest
from typer.testing import CliRunner

from tongues.cli import ledger as cli_ledger
from tongues.core.errors import DataError, StorageError
from tongues.core.records import Step
from tongues.inference.engine import Outcome, failed
from tongues.inference.ledger import Ledger, ledger_key
from tongues.inference.ledger_segments import Segment
from tongues.inference.spending import Spent
from tongues.platform import storage
from tongues.stages.ledger import (
    compact_segments,
    describe,
    import_segments,
    ledger_path,
    open_ledger,
    require_ledger,
)
from tongues.stages.publication import Publication
from tongues.stages.workspace import Workspace

STEP = Step("translate", "openai", "m", "", "p")
LONG_S = 1_000.0


def answers(*numbers):
    return {ledger_key(f"text {n}", STEP, "en", "es"): Outcome(f"t{n}") for n in numbers}


class Store:
    """A folder that stands where the segments go, with a ledger beside it and what was said."""

    def __init__(self, tmp_path):
        self.folder, self.path, self.said = tmp_path / "store", tmp_path / "here" / "l.sqlite", []

    def publication(self, **settings):
        settings = {"every_s": LONG_S, "patience_s": 0.2} | settings
        return Publication(self.path, str(self.folder), "es-1", say=self.said.append, **settings)

    def published(self):
        """Entries by segment."""
        found = []
        for path in sorted(self.folder.glob("*.parquet")):
            with Segment(path) as segment:
                found.append({entry[0] for entry in segment.entries()})
        return found


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def until(condition):
    """Look again and again; the test fails by itself if it never comes true."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_publication_is_due_when_so_many_entries_are_new(store):
    with (
        store.publication(entries=10) as publication,
        Ledger(store.path, on_stored=publication.note) as ledger,
    ):
        ledger.put_many(answers(*range(9)))
        ledger.put_many(answers(*range(9, 12)))
        until(lambda: len(store.published()) == 1)
        ledger.put_many(answers(12))
    assert store.published() == [set(answers(*range(12))), set(answers(12))]
    assert store.said == []
    assert not list((store.path.parent / "segments").iterdir()), "what was published was left on the disk"


def test_publication_is_due_when_time_has_passed(store):
    with (
        store.publication(every_s=0.01) as publication,
        Ledger(store.path, on_stored=publication.note) as ledger,
    ):
        for number in range(3):
            ledger.put_many(answers(number), account="es", spent=Spent(requests=1))
            until(lambda wanted=number + 1: sum(map(len, store.published())) == wanted)
    with Ledger(store.path.with_name("other.sqlite")) as other:
        assert import_segments(other, str(store.folder)) == 3
        assert other.spent("es") == Spent(requests=3)


def test_publication_of_nothing_new_writes_nothing(store):
    with store.publication(every_s=0.01):
        pass
    assert not store.folder.exists()


def test_publication_goes_on_when_the_store_is_back(store):
    store.folder.write_text("a file stands where the folder should be")
    with (
        store.publication(every_s=0.01) as publication,
        Ledger(store.path, on_stored=publication.note) as ledger,
    ):
        ledger.put_many(answers(1))
        until(lambda: len(store.said) >= 2)
        ledger.put_many(answers(2))
        store.folder.unlink()
        until(lambda: store.folder.is_dir() and store.published())
    assert set().union(*store.published()) == set(answers(1, 2))
    assert "not published yet, it will be tried again" in store.said[0]


def test_publication_the_last_one_fails_for_good_is_an_error_and_nothing_is_lost(store):
    store.folder.write_text("in the way")
    with (
        pytest.raises(StorageError, match="cannot be written"),
        store.publication(),
        Ledger(store.path) as ledger,
    ):
        ledger.put_many(answers(1))
    store.folder.unlink()
    with store.publication():
        pass
    assert store.published() == [set(answers(1))]


def test_publication_does_not_hide_the_error_of_the_work(store):
    store.folder.write_text("in the way")
    with pytest.raises(RuntimeError, match="the engine broke"), store.publication():
        with Ledger(store.path) as ledger:
            ledger.put_many(answers(1))
        raise RuntimeError("the engine broke")
    assert f"kept in {store.path}" in store.said[-1]


def test_publication_after_an_error_of_the_work_still_happens(store):
    with pytest.raises(RuntimeError), store.publication(), Ledger(store.path) as ledger:
        ledger.put_many(answers(1))
        raise RuntimeError
    assert store.published() == [set(answers(1))]


def test_publications_of_many_writers_never_meet(store):
    for number in range(5):
        with store.publication(), Ledger(store.path) as ledger:
            ledger.put_many(answers(number))
    assert sorted(map(len, store.published())) == [1] * 5


def test_publication_elsewhere_starts_from_the_beginning(store):
    for folder in ("first", "second"):
        store.folder = store.folder.with_name(folder)
        with store.publication(), Ledger(store.path) as ledger:
            ledger.put_many(answers(1))
        assert store.published() == [set(answers(1))]


def test_import_fetches_each_segment_once(store):
    with store.publication(), Ledger(store.path) as ledger:
        ledger.put_many(answers(1, 2))
    (segment,) = store.folder.glob("*.parquet")
    (store.folder / "notes.txt").write_text("not a segment")
    with Ledger(store.path.with_name("other.sqlite")) as other:
        assert import_segments(other, str(store.folder)) == 2
        segment.write_bytes(b"broken meanwhile: reading it again would fail")
        assert import_segments(other, str(store.folder)) == 0
        assert other.export_news(store.path.with_name("n.parquet")) is None
    with Ledger(store.path) as ledger:
        assert import_segments(ledger, str(store.folder)) == 0, "its own segment came back"


def test_open_ledger_of_a_local_workspace_is_the_file_and_publishes_nothing(workspace):
    with open_ledger(workspace, "es-1") as ledger:
        ledger.put_many(answers(1))
    assert [p.name for p in ledger_path(workspace).parent.iterdir()] == ["translations.sqlite"]
    assert compact_segments(workspace).name == ""


def test_require_ledger_does_not_create_one(workspace):
    with pytest.raises(DataError, match="no ledger here yet"):
        require_ledger(workspace)
    assert not ledger_path(workspace).parent.exists()


def test_remove_file_and_fetch_if_there_take_a_missing_file_for_what_it_is(tmp_path):
    storage.write_bytes(str(tmp_path / "f"), b"x")
    assert storage.fetch_if_there(str(tmp_path / "f"), tmp_path / "g") == tmp_path / "f"
    for _ in range(2):
        storage.remove_file(str(tmp_path / "f"))
        assert storage.fetch_if_there(str(tmp_path / "f"), tmp_path / "g") is None
    with pytest.raises(StorageError, match="cannot be removed"):
        storage.remove_file(str(tmp_path))


@pytest.fixture
def tongues_ledger(workspace, capfd):
    """Call a verb with --json; returns the one object that it prints."""

    def call(*arguments):
        result = CliRunner().invoke(
            cli_ledger.app, [*map(str, arguments), "--json", "-w", workspace.uri], catch_exceptions=False
        )
        out = capfd.readouterr().out + result.output
        assert len(out.splitlines()) == 1, out
        return json.loads(out)

    return call


@pytest.fixture
def filled(workspace):
    with open_ledger(workspace, "es-1") as ledger:
        ledger.put_many(answers(1, 2), account="es-1", spent=Spent(2, 30, 10, 12, 0.5))
        bad = ledger_key("bad", STEP, "en", "es")
        ledger.put_many({bad: failed("truncated", permanent=True)}, account="ca-1", spent=Spent(requests=1))
    return workspace


def test_verb_show_tells_what_is_there_and_what_it_cost(filled, tongues_ledger):
    shown = tongues_ledger("show")
    assert (shown["entries"], shown["failures"]) == (3, {"truncated": 1})
    assert shown["bytes"] > 4096 and shown["path"].endswith("translations.sqlite")
    assert list(shown["spent"]) == ["ca-1", "es-1"]
    assert shown["spent"]["es-1"] == {
        "requests": 2, "characters": 30, "prompt_tokens": 10, "completion_tokens": 12, "cost": 0.5
    }  # fmt: skip


def test_verb_show_for_people(filled):
    result = CliRunner().invoke(cli_ledger.app, ["show", "-w", filled.uri])
    assert "3 entries" in result.output and "1 truncated" in result.output and "es-1" in result.output


def test_verbs_export_import_and_merge_carry_everything_once(filled, tongues_ledger, tmp_path):
    assert tongues_ledger("export", tmp_path / "x.parquet")["entries"] == 3
    other = Workspace(str(tmp_path / "other"))
    for verb, file in (("import", tmp_path / "x.parquet"), ("merge", ledger_path(filled))):
        for _ in range(2):
            CliRunner().invoke(cli_ledger.app, [verb, str(file), "-w", other.uri], catch_exceptions=False)
    with Ledger(ledger_path(other)) as ledger, Ledger(ledger_path(filled)) as first:
        assert describe(ledger).spent == describe(first).spent
        assert len(ledger) == 3
    assert tongues_ledger("import", tmp_path / "x.parquet") == {
        "file": str(tmp_path / "x.parquet"), "new": 0, "entries": 3
    }  # fmt: skip


def test_verb_merge_of_a_file_that_is_not_there_creates_none(filled, tongues_ledger, tmp_path):
    with pytest.raises(DataError, match=r"gone\.sqlite: no such ledger"):
        tongues_ledger("merge", tmp_path / "gone.sqlite")
    assert not (tmp_path / "gone.sqlite").exists()


def test_verb_compact_keeps_everything(filled, tongues_ledger):
    done = tongues_ledger("compact")
    assert done["bytes_after"] <= done["bytes_before"]
    assert done["published"] == {"segments": 0, "entries": 0, "name": ""}
    assert tongues_ledger("show")["entries"] == 3
