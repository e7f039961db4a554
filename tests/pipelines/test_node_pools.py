"""Node pools of a recipe in the compiled pipeline: resources, selectors, taints, shared memory."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kfp.compiler import Compiler

from pipelines.multilingual_tuning import build
from tongues.core.errors import RecipeError
from tongues.core.recipe_file import parse_recipe

ROOT = Path(__file__).resolve().parents[2]
POOLS = """
node_pools:
  finetune:
    gpus: 2
    cpu: "16"
    memory: 128G
    shared_memory: 16Gi
    ephemeral_storage: 200Gi
    node_selector: {cloud.google.com/gke-accelerator: nvidia-h100-80gb}
    tolerations: [{key: nvidia.com/gpu, effect: NoSchedule}]
    timeout_s: 86400
    retries: 3
  translate: {node_selector: {pool: cheap}, cpu: "2"}
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """IR and platform part of the pipeline with the pools."""
    text = (ROOT / "recipes" / "quickstart.yaml").read_text() + POOLS
    pools = parse_recipe(text.encode(), where="test").node_pools
    path = tmp_path_factory.mktemp("out") / "p.yaml"
    Compiler().compile(build(pools), str(path))
    return tuple(yaml.safe_load_all(path.read_text()))


def resources(compiled, step):
    return compiled[0]["deploymentSpec"]["executors"][f"exec-{step}"]["container"]["resources"]


def nodes(compiled, step):
    return compiled[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"][f"exec-{step}"]


def test_gpus_and_limits_are_the_pools(compiled):
    found = resources(compiled, "finetune")
    assert found["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert str(found["accelerator"]["resourceCount"]) == "2"
    assert (found["resourceCpuLimit"], found["resourceMemoryLimit"]) == ("16", "128G")
    assert (found["resourceCpuRequest"], found["resourceMemoryRequest"]) == ("16", "128G")


def test_pod_goes_to_the_pools_nodes_with_shared_memory(compiled):
    found = nodes(compiled, "finetune")
    assert found["nodeSelector"]["labels"] == {"cloud.google.com/gke-accelerator": "nvidia-h100-80gb"}
    assert found["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ]
    memory, scratch = found["emptyDirMounts"]
    assert (memory["mountPath"], memory["medium"], memory["sizeLimit"]) == ("/dev/shm", "Memory", "16Gi")
    assert (scratch["mountPath"], scratch["sizeLimit"]) == ("/tmp/.cache", "200Gi")
    assert found["activeDeadlineSeconds"] == "86400"


def test_scratch_stands_where_the_images_keep_work_in_progress():
    image = (ROOT / "components/images/cuda.Dockerfile").read_text()
    assert "HOME=/tmp " in image, "the workspace's local side is below HOME/.cache"


def test_step_of_several_nodes_asks_for_them_and_has_none_itself(tmp_path):
    pool = "node_pools: {finetune: {nodes: 2, gpus: 8, memory: 512Gi, timeout_s: 9, retries: 4, queue: q}}\n"
    text = (ROOT / "recipes" / "quickstart.yaml").read_text() + pool
    Compiler().compile(build(parse_recipe(text.encode(), where="test").node_pools), str(tmp_path / "p.yaml"))
    [ir, *platform] = yaml.safe_load_all((tmp_path / "p.yaml").read_text())
    container = ir["deploymentSpec"]["executors"]["exec-finetune"]["container"]
    assert "accelerator" not in container["resources"]
    assert container["resources"]["resourceMemoryLimit"] == "4G"
    road = ir["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert road["finetune"]["retryPolicy"]["maxRetryCount"] == 4
    placed = platform[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert "activeDeadlineSeconds" in placed["exec-evaluate"]
    assert "activeDeadlineSeconds" not in placed["exec-finetune"], "a queue may hold the job for longer"
    assert "nodeSelector" not in placed["exec-finetune"]


def test_a_step_inside_the_loop_is_placed_too(compiled):
    assert nodes(compiled, "translate")["nodeSelector"]["labels"] == {"pool": "cheap"}
    assert resources(compiled, "translate")["resourceCpuLimit"] == "2"


def test_no_step_sets_its_whole_limit_aside_without_being_asked_to():
    plain = next(yaml.safe_load_all((ROOT / "pipelines/compiled/multilingual_tuning.yaml").read_text()))
    for name, executor in plain["deploymentSpec"]["executors"].items():
        given = executor["container"].get("resources", {})
        if "cpuLimit" in given:
            assert given["cpuRequest"] < given["cpuLimit"], name
            assert given["memoryRequest"] < given["memoryLimit"], name


def test_other_steps_are_as_without_pools(compiled):
    assert {"nodeSelector", "tolerations", "emptyDirMounts"}.isdisjoint(nodes(compiled, "evaluate"))
    plain = next(yaml.safe_load_all((ROOT / "pipelines/compiled/multilingual_tuning.yaml").read_text()))
    executors = plain["deploymentSpec"]["executors"]
    assert resources(compiled, "gather") == executors["exec-gather"]["container"]["resources"]


def test_retries_of_the_pool_stand_for_those_of_the_pipeline(compiled):
    tasks = compiled[0]["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert tasks["finetune"]["retryPolicy"]["maxRetryCount"] == 3


def test_the_command_compiles_a_recipes_pools(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text((ROOT / "recipes" / "quickstart.yaml").read_text() + POOLS)
    command = [Path(sys.executable).with_name("tongues"), "compile", recipe, "--out", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    assert "nvidia-h100-80gb" in (tmp_path / "multilingual_tuning.yaml").read_text()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("fintune: {gpus: 1}", "node_pools.fintune"),
        ("finetune: {gpus: 9}", "node_pools.finetune.gpus"),
        ("finetune: {memory: 128 GB}", "node_pools.finetune.memory"),
    ],
)
def test_a_pool_that_cannot_be_is_refused_with_its_key(wrong, told):
    text = (ROOT / "recipes" / "quickstart.yaml").read_text() + f"node_pools:\n  {wrong}\n"
    with pytest.raises(RecipeError, match=told.replace(".", r"\.")):
        parse_recipe(text.encode(), where="test")
