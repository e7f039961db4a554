"""`tongues doctor --cluster` against a stand-in Kubernetes API over real HTTP."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

from cluster_server import ClusterServer

ROOT = Path(__file__).resolve().parents[2]
H100 = {"cloud.google.com/gke-accelerator": "nvidia-h100-80gb"}
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
NS = "/api/v1/namespaces/team-a"
POOLS = """
node_pools:
  finetune:
    gpus: 4
    node_selector: {cloud.google.com/gke-accelerator: nvidia-h100-80gb}
    tolerations: [{key: nvidia.com/gpu, effect: NoSchedule}]
"""


def queue(gpus):
    quota = [{"name": "nvidia.com/gpu", "nominalQuota": gpus}]
    group = {"coveredResources": ["nvidia.com/gpu"], "flavors": [{"name": "h100", "resources": quota}]}
    return {"metadata": {"name": "finetune"}, "spec": {"resourceGroups": [group]}}


def secret(*keys):
    return {"metadata": {}, "data": dict.fromkeys(keys, "aHVudGVyMg==")}


SPREAD = POOLS.replace("gpus: 4", "gpus: 4\n    nodes: 4\n    queue: gpu")
RUNTIMES = "/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes"
OWN_RUNTIMES = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team-a/trainingruntimes"
SOUND = {
    RUNTIMES: [{"metadata": {"name": "tongues-torch"}}, {"metadata": {"name": "torch-distributed"}}],
    OWN_RUNTIMES: [],
    NS: {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
    "/apis/storage.k8s.io/v1/storageclasses": [
        {"metadata": {"name": "fast"}},
        {
            "metadata": {
                "name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            }
        },
    ],
    "/api/v1/nodes": [
        {"metadata": {"name": "cpu", "labels": {}}, "spec": {}, "status": {"allocatable": {"cpu": "8"}}},
        {
            "metadata": {"name": "gpu", "labels": H100},
            "spec": {"taints": [TAINT]},
            "status": {"allocatable": {"cpu": "64", "nvidia.com/gpu": "8"}},
        },
    ],
    "/apis/kueue.x-k8s.io/v1beta2/namespaces/team-a/localqueues": [
        {"metadata": {"name": "gpu"}, "spec": {"clusterQueue": "finetune"}}
    ],
    "/apis/kueue.x-k8s.io/v1beta2/clusterqueues/finetune": queue(16),
    f"{NS}/configmaps/tongues-pipeline": {"metadata": {}, "data": {}},
    f"{NS}/secrets/tongues-pipeline-s3": secret("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    f"{NS}/secrets/tongues-pipeline-mlflow": secret("username", "password"),
}


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text((ROOT / "recipes" / "quickstart.yaml").read_text() + POOLS)
    return path


def findings(**changes):
    from kubernetes.client import ApiClient, Configuration

    from tongues.core.recipe_file import parse_recipe
    from tongues.platform.kubernetes_api import KubernetesApi
    from tongues.stages.cluster_doctor import Questions, examine_cluster

    objects = copy.deepcopy(SOUND) | changes.pop("objects", {})
    text = (ROOT / "recipes" / "quickstart.yaml").read_text() + changes.pop("pools", POOLS)
    given = parse_recipe(text.encode(), where="test")
    with ClusterServer(objects={k: v for k, v in objects.items() if v is not None}, **changes) as api:
        client = KubernetesApi(ApiClient(Configuration(host=api.url)), print, patience_s=0.0)
        found = examine_cluster(client, Questions("team-a", given))
    assert all(method == "GET" or path.endswith("selfsubjectaccessreviews") for method, path in api.requests)
    return {finding.name: finding for finding in found}


def test_a_sound_cluster_has_nothing_missing():
    found = findings()
    assert [f.name for f in found.values() if not f.ok] == []
    assert found["kubernetes"].found == "v1.34.1" and found["storage class"].found == "standard"
    assert found["trainer.kubeflow.org/v1alpha1"].found.startswith("absent, only for")


def test_a_job_over_several_nodes_that_fits_its_queue_has_nothing_missing():
    found = findings(pools=SPREAD)
    assert [f.name for f in found.values() if not f.ok] == []
    assert "(4 nodes with 4 each)" in found["queue for finetune"].found
    assert found["runtime for finetune"].found == "ClusterTrainingRuntime tongues-torch"


@pytest.mark.parametrize(
    ("changes", "name", "found", "fix"),
    [
        ({"version": "v1.28.3-gke.100"}, "kubernetes", "v1.28.3", "1.32"),
        ({"apis": ("argoproj.io/v1alpha1",)}, "serving.kserve.io/v1beta1", "no KServe", "KServe 0.20"),
        ({"objects": {NS: None}}, "namespace", "no namespace team-a", "kubectl create namespace team-a"),
        ({"denied": ("get pods/log",)}, "right: get pods/log", "not granted", "auth can-i get pods"),
        (
            {
                "objects": {
                    "/apis/storage.k8s.io/v1/storageclasses": SOUND["/apis/storage.k8s.io/v1/storageclasses"][
                        :1
                    ]
                }
            },
            "storage class",
            "there are: fast",
            "annotate storageclass fast",
        ),
        (
            {"pools": POOLS.replace("h100-80gb", "h200")},
            "node_pools.finetune",
            "no node has cloud.google.com/gke-accelerator=nvidia-h200",
            "the cluster has cloud.google.com/gke-accelerator: nvidia-h100-80gb",
        ),
        (
            {"pools": POOLS.replace("tolerations: [{key: nvidia.com/gpu, effect: NoSchedule}]", "cpu: '4'")},
            "node_pools.finetune",
            "tainted nvidia.com/gpu=present:NoSchedule",
            "{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}",
        ),
        (
            {"pools": POOLS.replace("gpus: 4", "gpus: 4\n    accelerator: nvidia.com/mig-1g.10gb")},
            "node_pools.finetune",
            "no node of the pool has more than 0",
            "its nodes offer nvidia.com/gpu",
        ),
        (
            {"objects": {"/apis/kueue.x-k8s.io/v1beta2/clusterqueues/finetune": queue(2)}},
            "queue for finetune",
            "asks for 4 nvidia.com/gpu; the queues own: finetune 2",
            "lower node_pools.finetune.gpus to 2",
        ),
        (
            {"pools": SPREAD, "objects": {"/apis/kueue.x-k8s.io/v1beta2/clusterqueues/finetune": queue(14)}},
            "queue for finetune",
            "asks for 16 nvidia.com/gpu (4 nodes with 4 each); the queues own: finetune 14",
            "lower node_pools.finetune.nodes to 3",
        ),
        (
            {"pools": SPREAD.replace("queue: gpu", "queue: gpus")},
            "queue for finetune",
            "no LocalQueue gpus in team-a; there are: gpu",
            "set node_pools.finetune.queue",
        ),
        (
            {"pools": SPREAD + "    runtime: tongues\n"},
            "runtime for finetune",
            "no ClusterTrainingRuntime tongues; there are: tongues-torch, torch-distributed",
            "trainer.enabled",
        ),
        (
            {"pools": SPREAD + "    runtime_kind: TrainingRuntime\n"},
            "runtime for finetune",
            "no TrainingRuntime tongues-torch; there are: none",
            "trainer.enabled",
        ),
        (
            {"pools": SPREAD, "objects": {RUNTIMES: None}},
            "runtime for finetune",
            "no trainer.kubeflow.org/v1alpha1",
            "install Kubeflow Trainer",
        ),
        (
            {"objects": {"/apis/kueue.x-k8s.io/v1beta2/clusterqueues/finetune": None}},
            "clusterqueue finetune",
            "absent",
            "make it",
        ),
        (
            {"objects": {f"{NS}/secrets/tongues-pipeline-s3": secret("AWS_ACCESS_KEY_ID")}},
            "secret tongues-pipeline-s3",
            "lacks AWS_SECRET_ACCESS_KEY",
            "kubectl create secret generic tongues-pipeline-s3 -n team-a",
        ),
        ({"forbidden": ("/api/v1/nodes",)}, "node pools", "not allowed", "somebody with the right"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(changes, name, found, fix):
    told = findings(**changes)[name]
    assert not told.ok and found in told.found and fix in told.fix


def test_no_value_of_a_secret_is_ever_told():
    told = findings(objects={f"{NS}/secrets/tongues-pipeline-mlflow": secret("username")})
    assert "aHVudGVyMg" not in json.dumps([f.__dict__ for f in told.values()])


def test_the_command_says_it_as_json_and_exits_1(tmp_path, recipe):
    objects = copy.deepcopy(SOUND) | {"/apis/kueue.x-k8s.io/v1beta2/clusterqueues/finetune": queue(2)}
    with ClusterServer(objects=objects, token="of-ada") as api:
        api.kubeconfig(tmp_path, token="of-ada")
        done = doctor(tmp_path, recipe)
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["ok"] is False, done.stderr
    assert [f["name"] for f in told["findings"] if not f["ok"]] == ["queue for finetune"]


@pytest.mark.parametrize(
    ("server", "token", "said"),
    [
        ({"token": "of-ada"}, "old", "not logged in"),
        ({"page": True}, "", "no JSON object"),
    ],
)
def test_a_server_that_is_not_usable_is_one_error(tmp_path, recipe, server, token, said):
    with ClusterServer(**server) as api:
        api.kubeconfig(tmp_path, token=token)
        done = doctor(tmp_path, recipe)
    told = json.loads(done.stdout)
    assert done.returncode == 1 and said in told["error"]["what"] and told["error"]["fix"]
    assert "old" not in told["error"]["what"]


def test_without_any_access_it_says_where_access_comes_from(tmp_path, recipe):
    done = doctor(tmp_path, recipe)
    assert done.returncode == 1 and "kubeconfig" in json.loads(done.stdout)["error"]["where"]


def test_other_services_are_asked_too(tmp_path, recipe):
    with ClusterServer(objects=SOUND) as api:
        api.kubeconfig(tmp_path)
        done = doctor(tmp_path, recipe, "--host", "http://127.0.0.1:1")
    [kfp] = [f for f in json.loads(done.stdout)["findings"] if f["name"] == "kubeflow pipelines"]
    assert not kfp["ok"] and "does not answer" in kfp["found"] and "port-forward" in kfp["fix"]


def doctor(folder, recipe, *more):
    command = [
        Path(sys.executable).with_name("tongues"),
        "doctor",
        recipe,
        "--cluster",
        "-n",
        "team-a",
        "--json",
    ]
    environment = os.environ | {"KUBECONFIG": str(folder / "kubeconfig"), "TONGUES_WORKSPACE": str(folder)}
    return subprocess.run([*command, *more], capture_output=True, text=True, timeout=100, env=environment)
