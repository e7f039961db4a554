"""The TrainJob of a recipe's node pool, and what a step's pod hands on to it."""

import pytest

from tongues.core.errors import RecipeError
from tongues.core.recipe import NodePoolSection
from tongues.core.recipe_file import load_recipe, parse_recipe
from tongues.tuning.trainjob import Surroundings, surroundings_of, train_job

POD = {
    "metadata": {
        "name": "quickstart-x7k2p-system-container-impl-1",
        "namespace": "team-a",
        "labels": {"pipeline/runid": "run-1", "workflows.argoproj.io/workflow": "quickstart-x7k2p"},
        "ownerReferences": [
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Workflow",
                "name": "quickstart-x7k2p",
                "uid": "u-1",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    },
    "spec": {
        "serviceAccountName": "tongues-pipeline",
        "containers": [
            {"name": "wait", "image": "argoexec:4"},
            {
                "name": "main",
                "image": "registry.example/tongues/cuda:0.1.0",
                "env": [
                    {"name": "KFP_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "AWS_ENDPOINT_URL_S3", "value": "http://store:9000"},
                    {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "store", "key": "k"}}},
                    {"name": "ARGO_TEMPLATE", "value": "{...}"},
                    {"name": "TONGUES_FAILURE_FILE", "value": "/tmp/f"},
                    {"name": "PET_NNODES", "value": "1"},
                ],
            },
        ],
    },
}


def test_what_the_steps_pod_hands_on():
    place = surroundings_of(POD)
    assert (place.namespace, place.image) == ("team-a", "registry.example/tongues/cuda:0.1.0")
    assert place.service_account == "tongues-pipeline"
    assert [one["name"] for one in place.env] == ["AWS_ENDPOINT_URL_S3", "KEY"]
    assert place.labels == {"pipeline/runid": "run-1"}
    assert place.owner == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "name": "quickstart-x7k2p",
        "uid": "u-1",
    }


def rendered(**pool):
    section = NodePoolSection.model_validate({"nodes": 2} | pool)
    return train_job("tongues-finetune-1", ["tongues", "finetune"], section, surroundings_of(POD), grace_s=30)


def patch_of(job):
    (patch,) = job["spec"]["runtimePatches"]
    (replicated,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    return replicated["template"]["spec"]["template"]["spec"]


def test_pool_is_what_every_pod_gets():
    job = rendered(gpus=8, cpu="64", memory="512Gi", shared_memory="64Gi", ephemeral_storage="200Gi")
    trainer = job["spec"]["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 8)
    assert trainer["resourcesPerNode"]["requests"] == trainer["resourcesPerNode"]["limits"]
    assert trainer["resourcesPerNode"]["limits"] == {
        "cpu": "64",
        "memory": "512Gi",
        "ephemeral-storage": "200Gi",
        "nvidia.com/gpu": "8",
    }
    pod = patch_of(job)
    assert pod["volumes"][0]["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Gi"}
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == "/dev/shm"


def test_pod_may_take_its_grace_to_save_and_some_time_to_end():
    assert patch_of(rendered())["terminationGracePeriodSeconds"] > 30


def test_pool_that_says_nothing_leaves_the_runtimes_resources():
    job = rendered()
    assert "resourcesPerNode" not in job["spec"]["trainer"] and "volumes" not in patch_of(job)
    assert "activeDeadlineSeconds" not in job["spec"]
    assert "kueue.x-k8s.io/queue-name" not in job["metadata"]["labels"]


def test_job_outside_a_run_has_no_owner():
    place = Surroundings("team-a", "image")
    job = train_job("a", ["b"], NodePoolSection(nodes=2), place, grace_s=30)
    assert "ownerReferences" not in job["metadata"]


def test_names_that_trainer_reserves_are_not_handed_on():
    assert not [one for one in rendered()["spec"]["trainer"]["env"] if one["name"].startswith("PET_")]


@pytest.mark.parametrize(
    ("pools", "told"),
    [
        ("evaluate: {nodes: 2}", "only finetune spreads"),
        ("finetune: {queue: gpu}", "queue is for a TrainJob"),
        ("finetune: {nodes: 0}", "node_pools.finetune.nodes"),
        ("finetune: {nodes: 2, queue: GPU_queue}", "node_pools.finetune.queue"),
    ],
)
def test_pool_that_cannot_be_is_refused(repository, pools, told):
    text = (repository / "recipes" / "quickstart.yaml").read_text() + f"node_pools: {{{pools}}}\n"
    with pytest.raises(RecipeError, match=told):
        parse_recipe(text.encode(), where="test")


def test_preference_stage_does_not_spread(repository):
    text = (repository / "recipes" / "quickstart.yaml").read_text()
    text = (
        text.replace("\ntuning:\n", "\ntuning:\n  preference: {}\n") + "node_pools: {finetune: {nodes: 2}}\n"
    )
    with pytest.raises(RecipeError, match=r"tuning\.preference trains in one process"):
        parse_recipe(text.encode(), where="test")


def test_nodes_change_nothing_of_what_work_is_found_by(repository):
    recipe = load_recipe(repository / "recipes" / "quickstart.yaml")
    assert "nodes" not in recipe.tuning.model_dump_json()
