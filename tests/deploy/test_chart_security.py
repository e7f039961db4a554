"""Pods keep the restricted profile, roles the least privilege, and the network what it must let through."""

import copy
import re
from typing import Any

import pytest
import secret_scan
import yaml
from chart_objects import ROOT, Objects, PodView, from_chart, from_value_set, render, walk

ALLOWED_VOLUMES = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def restricted_problems(pod: PodView) -> list[str]:
    """Where a pod breaks the restricted profile (Kubernetes Pod Security Standards)."""
    whole = pod.spec.get("securityContext", {})
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(key)]
    for volume in pod.spec.get("volumes", []):
        found += [f"volume {kind}" for kind in volume.keys() - {"name"} - ALLOWED_VOLUMES]
    for box in pod.containers:
        own = {**whole, **box.get("securityContext", {})}
        wrong = {
            "privileged": bool(own.get("privileged")),
            "escalation": own.get("allowPrivilegeEscalation") is not False,
            "capabilities": own.get("capabilities") != {"drop": ["ALL"]},
            "root": own.get("runAsNonRoot") is not True or own.get("runAsUser") == 0,
            "seccomp": own.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"),
            "host port": any("hostPort" in port for port in box.get("ports", [])),
        }
        found += [f"{box['name']}: {name}" for name, bad in wrong.items() if bad]
    return found


def test_pods_restricted_profile_kept(objects: Objects) -> None:
    pods = list(objects.pods())
    assert pods
    assert {pod.owner: restricted_problems(pod) for pod in pods if restricted_problems(pod)} == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("allowPrivilegeEscalation", True),
        ("capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        ("runAsUser", 0),
        ("privileged", True),
        ("seccompProfile", {"type": "Unconfined"}),
    ],
)
def test_restricted_check_breach_seen(key: str, value: Any) -> None:
    pod = copy.deepcopy(next(iter(from_value_set("default").pods())))
    pod.spec["containers"][0]["securityContext"][key] = value
    assert restricted_problems(pod)


def test_pods_root_file_system_read_only_with_scratch(objects: Objects) -> None:
    for pod in objects.pods():
        assert all(box["securityContext"]["readOnlyRootFilesystem"] for box in pod.containers), pod.owner


def test_pods_resources_bounded(objects: Objects) -> None:
    for pod in objects.pods():
        for box in pod.containers:
            for bound in ("requests", "limits"):
                assert {"cpu", "memory"} <= box["resources"][bound].keys(), (pod.owner, box["name"])


def test_pods_images_pinned(objects: Objects) -> None:
    for pod in objects.pods():
        for box in pod.containers:
            assert "@sha256:" in box["image"] or not box["image"].endswith(":latest")
            assert ":" in box["image"].rpartition("/")[2]


def test_tokens_mounted_for_pipeline_runs_only(objects: Objects) -> None:
    mounted = {
        account["metadata"]["name"]
        for account in objects.of("ServiceAccount")
        if account["automountServiceAccountToken"]
    }
    assert mounted <= {"tongues-pipeline"}
    for pod in objects.pods():
        if not pod.owner.startswith("ServingRuntime/"):
            assert pod.spec["automountServiceAccountToken"] is False


def test_environment_secrets_by_reference_only(objects: Objects) -> None:
    secret_words = ("PASSWORD", "SECRET", "TOKEN", "API_KEY", "ACCESS_KEY")
    seen = 0
    for pod in objects.pods():
        for variable in (entry for box in pod.containers for entry in box.get("env", [])):
            # A name that ends with FILE holds a path.
            if any(word in variable["name"] for word in secret_words) and "_FILE" not in variable["name"]:
                seen += 1
                assert "value" not in variable, (pod.owner, variable)
    assert seen


RUN_RULES = {
    ("argoproj.io", "workflowtaskresults", "", ("create", "patch")),
    ("", "configmaps", "kfp-launcher", ("get",)),
    ("", "secrets", "mlpipeline-minio-artifact", ("get",)),
}
SERVE_RULES = {
    *(
        ("serving.kserve.io", kind, "", ("create", "get", "patch"))
        for kind in ("inferenceservices", "llminferenceservices", "servingruntimes")
    ),
    ("gateway.networking.k8s.io", "httproutes", "", ("get",)),
}
TRAIN_RULES = {
    ("trainer.kubeflow.org", "trainjobs", "", ("create", "delete", "get", "list")),
    ("", "pods", "", ("get", "list")),
    ("", "pods/log", "", ("get",)),
}


