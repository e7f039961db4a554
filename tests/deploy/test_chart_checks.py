"""Values and clusters that cannot work are refused before anything is made, with the value and the fix."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_objects import CHART, from_chart, from_value_set, merged, render

FOLLOWER = {
    "enabled": True,
    "references": ["gl@champion"],
    "servers": ["http://base-predictor.tongues.svc"],
    "apiKeys": {"existingSecret": "keys"},
    "registry": {"existingSecret": "mlflow-client"},
}
GATEWAY = {"enabled": True, "className": "envoy", "hostnames": ["a.org"], "tls": {"existingSecret": "crt"}}
TENANT = yaml.safe_load((CHART / "ci" / "multi-user-values.yaml").read_text())


def refusal(values: dict[str, Any], **options: Any) -> str:
    with pytest.raises(render.RenderError) as refused:
        render.render(values, **options)
    return str(refused.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mlflow": {"image": {"tag": "v3.16.0"}}}, ["v3.16.0", "3.16.1 or later"]),
        ({"mlflow": {"image": {"tag": "nightly"}}}, ["nightly", "3.16.1 or later"]),
        ({"pipeline": {"launcher": {"enabled": True}}}, ["pipeline.launcher.root is empty", "s3://"]),
        (
            {"follower": {"enabled": True}},
            ["follower.references", "follower.servers", "follower.apiKeys", "follower.registry"],
        ),
        ({"mlflow": {"enabled": False}, "follower": FOLLOWER}, ["there is no MLflow"]),
        (
            {"mlflow": {"enabled": False}},
            ["runs are told of no MLflow", "pipeline.settings.mlflowTrackingUri"],
        ),
        ({"serving": {"adapter": {"enabled": False}}, "follower": FOLLOWER}, ["serving.adapter.enabled"]),
        ({"gateway": {"enabled": True}}, ["gateway.hostnames", "gateway.className", "nothing answers"]),
        ({"follower": FOLLOWER, "gateway": GATEWAY | {"tls": {}}}, ["gateway.tls.existingSecret is empty"]),
        ({"autoscaling": {"enabled": True}}, ["autoscaling.inferenceService is empty"]),
        (
            {"autoscaling": {"enabled": True, "inferenceService": "a", "minReplicas": 5}},
            ["autoscaling.minReplicas is 5", "autoscaling.maxReplicas, 4"],
        ),
    ],
)
def test_checks_values_refused_with_the_fix(values: dict[str, Any], words: list[str]) -> None:
    message = refusal(values)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"pipeline": {"launcher": {"root": "s3://models/other/x"}}}, ["s3://models/other/x", "tongues/..."]),
        ({"pipeline": {"launcher": {"root": "s3://models/tongues2/x"}}}, ["tongues2"]),
        ({"kueue": {"localQueue": "other"}}, ["kueue.localQueue is other"]),
        ({"trainer": {"clusterWide": True}}, ["trainer.clusterWide"]),
        ({"networkPolicy": {"enabled": False}}, ["networkPolicy.enabled is false"]),
        ({"networkPolicy": {"serving": {"from": [{"namespaceSelector": {}}]}}}, ["serving.from lets every"]),
    ],
)
def test_checks_tenant_that_reaches_into_another_refused(over: dict[str, Any], words: list[str]) -> None:
    message = refusal(merged(TENANT, over))
    assert [word for word in words if word not in message] == []


def test_checks_every_absent_api_named_at_once() -> None:
    values = yaml.safe_load((CHART / "ci" / "full-values.yaml").read_text())
    message = refusal(values, api_versions=())
    for switch in ("serving", "trainer", "kueue", "gateway", "autoscaling", "monitoring"):
        assert f"{switch}.enabled is true, but this cluster has no" in message


def test_checks_old_kubernetes_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "KUBE_VERSION", "v1.31.9")
    assert "Kubernetes v1.31.9" in refusal({})
    assert "1.32 or later" in refusal({})


# What `lookup` would find, as templates see it; a render without a cluster finds nothing.
CLUSTER = """
{{- define "tongues.testCluster" -}}
Namespace/: {metadata: {name: tongues}}
StorageClass/: {items: CLASSES}
Node/: {items: [{metadata: {labels: {pool: gpu}}}]}
Secret/tongues-mlflow-auth: ITS_SECRET
Secret/tongues-pipeline-mlflow: {data: {username: YQ==, ITS_KEY: YQ==}}
Secret/tongues-pipeline-s3: {data: {AWS_ACCESS_KEY_ID: YQ==, AWS_SECRET_ACCESS_KEY: YQ==}}
{{- end -}}
"""
FOUND = '(index (include "tongues.testCluster" . | fromYaml) '


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Renders the chart as if a cluster held these objects: its calls of lookup read a template instead."""

    def at_cluster(secret: bool = True, default_class: bool = True, key: str = "password") -> None:
        chart = tmp_path / f"{secret}{default_class}{key}"
        for file in (one for one in CHART.rglob("*") if one.is_file()):
            target = chart / file.relative_to(CHART)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
        looks = chart / "templates" / "_cluster.tpl"
        text = looks.read_text()
        for call, entry in (
            ('lookup "v1" "Namespace" "" .Release.Namespace', '"Namespace/"'),
            ('(lookup "v1" "Secret" $.Release.Namespace $name)', '(printf "Secret/%s" $name)'),
            ('(lookup "storage.k8s.io/v1" "StorageClass" "" "")', '"StorageClass/"'),
            ('(lookup "v1" "Node" "" "")', '"Node/"'),
        ):
            assert text.count(call) == 1
            text = text.replace(call, f"{FOUND}{entry})")
        classes = '[{metadata: {annotations: {storageclass.kubernetes.io/is-default-class: "true"}}}]'
        found = CLUSTER.replace("CLASSES", classes if default_class else "[{metadata: {name: slow}}]")
        found = found.replace("ITS_KEY", key)
        looks.write_text(text + found.replace("ITS_SECRET", "{kind: Secret}" if secret else "{}"))
        monkeypatch.setattr(render, "CHART", chart)

    return at_cluster


