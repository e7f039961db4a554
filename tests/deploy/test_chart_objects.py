"""What one object says of another holds: the faults that a schema cannot see."""

import configparser
import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chart_objects import CHART, CLUSTER_KINDS, Objects, at, from_chart, from_value_set, walk

# Values that name a Secret which somebody else makes; the chart's README lists them.
SECRET_VALUES = [
    "mlflow.auth.existingSecret",
    "mlflow.database.existingSecret",
    "mlflow.artifacts.existingSecret",
    "objectStore.existingSecret",
    "serving.apiKey.existingSecret",
    "serving.serviceAccount.secrets",
    "pipeline.objectStoreSecret",
    "follower.apiKeys.existingSecret",
    "follower.registry.existingSecret",
    "follower.verification.existingSecret",
    "gateway.tls.existingSecret",
    "autoscaling.prometheus.existingSecret",
]


def mount_problems(objects: Objects) -> list[str]:
    found = []
    for pod in objects.pods():
        volumes = [volume["name"] for volume in pod.spec.get("volumes", [])]
        mounts = {mount["name"] for box in pod.containers for mount in box.get("volumeMounts", [])}
        if len(volumes) != len(set(volumes)) or mounts != set(volumes):
            found.append(f"{pod.owner}: mounts {sorted(mounts)}, volumes {sorted(volumes)}")
    return found


def service_problems(objects: Objects) -> list[str]:
    found = []
    for service in objects.of("Service"):
        chosen = [pod for pod in objects.pods() if service["spec"]["selector"].items() <= pod.labels.items()]
        ports = {port["name"] for pod in chosen for box in pod.containers for port in box.get("ports", [])}
        missing = [port for port in service["spec"]["ports"] if port["targetPort"] not in ports]
        if not chosen or missing:
            found.append(f"{service['metadata']['name']}: pods {len(chosen)}, missing {missing}")
    return found


def test_mounts_and_volumes_are_the_same(objects: Objects) -> None:
    assert mount_problems(objects) == []


def test_mounts_check_lost_volume_seen() -> None:
    broken = copy.deepcopy(from_value_set("default"))
    broken.of("Deployment")[0]["spec"]["template"]["spec"]["volumes"].pop()
    assert mount_problems(broken)


def test_services_select_pods_that_listen(objects: Objects) -> None:
    assert service_problems(objects) == []


def test_services_check_renamed_port_seen() -> None:
    broken = copy.deepcopy(from_value_set("default"))
    broken.of("Service")[0]["spec"]["ports"][0]["targetPort"] = "htp"
    assert service_problems(broken)


def test_deployments_select_their_own_pods_only(objects: Objects) -> None:
    for deployment in objects.of("Deployment"):
        selector = deployment["spec"]["selector"]["matchLabels"].items()
        chosen = [pod.owner for pod in objects.pods() if selector <= pod.labels.items()]
        assert chosen == [f"Deployment/{deployment['metadata']['name']}"]


def test_probes_ask_a_port_that_is_there(objects: Objects) -> None:
    probed = 0
    for pod in objects.pods():
        for box in pod.containers:
            names = {name for port in box.get("ports", []) for name in (port["name"], port["containerPort"])}
            for probe in (box.get(f"{kind}Probe") for kind in ("startup", "readiness", "liveness")):
                if probe:
                    probed += 1
                    assert probe["httpGet"]["port"] in names, pod.owner
    assert probed >= 3


def secret_names(objects: Objects) -> set[str]:
    """Secrets that pods, accounts and roles name; those of image pulls apart."""
    names = {node["secretKeyRef"]["name"] for node in walk(objects.items) if "secretKeyRef" in node}
    names |= {node["secret"]["secretName"] for node in walk(objects.items) if "secret" in node}
    names |= {one["name"] for node in walk(objects.items) for one in node.get("certificateRefs", [])}
    names |= {one["name"] for node in walk(objects.items) for one in node.get("secretTargetRef", [])}
    names |= {
        entry["name"] for account in objects.of("ServiceAccount") for entry in account.get("secrets", [])
    }
    rules = [rule for role in objects.of("Role") for rule in role["rules"] if "secrets" in rule["resources"]]
    return names | {name for rule in rules for name in rule["resourceNames"]}


# The compiled pipelines name these, so no value does.
RUN_SECRETS = {"tongues-pipeline-mlflow", "tongues-pipeline-s3", "tongues-pipeline-engines"}


def test_secrets_named_are_those_the_values_name(objects: Objects) -> None:
    values = [at(objects.values, path) for path in SECRET_VALUES]
    named = {name for value in values for name in (value if isinstance(value, list) else [value])}
    assert secret_names(objects) <= named - {""} | RUN_SECRETS
    assert not objects.of("Secret"), "the chart makes no Secret"


def test_secrets_of_the_values_are_all_in_the_readme() -> None:
    table = (CHART / "README.md").read_text()
    assert [path for path in SECRET_VALUES if f"| `{path}` |" not in table.split("## Values")[0]] == []


