import multiprocessing
import threading

import pytest

from tongues.core.errors import DataError, StorageError
from tongues.core.manifest import Tally, read_manifest
from tongues.core.recipe_file import parse_recipe
from tongues.stages.workspace import Report, Workspace, fresh

RECIPE = parse_recipe(
    b"""
name: tiny
languages: [es]
source: {uri: rows.jsonl, dataset: tiny, licence: CC0-1.0}
base_model: {uri: "hf://o/n@main", name: T, licence: MIT}
translation: {engine: {kind: apertium}}
dataset: {methods: [{method: direct}]}
evaluation: {suite: {choices_uri: c.jsonl}}
registry: {model: tiny}
""",
    where="r",
)


def workspace(folder, lines=None):
    return Workspace(str(folder), say=(lines if lines is not None else []).append)


def write(text):
    def work(folder):
        (folder / "out.txt").write_text(text)
        return Report(tallies={"es": Tally(rows_in=1, rows_out=1)}, facts={"text": text})

    return work


def finish(place, work, *, params=1, inputs=None):
    return place.finish("stage", recipe=RECIPE, inputs=inputs or {"file": "abc"}, params=params, work=work)


def test_finish_twice_does_the_work_once(tmp_path):
    lines = []
    place = workspace(tmp_path, lines)
    first = finish(place, write("a"))
    second = finish(place, lambda folder: pytest.fail("did the work again"))
    assert first.manifest == second.manifest and first.uri == second.uri
    assert "found finished" in lines[-1]


def test_finish_with_other_params_keeps_both(tmp_path):
    place = workspace(tmp_path)
    one, two = finish(place, write("a")), finish(place, write("b"), params=2)
    assert one.folder != two.folder
    assert (one.folder / "out.txt").read_text() == "a"


def test_finish_after_a_crash_sees_its_own_progress_and_completes(tmp_path):
    place = workspace(tmp_path)

    def crash(folder):
        (folder / "checkpoint").write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        finish(place, crash)

    def resume(folder):
        assert (folder / "checkpoint").read_text() == "half"
        fresh(folder)
        return write("whole")(folder)

    output = finish(place, resume)
    assert sorted(output.manifest.files) == ["out.txt", "recipe.yaml"]


def test_finish_removes_what_the_stage_says_is_scratch(tmp_path):
    def work(folder):
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "c1").write_text("x")
        (folder / "model").write_text("y")
        return Report(leave=("checkpoints",))

    assert sorted(finish(workspace(tmp_path), work).manifest.files) == ["model", "recipe.yaml"]


def test_finish_whose_counts_do_not_reconcile_leaves_no_manifest(tmp_path):
    def work(folder):
        return Report(tallies={"es": Tally(rows_in=2, rows_out=1)})

    with pytest.raises(ValueError, match="unaccounted"):
        finish(workspace(tmp_path), work)
    assert list(tmp_path.rglob("manifest.json")) == []


def test_downstream_key_follows_content_not_the_way_it_was_made(tmp_path):
    place = workspace(tmp_path)
    same = [
        finish(place, lambda f, s=s: Report(facts={"shards": s}, content_sha256="same"), params=s)
        for s in (1, 2)
    ]
    assert same[0].manifest.digest() != same[1].manifest.digest()
    keys = {finish(place, write("x"), inputs={"store": output}).manifest.key for output in same}
    assert len(keys) == 1


def test_recipe_travels_with_the_output(tmp_path):
    output = finish(workspace(tmp_path), write("a"))
    assert parse_recipe((output.folder / "recipe.yaml").read_bytes(), where="r").digest() == RECIPE.digest()
    assert output.manifest.recipe_sha256 == RECIPE.digest()


def test_open_unfinished_folder_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="no finished output"):
        workspace(tmp_path).open(str(tmp_path / "stage" / "none"))


def test_open_folder_with_broken_manifest_is_an_error(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not a valid manifest"):
        workspace(tmp_path).open(str(tmp_path / "s"))


def _compete(folder, started, answers):
    def work(target):
        started.set()
        (target / "by").write_text(str(multiprocessing.current_process().pid))
        return Report()

    output = finish(workspace(folder), work)
    answers.put((output.folder / "by").read_text())


def test_two_processes_on_one_piece_of_work_do_it_once(tmp_path):
    context = multiprocessing.get_context("fork")
    started, answers = context.Event(), context.Queue()
    children = [context.Process(target=_compete, args=(tmp_path, started, answers)) for _ in range(3)]
    for child in children:
        child.start()
    assert len({answers.get(timeout=30) for _ in children}) == 1
    for child in children:
        child.join()


def test_a_waiting_process_says_so(tmp_path):
    lines, inside, leave = [], threading.Event(), threading.Event()

    def slow(folder):
        inside.set()
        assert leave.wait(20)
        return Report()

    thread = threading.Thread(target=finish, args=(workspace(tmp_path), slow))
    thread.start()
    assert inside.wait(20)

    def tell(line):
        lines.append(line)
        leave.set()

    place = Workspace(str(tmp_path), say=tell)
    finish(place, lambda folder: pytest.fail("did the work again"))
    thread.join()
    assert "waiting" in lines[0]
    assert read_manifest(next((tmp_path / "stage").iterdir())) is not None


def test_finished_only_finds_work_and_does_none(tmp_path):
    place = workspace(tmp_path)
    with pytest.raises(StorageError, match="stage is not finished"):
        finish(place.finished_only(), lambda folder: pytest.fail("did the work"))
    assert not (tmp_path / "stage").exists()
    first = finish(place, write("a"))
    assert finish(place.finished_only(), lambda folder: pytest.fail("did the work")).uri == first.uri
