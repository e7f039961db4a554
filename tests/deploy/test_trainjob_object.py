"""The TrainJob that `tongues finetune --render` prints is one that an API server takes, field by field."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import chart_objects
import crd_schemas
import pytest
import yaml

needs_crds = pytest.mark.skipif(not chart_objects.CRDS.is_dir(), reason="needs CRDs; set TONGUES_CRDS")
POOLS = {
    "least": "{nodes: 2}",
    "full": """{nodes: 4, gpus: 8, cpu: "64", memory: 512Gi, shared_memory: 64Gi, ephemeral_storage: 200Gi,
      queue: gpu-queue, runtime: my-torch, runtime_kind: TrainingRuntime, timeout_s: 86400,
      node_selector: {pool: h100},
      tolerations: [{key: nvidia.com/gpu, effect: NoSchedule}, {key: spot, operator: Equal, value: "1"}]}""",
}


def render(folder: Path, pool: str, *more: str) -> str:
    recipe = folder / "recipe.yaml"
    text = (chart_objects.ROOT / "recipes" / "sphinx.yaml").read_text()
    recipe.write_text(text + f"\nnode_pools:\n  finetune: {pool}\n")
    command = [Path(sys.executable).with_name("tongues"), "finetune", recipe, "--render", *more]
    command += ["-w", "s3://bucket/tongues", "--namespace", "team-a"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.fixture(scope="module", params=list(POOLS))
def job(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return dict(yaml.safe_load(render(tmp_path_factory.mktemp("render"), POOLS[request.param])))


@needs_crds
def test_rendered_job_strict_schema_valid(job: dict[str, Any]) -> None:
    assert crd_schemas.problems(job) == []


def test_rendered_job_keeps_the_rules_that_a_schema_does_not_check(job: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", job["metadata"]["name"])
    reserved = ("PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT")
    assert not [one for one in job["spec"]["trainer"]["env"] if one["name"] in reserved]
    assert "podTemplateOverrides" not in job["spec"] and "podSpecOverrides" not in job["spec"]


def test_runtime_of_a_recipe_that_names_none_is_the_charts(tmp_path: Path) -> None:
    ref = yaml.safe_load(render(tmp_path, POOLS["least"]))["spec"]["runtimeRef"]
    (made,) = chart_objects.from_chart({"trainer": {"enabled": True}}).of(ref["kind"])
    assert ref == {
        "apiGroup": made["apiVersion"].partition("/")[0],
        "kind": made["kind"],
        "name": made["metadata"]["name"],
    }


def test_runtime_of_a_namespace_is_named_with_its_kind(tmp_path: Path) -> None:
    ref = yaml.safe_load(render(tmp_path, POOLS["full"]))["spec"]["runtimeRef"]
    assert (ref["kind"], ref["name"]) == ("TrainingRuntime", "my-torch")
    tenant = chart_objects.from_chart({"trainer": {"enabled": True, "clusterWide": False}})
    assert len(tenant.of(ref["kind"])) == 1


@needs_crds
@pytest.mark.parametrize(
    "where",
    [
        ("spec",),
        ("spec", "trainer"),
        ("spec", "runtimePatches", 0),
        ("spec", "runtimePatches", 0, "trainingRuntimeSpec", "template", "spec", "replicatedJobs", 0),
    ],
    ids=str,
)
def test_job_with_an_unknown_field_is_refused(job: dict[str, Any], where: tuple[Any, ...]) -> None:
    broken = copy.deepcopy(job)
    node: Any = broken
    for key in where:
        node = node[key]
    node["misspelt"] = 1
    assert any("misspelt" in problem for problem in crd_schemas.problems(broken))


def test_recipe_of_several_models_renders_that_of_one(tmp_path: Path) -> None:
    recipe = tmp_path / "taco.yaml"
    text = (chart_objects.ROOT / "recipes" / "taco.yaml").read_text()
    recipe.write_text(text + "\nnode_pools: {finetune: {nodes: 2}}\n")
    command = [Path(sys.executable).with_name("tongues"), "finetune", "-w", "s3://b/w", "--render"]
    done = subprocess.run([*command, recipe], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and f"{recipe}#ne" in done.stderr
    done = subprocess.run([*command, f"{recipe}#ne"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and yaml.safe_load(done.stdout)["kind"] == "TrainJob"


@pytest.mark.parametrize(
    ("pools", "workspace", "told"),
    [
        ("finetune: {gpus: 8}", "s3://b/w", "node_pools.finetune.nodes is 1"),
        ("finetune: {nodes: 2}", ".tongues", "name an s3:// prefix"),
    ],
)
def test_job_that_cannot_be_is_not_rendered(tmp_path: Path, pools: str, workspace: str, told: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    text = (chart_objects.ROOT / "recipes" / "sphinx.yaml").read_text()
    recipe.write_text(text + f"\nnode_pools: {{{pools}}}\n")
    command = [Path(sys.executable).with_name("tongues"), "finetune", recipe, "-w", workspace, "--render"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "") and told in done.stderr


def test_json_is_the_same_object(tmp_path: Path) -> None:
    printed = json.loads(render(tmp_path, POOLS["full"], "--json"))
    assert printed == yaml.safe_load(render(tmp_path, POOLS["full"]))
