"""Upgrades replace nothing, uninstalling leaves nothing but what a value says, hooks take themselves away."""

import json
from typing import Any

import pytest
import yaml
from chart_objects import CHART, Objects, from_chart, walk

HOOKS = {"test", "post-install,post-upgrade"}
KEPT = {
    "mlflow.persistence.keep": ("PersistentVolumeClaim", "tongues-mlflow"),
    "follower.workspace.keep": ("PersistentVolumeClaim", "tongues-follower"),
}


def annotations(item: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = item["metadata"].get("annotations", {})
    return found


def test_hooks_delete_themselves(objects: Objects) -> None:
    for item in objects.items:
        if hook := annotations(item).get("helm.sh/hook"):
            assert hook in HOOKS
            policies = annotations(item)["helm.sh/hook-delete-policy"].split(",")
            assert {"before-hook-creation", "hook-succeeded"} <= set(policies)
            # Helm forgets a hook that failed: it must not stay for ever.
            assert item["kind"] == "Pod" or item["spec"]["ttlSecondsAfterFinished"] <= 86400


def test_hooks_need_nothing_that_is_a_hook_itself(objects: Objects) -> None:
    accounts = objects.names("ServiceAccount") | {"default"}
    for item in objects.of("Job"):
        assert item["spec"]["template"]["spec"]["serviceAccountName"] in accounts
    assert not [item for item in objects.of("ServiceAccount") if "helm.sh/hook" in annotations(item)]


def test_kept_is_what_values_keep(objects: Objects) -> None:
    kept = {
        (item["kind"], item["metadata"]["name"])
        for item in objects.items
        if annotations(item).get("helm.sh/resource-policy") == "keep"
    }
    assert kept <= {KEPT["mlflow.persistence.keep"]}


def test_kept_nothing_when_values_say_so() -> None:
    objects = from_chart({"mlflow": {"persistence": {"keep": False}}})
    assert not [item for item in objects.items if "helm.sh/resource-policy" in annotations(item)]


def test_uninstall_every_object_is_found_by_the_release_label(objects: Objects) -> None:
    for item in objects.items:
        if item["kind"] != "Namespace":
            assert item["metadata"]["labels"]["app.kubernetes.io/instance"] == "tongues", item["metadata"]


def test_uninstall_no_finalizer_and_no_owner_holds_an_object(objects: Objects) -> None:
    assert not [node for node in walk(objects.items) if "finalizers" in node or "ownerReferences" in node]


def test_upgrade_names_and_immutable_fields_do_not_hang_on_the_version(objects: Objects) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    for item in objects.items:
        assert version not in item["metadata"]["name"]
        for field in ("selector", "podSelector", "scaleTargetRef", "clusterQueue"):
            assert version not in json.dumps(item.get("spec", {}).get(field, {}))


@pytest.mark.parametrize("part", ["follower", "serving", "pipeline"])
def test_alerts_of_a_part_switched_off_are_absent(part: str) -> None:
    values = yaml.safe_load((CHART / "ci" / "full-values.yaml").read_text())
    off = {
        **values,
        part: {"enabled": False},
        "gateway": {"enabled": False},
        "autoscaling": {"enabled": False},
    }
    off |= {"follower": {"enabled": False}}
    groups = [group["name"] for group in from_chart(off).of("PrometheusRule")[0]["spec"]["groups"] or []]
    assert f"tongues-{'runs' if part == 'pipeline' else part}" not in groups