def test_checks_cluster_that_has_all_of_it_renders(cluster: Any) -> None:
    cluster()
    assert from_chart({"serving": {"nodeSelector": {"pool": "gpu"}}}).items


def test_checks_absent_secret_refused(cluster: Any) -> None:
    cluster(secret=False)
    assert "mlflow.auth.existingSecret names the Secret tongues-mlflow-auth" in refusal({})
    assert from_chart({"checks": {"cluster": False}}).items


def test_checks_secret_of_runs_without_a_key_refused(cluster: Any) -> None:
    cluster(key="passwort")
    message = refusal({})
    assert (
        "pipeline.secrets.mlflow names the Secret tongues-pipeline-mlflow, which has no key password"
        in message
    )
    assert from_chart({"pipeline": {"secrets": {"mlflow": False}}}).items


def test_checks_no_default_storage_class_refused(cluster: Any) -> None:
    cluster(default_class=False)
    assert "mlflow.persistence.storageClass is empty, and this cluster has no default" in refusal({})
    assert from_chart({"mlflow": {"persistence": {"storageClass": "slow"}}}).items


def test_checks_node_pool_that_does_not_exist_refused(cluster: Any) -> None:
    cluster()
    message = refusal({"serving": {"nodeSelector": {"pool": "tpu"}}})
    assert 'serving.nodeSelector ({"pool":"tpu"})' in message


def test_checks_secret_values_all_looked_for() -> None:
    from test_chart_objects import SECRET_VALUES

    text = (CHART / "templates" / "_cluster.tpl").read_text()
    # KFP makes that one itself, maybe later.
    looked_for = [path for path in SECRET_VALUES if path != "pipeline.objectStoreSecret"]
    assert [path for path in looked_for if f"{path}:" not in text and f"{path}[" not in text] == []


def test_parts_switched_off_leave_no_trace() -> None:
    kinds = {item["kind"] for item in from_value_set("default").items}
    assert kinds == {
        *("Deployment", "NetworkPolicy", "PersistentVolumeClaim", "Pod", "Role", "RoleBinding"),
        *("ConfigMap", "Service", "ServiceAccount", "ServingRuntime"),
    }
