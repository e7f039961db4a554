"""What steps leave of a run, and the report of it."""

import json

from tongues.stages.run_journal import Entry, close, note


def test_the_report_gathers_every_line_and_clears_them_away(tmp_path):
    for entry in (
        Entry("translate", "zh-Hans 1/2", "succeeded", 61.0),
        Entry("translate", "gl 2/2", "succeeded", 3.0),
        Entry("promote", "", "refused", 1.0, "gate: gl fell"),
    ):
        note(str(tmp_path), "run-1", entry, print)
    report = close(str(tmp_path), "run-1", "FAILED", "a task failed")
    assert [e.job for e in report.entries] == ["", "gl 2/2", "zh-Hans 1/2"]
    page = report.to_markdown()
    assert "| translate | zh-Hans 1/2 | succeeded | 1 min 01 s |" in page
    assert "gate: gl fell" in page and "a task failed" not in page
    assert [p.name for p in (tmp_path / "runs").rglob("*.json")] == ["run-1.json"]
    assert json.loads((tmp_path / "runs" / "run-1.json").read_text())["state"] == "FAILED"


def test_a_journal_that_is_closed_again_keeps_what_the_first_gathered(tmp_path):
    note(str(tmp_path), "r", Entry("finetune", "", "succeeded", 1.0), print)
    first = close(str(tmp_path), "r", "FAILED", "")
    note(str(tmp_path), "r", Entry("promote", "", "refused", 1.0, "gate"), print)
    assert close(str(tmp_path), "r", "FAILED", "").entries[:1] == first.entries
    assert [e.step for e in close(str(tmp_path), "r", "FAILED", "").entries] == ["finetune", "promote"]


def test_a_second_try_takes_the_place_of_the_first(tmp_path):
    for outcome in ("interrupted", "succeeded"):
        note(str(tmp_path), "r", Entry("finetune", "", outcome, 1.0), print)
    assert [e.outcome for e in close(str(tmp_path), "r", "SUCCEEDED", "").entries] == ["succeeded"]


def test_a_journal_that_cannot_be_written_is_said_and_stops_nothing(tmp_path):
    said = []
    (tmp_path / "runs").write_text("a file where a folder belongs")
    note(str(tmp_path), "r", Entry("finetune", "", "succeeded", 1.0), said.append)
    assert len(said) == 1 and said[0].startswith("journal: not written")


def test_outside_a_run_nothing_is_left(tmp_path):
    note(str(tmp_path), "", Entry("finetune", "", "succeeded", 1.0), print)
    assert not list(tmp_path.iterdir())
