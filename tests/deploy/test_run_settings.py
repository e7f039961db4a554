"""What compiled pipelines read in their namespace is what the chart puts there or asks for, key by key."""

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_objects import ROOT, VALUE_SETS, Objects, from_value_set
from object_store import running_store

from tongues.core import cluster_names

COMPILED = sorted((ROOT / "pipelines" / "compiled").glob("*.yaml"))
# Together these make every key that there is.
WHOLE = ("full-values.yaml", "multi-user-values.yaml")
FILES = {
    cluster_names.SIGNING_SECRET: cluster_names.SIGNING_KEY_FILE,
    cluster_names.VERIFICATION_SECRET: cluster_names.VERIFICATION_KEY_FILE,
}
References = set[tuple[str, str, str, str]]
"""Kind, name, key, and the variable that the key becomes."""


def compiled_references() -> References:
    """Of every step of every compiled pipeline."""
    found: References = set()
    for file in COMPILED:
        _, platform = yaml.safe_load_all(file.read_text())
        for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
            for kind, key in (("configMap", "configMapKey"), ("secret", "secretKey")):
                for one in executor[f"{kind}AsEnv"]:
                    found |= {
                        (kind, one[f"{kind}Name"], pair[key], pair["envVar"]) for pair in one["keyToEnv"]
                    }
    return found


def check_pod(objects: Objects) -> dict[str, Any]:
    """The container of `helm test` that reads what runs read."""
    (pod,) = [pod for pod in objects.pods() if pod.owner == "Pod/tongues-run-test"]
    return dict(pod.spec["containers"][0])


def chart_references(objects: Objects) -> References:
    """Of the pod of `helm test`, which the chart renders from what it asks for."""
    return {
        (kind, source[f"{kind}KeyRef"]["name"], source[f"{kind}KeyRef"]["key"], entry["name"])
        for entry in check_pod(objects)["env"]
        for source in [entry.get("valueFrom", {})]
        for kind in ("configMap", "secret")
        if f"{kind}KeyRef" in source
    }


def settings(objects: Objects) -> dict[str, str]:
    (found,) = [o for o in objects.of("ConfigMap") if o["metadata"]["name"] == cluster_names.SETTINGS]
    return dict(found["data"])


def differences(objects: Objects) -> References:
    return chart_references(objects) ^ compiled_references()


def test_chart_asks_for_exactly_what_the_compiled_steps_read() -> None:
    assert COMPILED
    assert differences(from_value_set("default")) == set()


def test_config_map_has_exactly_the_keys_that_the_compiled_steps_read() -> None:
    read = {key for kind, name, key, _ in compiled_references() if kind == "configMap"}
    assert {name for kind, name, *_ in compiled_references() if kind == "configMap"} == {
        cluster_names.SETTINGS
    }
    assert {key for name in WHOLE for key in settings(from_value_set(name))} == read


@pytest.mark.parametrize("name", VALUE_SETS)
def test_every_value_set_tells_runs_where_mlflow_is(name: str) -> None:
    objects = from_value_set(name)
    if objects.values["pipeline"]["enabled"]:
        assert settings(objects)["mlflow-tracking-uri"].startswith("http")


@pytest.mark.parametrize("which", ["name", "key"])
def test_reference_that_only_one_side_has_seen(which: str) -> None:
    broken = copy.deepcopy(from_value_set("default"))
    for entry in next(pod for pod in broken.pods() if "run-test" in pod.owner).containers[0]["env"]:
        if entry["name"] == "MLFLOW_TRACKING_PASSWORD":
            entry["valueFrom"]["secretKeyRef"][which] += "x"
    assert len(differences(broken)) == 2


def test_names_in_the_code_are_those_of_the_compiled_steps() -> None:
    named = {cluster_names.MLFLOW_SECRET, cluster_names.STORE_SECRET, cluster_names.KEYS_SECRET}
    assert {name for kind, name, *_ in compiled_references() if kind == "secret"} == named


def test_key_that_signs_reaches_the_register_step_only() -> None:
    mounted: dict[tuple[str, str], set[str]] = {}
    for file in COMPILED:
        _, platform = yaml.safe_load_all(file.read_text())
        for step, executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].items():
            for one in executor.get("secretAsVolume", []):
                assert one["optional"], "a pod starts without it"
                place = f"{one['mountPath']}/{Path(FILES[one['secretName']]).name}"
                assert place == FILES[one["secretName"]]
                mounted.setdefault((one["secretName"], place), set()).add(step.removeprefix("exec-"))
    assert mounted == {
        (cluster_names.SIGNING_SECRET, cluster_names.SIGNING_KEY_FILE): {"register"},
        (cluster_names.VERIFICATION_SECRET, cluster_names.VERIFICATION_KEY_FILE): {
            "evaluate",
            "promote",
            "register",
            "serve",
        },
    }


def test_follower_finds_the_key_where_it_looks() -> None:
    objects = from_value_set("full-values.yaml")
    (pod,) = [pod for pod in objects.pods() if pod.owner.endswith("-follower")]
    (volume,) = [one for one in pod.spec["volumes"] if one["name"] == "verification"]
    places = {
        f"{mount['mountPath']}/{volume['secret']['items'][0]['path']}": box["name"]
        for box in pod.containers
        for mount in box["volumeMounts"]
        if mount["name"] == "verification"
    }
    assert places == {cluster_names.VERIFICATION_KEY_FILE: "follower"}


def helm_test(tmp_path: Path, **changes: str) -> "subprocess.CompletedProcess[str]":
    command = check_pod(from_value_set("default"))["command"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"} | changes
    return subprocess.run(
        [sys.executable, *command[1:]], env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_helm_test_names_both_services_that_do_not_take_the_keys(tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    away = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    done = helm_test(tmp_path, **keys, **away)
    assert done.returncode == 1
    assert "Secret tongues-pipeline-mlflow" in done.stderr and "Secret tongues-pipeline-s3" in done.stderr


def test_helm_test_asks_a_real_store_and_tells_names_of_keys_only(tmp_path: Path) -> None:
    with running_store("tongues") as store:
        done = helm_test(
            tmp_path, **store.environment, MLFLOW_TRACKING_URI="http://127.0.0.1:9", OPENAI_API_KEY="hunter2"
        )
    assert ": known\n" in done.stdout and "keys of engines: OPENAI_API_KEY" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr and "object store" not in done.stderr
