"""The step `report`: the run's last word, and the nodes it still holds."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed: install tongues[pipelines]")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

from trainer_server import Moment, TrainerServer

from components.report.component import report
from tests.handmade_versions import RECIPE
from tongues.core.recipe_file import parse_recipe
from tongues.stages.run_journal import Entry, note

NODES = "node_pools: {finetune: {nodes: 2}}\n"


def job(name, run):
    return {"metadata": {"name": name, "labels": {"pipeline/runid": run}}, "spec": {}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Ends the run run-1 as its exit handler does; a step of it has left a line."""
    monkeypatch.setenv("KFP_POD_NAME", "report-pod")
    monkeypatch.setenv("TONGUES_RUN_ID", "run-1")
    work = str(tmp_path / "work")
    note(work, "run-1", Entry("finetune", "", "interrupted", 5.0, "stopped by SIGTERM"), print)

    def end(server, more=NODES):
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path)))
        parse_recipe((RECIPE + more).encode(), where="test")
        status = SimpleNamespace(state="FAILED", error_message="cancelled")
        page = tmp_path / "page.md"
        report.python_func(RECIPE + more, work, status, SimpleNamespace(path=str(page)))
        return json.loads((tmp_path / "work" / "runs" / "run-1.json").read_text())

    return end


def test_nodes_that_a_run_still_holds_are_freed_and_no_others(run):
    with TrainerServer([Moment()]) as server:
        server.jobs |= {"mine": job("mine", "run-1"), "other": job("other", "run-2")}
        assert run(server)["state"] == "FAILED"
    assert server.deleted == ["mine"]


def test_recipe_of_one_node_asks_the_cluster_nothing(run):
    with TrainerServer([Moment()]) as server:
        run(server, more="")
    assert server.requests == []


def test_missing_right_fails_the_step_and_the_report_is_whole_after_each_try(run, capsys):
    with TrainerServer(choose=lambda n, method, path: "403") as server:
        for _ in range(2):
            with pytest.raises(SystemExit) as ended:
                run(server)
            assert ended.value.code == 1
    assert "pipeline.train=true" in capsys.readouterr().out
    with TrainerServer([Moment()]) as server:
        assert [one["step"] for one in run(server)["entries"]] == ["finetune"]
