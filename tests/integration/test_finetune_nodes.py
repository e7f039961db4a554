"""Finetune as a TrainJob, whole: the stand-in cluster runs the very command it was given, on a real store.

One process plays all nodes: how several of them train together is tested where they do.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from object_store import running_store
from trainer_server import PODS, Moment, PodMoment, TrainerServer

from tests.servers.tuning_job import record
from tests.tiny_models import make_tiny_base
from tongues.core.errors import PreflightError, TuningError
from tongues.core.manifest import Tally
from tongues.core.recipe import LoraSection, NodePoolSection, SafetySection, TuningSection
from tongues.core.recipe_file import load_recipe
from tongues.core.records import RECORD_SCHEMA
from tongues.core.shards import write_shards
from tongues.platform import storage
from tongues.stages.finetune import finetune
from tongues.stages.finetune_nodes import finetune_on_nodes, finetune_where_it_belongs
from tongues.stages.given import Given
from tongues.stages.workspace import Output, Report, Workspace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
QUICKSTART = Path(__file__).resolve().parents[2] / "recipes" / "quickstart.yaml"
POD = "run-1-system-container-impl-1"


@pytest.fixture
def given() -> Given:
    tuning = TuningSection(
        lora=LoraSection(r=2, alpha=4),
        max_steps=2,
        batch_rows=4,
        max_seq_tokens=400,
        precision="fp32",
        safety=SafetySection(parity="transformers"),
    )
    pools = {"finetune": NodePoolSection(nodes=2, queue="gpu-queue")}
    recipe = load_recipe(QUICKSTART).model_copy(update={"tuning": tuning, "node_pools": pools})
    return Given(recipe, recipe, "test")


def inputs(given: Given, place: Workspace, base: Path) -> tuple[Output, Output]:
    """Twenty records and a tiny model, as finished outputs of a workspace."""

    def data(folder: Path) -> Report:
        for split, rows in (("train", range(16)), ("validation", range(16, 20))):
            write_shards(folder / split, RECORD_SCHEMA, (record(n).to_row() for n in rows))
        return Report({"es": Tally(rows_in=20, rows_out=20)}, facts={"licence": "CC0-1.0"})

    def model(folder: Path) -> Report:
        for path in base.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        return Report(facts={})

    made = [("assemble", data), ("base", model)]
    dataset, fetched = (
        place.finish(stage, recipe=given.recipe, inputs={}, params=1, work=work) for stage, work in made
    )
    return dataset, fetched


@pytest.fixture
def cluster(monkeypatch, tmp_path):
    """A cluster, an object store, and this process as the pod of a step on it."""
    with running_store("tongues") as store, TrainerServer() as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path)))
        monkeypatch.setenv("KFP_POD_NAME", POD)
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        env = [{"name": name, "value": value} for name, value in store.environment.items()]
        container = {"name": "main", "image": "tongues/cuda:0.1.0", "env": env}
        owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "run-1", "uid": "u-1"}
        server.pods[POD] = {
            "metadata": {"name": POD, "namespace": "team-a", "ownerReferences": [owner]},
            "spec": {"containers": [container], "serviceAccountName": "runner"},
        }
        assert PODS.endswith("team-a/pods")
        server.moments = [Moment(suspend=True), Moment(pods=[PodMoment()]), Moment("Complete")]
        yield server


def run_as_pod(job, home: Path) -> None:
    """What the container of a TrainJob does: its command, with its variables and nothing else of ours."""
    trainer = job["spec"]["trainer"]
    given = {one["name"]: one["value"] for one in trainer["env"]}
    tools = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(home)}
    done = subprocess.run(
        trainer["command"], env=tools | given, cwd=home, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_job_trains_what_the_step_would_have_trained_and_is_asked_for_once(given, cluster, tmp_path):
    base = make_tiny_base(tmp_path / "tiny")
    said = []
    here = Workspace(str(tmp_path / "here"), say=said.append)
    alone = finetune(given, here, *inputs(given, here, base))

    pods = tmp_path / "pod"
    pods.mkdir()
    cluster.ended = lambda job: run_as_pod(job, pods)
    there = Workspace("s3://tongues/work", scratch=tmp_path / "scratch", say=said.append)
    dataset, fetched = inputs(given, there, base)
    output = finetune_on_nodes(given, there, dataset, fetched)
    assert output.manifest.content_sha256 == alone.manifest.content_sha256
    assert output.manifest.key == alone.manifest.key
    (job,) = cluster.created
    assert job["metadata"]["name"] == f"tongues-finetune-{output.manifest.key}"
    assert job["metadata"]["ownerReferences"][0]["kind"] == "Workflow"
    assert any("waits in queue gpu-queue" in line for line in said)

    before = len(cluster.requests)
    again = finetune_on_nodes(given, there, dataset, fetched)
    assert again.manifest.digest() == output.manifest.digest()
    assert len(cluster.requests) == before, "finished work needs no cluster"


def test_job_that_ends_well_and_leaves_nothing_is_a_failure(given, cluster, tmp_path):
    there = Workspace("s3://tongues/work", scratch=tmp_path / "scratch", say=lambda _: None)
    data = inputs(given, there, make_tiny_base(tmp_path / "tiny"))
    with pytest.raises(TuningError, match="left no output"):
        finetune_on_nodes(given, there, *data)
    recipe = cluster.created[0]["spec"]["trainer"]["command"][2]
    assert storage.read_bytes(recipe) is not None, "the nodes find the recipe in the store"


def test_workspace_that_other_nodes_cannot_read_is_refused_before_anything_is_asked(given, cluster, tmp_path):
    here = Workspace(str(tmp_path / "here"), say=lambda _: None)
    with pytest.raises(PreflightError, match="s3://"):
        finetune_on_nodes(given, here, *inputs(given, here, make_tiny_base(tmp_path / "tiny")))
    assert cluster.requests == []


def test_step_on_a_cluster_goes_to_the_nodes(given, cluster, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    here = Workspace(str(tmp_path / "here"), say=lambda _: None)
    with pytest.raises(PreflightError, match="s3://"):
        finetune_where_it_belongs(given, here, *inputs(given, here, make_tiny_base(tmp_path / "tiny")))


def test_node_pools_count_for_nothing_outside_a_cluster(given, tmp_path):
    here = Workspace(str(tmp_path / "here"), say=lambda _: None)
    output = finetune_where_it_belongs(given, here, *inputs(given, here, make_tiny_base(tmp_path / "tiny")))
    assert (output.folder / "adapter").is_dir()