def test_accounts_exist(objects: Objects) -> None:
    accounts = objects.names("ServiceAccount") | {"default"}
    used = {pod.spec.get("serviceAccountName", "default") for pod in objects.pods()}
    bound = {subject["name"] for binding in objects.of("RoleBinding") for subject in binding["subjects"]}
    assert used | bound <= accounts


def test_bindings_name_a_role_of_the_release(objects: Objects) -> None:
    for binding in objects.of("RoleBinding"):
        assert binding["roleRef"]["kind"] == "Role"
        assert binding["roleRef"]["name"] in objects.names("Role")
        assert {subject["namespace"] for subject in binding["subjects"]} == {binding["metadata"]["namespace"]}


def test_claims_exist(objects: Objects) -> None:
    claims = [
        node["persistentVolumeClaim"] for node in walk(objects.items) if "persistentVolumeClaim" in node
    ]
    assert {claim["claimName"] for claim in claims} == objects.names("PersistentVolumeClaim")


def test_objects_are_namespaced_and_unique(objects: Objects) -> None:
    keys = [(item["kind"], item["metadata"]["name"]) for item in objects.items]
    assert len(keys) == len(set(keys))
    for item in objects.items:
        wanted = None if item["kind"] in CLUSTER_KINDS else "tongues"
        assert item["metadata"].get("namespace") == wanted, item["metadata"]["name"]


def test_names_longest_release_still_valid() -> None:
    items = from_chart(release="a" * 53).items
    names = [item["metadata"]["name"] for item in items]
    assert max(map(len, names)) <= 63
    assert [name for name in names if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)] == []
    assert len(names) == len({(item["kind"], item["metadata"]["name"]) for item in items})


def selectors(objects: Objects) -> list[Any]:
    """Everything that chooses pods by label: what an upgrade must not change."""
    return [
        item["spec"]["selector"] if "selector" in item["spec"] else item["spec"]["podSelector"]
        for kind in ("Deployment", "Service", "NetworkPolicy")
        for item in objects.of(kind)
    ]


def test_selectors_common_labels_stay_out() -> None:
    labelled = from_chart({"commonLabels": {"team": "language"}})
    assert selectors(labelled) == selectors(from_value_set("default"))
    assert all(item["metadata"]["labels"]["team"] == "language" for item in labelled.items)


def test_pods_chart_version_stays_out_of_their_labels(objects: Objects) -> None:
    for pod in objects.pods():
        if not pod.owner.startswith("Pod/"):
            assert "helm.sh/chart" not in pod.labels


def test_minimal_values_render_mlflow_alone() -> None:
    kinds = sorted({item["kind"] for item in from_value_set("minimal-values.yaml").items})
    assert kinds == ["Deployment", "NetworkPolicy", "Pod", "Service", "ServiceAccount"]


@pytest.mark.parametrize(
    ("device", "image", "gpus"),
    [
        ("gpu", "docker.io/vllm/vllm-openai:v0.33.0", "2"),
        ("cpu", "docker.io/vllm/vllm-openai-cpu:v0.33.0", None),
    ],
)
def test_runtime_device_decides_image_and_accelerators(device: str, image: str, gpus: str | None) -> None:
    runtime = from_chart({"serving": {"device": device, "gpu": {"count": 2}}}).of("ServingRuntime")[0]
    box = runtime["spec"]["containers"][0]
    assert box["image"] == image
    assert box["resources"]["limits"].get("nvidia.com/gpu") == gpus
    assert box["resources"]["requests"].get("nvidia.com/gpu") == gpus
    assert ("--tensor-parallel-size=2" in box["args"]) == (device == "gpu")


def test_runtime_name_of_the_model_is_left_to_kserve(objects: Objects) -> None:
    for runtime in objects.of("ServingRuntime"):
        assert "--served-model-name={{.Name}}" in runtime["spec"]["containers"][0]["args"]


def test_images_mirror_and_digest_win() -> None:
    pods = from_value_set("air-gapped-values.yaml").pods()
    images = {box["image"] for pod in pods for box in pod.containers}
    assert images == {
        "mirror.example.org/tongues/cpu@sha256:" + "3" * 64,
        "mirror.example.org/mlflow/mlflow@sha256:" + "1" * 64,
        "mirror.example.org/vllm/vllm-openai@sha256:" + "2" * 64,
    }


def test_auth_config_password_with_percent_survives(tmp_path: Path) -> None:
    uri = "postgresql://user:p%40ss%%word@db/auth"
    code = (CHART / "files" / "write_auth_config.py").read_text()
    env = {"AUTH_CONFIG": str(tmp_path / "ini"), "DEFAULT_PERMISSION": "READ", "AUTH_DATABASE_URI": uri}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    # As MLflow reads it: with the parser's own interpolation.
    config = configparser.ConfigParser()
    config.read(tmp_path / "ini")
    assert config["mlflow"]["database_uri"] == uri