def rules(objects: Objects) -> set[tuple[str, str, str, tuple[str, ...]]]:
    return {
        (group, resource, ",".join(rule.get("resourceNames", [])), tuple(sorted(rule["verbs"])))
        for role in objects.of("Role")
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


@pytest.mark.parametrize(
    ("pipeline", "wanted"),
    [
        ({"serve": False}, RUN_RULES),
        ({}, RUN_RULES | SERVE_RULES),
        ({"train": True}, RUN_RULES | SERVE_RULES | TRAIN_RULES),
        ({"rbac": {"create": False}}, set()),
        ({"enabled": False}, set()),
    ],
)
def test_pipeline_role_exactly_what_its_steps_need(pipeline: dict[str, Any], wanted: set[Any]) -> None:
    assert rules(from_chart({"pipeline": pipeline})) == wanted


def test_roles_no_wildcard_and_nothing_cluster_wide(objects: Objects) -> None:
    assert not objects.of("ClusterRole") + objects.of("ClusterRoleBinding")
    assert not any("*" in (*rule[:2], *rule[3]) for rule in rules(objects))
    assert all(rule[2] for rule in rules(objects) if rule[1] in ("secrets", "configmaps"))


def test_auth_off_only_when_asked() -> None:
    def args(values: dict[str, Any]) -> list[str]:
        template = from_chart(values).of("Deployment")[0]["spec"]["template"]
        return list(template["spec"]["containers"][0]["args"])

    assert "--app-name=basic-auth" in args({})
    assert "--app-name=basic-auth" not in args({"mlflow": {"auth": {"enabled": False}}})


def test_mlflow_dangerous_features_off(objects: Objects) -> None:
    boxes = [box for pod in objects.pods() for box in pod.containers if box["name"] == "mlflow"]
    for box in boxes:
        env = {entry["name"]: entry.get("value") for entry in box["env"]}
        assert env["MLFLOW_ENABLE_AI_GATEWAY"] == "false"
        assert env["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
        assert env["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
        assert "*" not in env["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")


def test_overlay_namespaces_enforce_the_restricted_profile(objects: Objects) -> None:
    for namespace in objects.of("Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_render_holds_no_secret(objects: Objects) -> None:
    assert list(secret_scan.found(yaml.safe_dump(objects.items))) == []


@pytest.mark.parametrize(
    "planted",
    [
        "AKIA" + "ABCDEFGH12345678",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "hf_" + "aB3" * 12,
        "postgresql://user:hunter2@db/mlflow",
        "q8Zr2Lx0Vt5Kb7Nw1Pd9Hs3Gf6Jm4YcAeUi",
    ],
)
def test_secret_scan_planted_secret_found(planted: str) -> None:
    items = copy.deepcopy(from_value_set("default").items)
    items[0]["metadata"]["annotations"] = {"note": planted}
    (what,) = secret_scan.found(yaml.safe_dump(items, width=200))
    assert planted not in what


UPLOAD_RULES = {
    ("pipelines.kubeflow.org", resource, "", ("create", "get", "list"))
    for resource in ("pipelines", "pipelines/versions")
}


def test_tenant_roles_reach_nothing_outside_its_namespace() -> None:
    objects = from_value_set("multi-user-values.yaml")
    assert not objects.of("ClusterRole") + objects.of("ClusterRoleBinding") + objects.of("ClusterQueue")
    for kind in ("Role", "RoleBinding"):
        assert {item["metadata"]["namespace"] for item in objects.of(kind)} == {"tongues"}
    assert rules(objects) >= UPLOAD_RULES


def test_tenant_accounts_each_one_purpose() -> None:
    objects = from_value_set("multi-user-values.yaml")
    bound = {
        subject["name"]: binding["roleRef"]["name"]
        for binding in objects.of("RoleBinding")
        for subject in binding["subjects"]
    }
    # The follower and served models speak to nobody at Kubernetes, so they have no role.
    assert bound == {"tongues-pipeline": "tongues-pipeline", "tongues-upload": "tongues-upload"}


def test_tenant_is_one_word_everywhere() -> None:
    objects = from_value_set("multi-user-values.yaml")
    (queue,) = objects.of("LocalQueue")
    (launcher,) = [item for item in objects.of("ConfigMap") if item["metadata"]["name"] == "kfp-launcher"]
    follower = next(box for pod in objects.pods() for box in pod.containers if box["name"] == "follower")
    env = {entry["name"]: entry.get("value") for entry in follower["env"]}
    assert queue["metadata"]["name"] == queue["metadata"]["namespace"] == env["MLFLOW_WORKSPACE"] == "tongues"
    assert launcher["data"]["defaultPipelineRoot"].startswith("s3://models/tongues/")


def test_queue_of_a_tenant_admits_its_namespace_only() -> None:
    (queue,) = from_value_set("full-values.yaml").of("ClusterQueue")
    assert queue["spec"]["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "tongues"}}


def test_upload_token_is_for_kubeflow_pipelines_only(objects: Objects) -> None:
    tokens = [node["serviceAccountToken"] for node in walk(objects.items) if "serviceAccountToken" in node]
    assert all(token["audience"] == "pipelines.kubeflow.org" for token in tokens)


def test_route_lets_no_path_through_that_changes_what_is_served(objects: Objects) -> None:
    for route in objects.of("HTTPRoute"):
        matches = [match for rule in route["spec"]["rules"] for match in rule["matches"]]
        assert {match["path"]["type"] for match in matches} == {"Exact"}
        paths = {(match["path"]["value"], match["method"]) for match in matches}
        assert paths == {
            ("/v1/models", "GET"),
            ("/v1/chat/completions", "POST"),
            ("/v1/completions", "POST"),
        }


def test_route_other_path_refused() -> None:
    with pytest.raises(render.RenderError, match="paths"):
        render.render({"gateway": {"paths": ["/v1/load_lora_adapter"]}})


def test_threats_name_tests_that_exist() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    code = "".join(path.read_text() for path in (ROOT / "tests" / "deploy").glob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", page)
    assert len(named) > 15
    assert [name for name in named if f"def {name}(" not in code] == []
