"""Look at a cluster: what an installation and a recipe need there, whether it is there, and how to get it."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tongues.core.cluster_names import KEYS_SECRET, MLFLOW_SECRET, SETTINGS, STORE_SECRET
from tongues.core.errors import KubernetesError, TonguesError
from tongues.core.recipe import Recipe
from tongues.platform import storage
from tongues.platform.kfp_access import KfpAccess
from tongues.platform.kfp_server import KfpServer
from tongues.platform.kubernetes_api import KubernetesApi, NotAllowedError
from tongues.platform.mlflow_connection import reach
from tongues.stages.doctor import Finding
from tongues.stages.node_fit import pool_problem
from tongues.stages.queue_quota import queue_findings, runtime_findings
from tongues.stages.remote_preflight import key_names

OLDEST = (1, 32)
"""Minor version of Kubernetes that KServe 0.20 asks for."""

_NEEDED = {
    "argoproj.io/v1alpha1": ("Kubeflow Pipelines", "install Kubeflow Pipelines 2.17"),
    "serving.kserve.io/v1beta1": ("KServe", "install KServe 0.20 with deployment mode Standard"),
}
_WELCOME = {
    "trainer.kubeflow.org/v1alpha1": "only for tuning over several nodes",
    "kueue.x-k8s.io/v1beta2": "only for queues and quotas",
    "keda.sh/v1alpha1": "only for scaling on waiting requests",
    "gateway.networking.k8s.io/v1": "only for access from outside",
    "monitoring.coreos.com/v1": "only for metrics and alerts",
}
_RIGHTS = (
    ("get", "", "pods", ""),
    ("get", "", "pods", "log"),
    ("get", "", "configmaps", ""),
    ("get", "", "secrets", ""),
    ("create", "serving.kserve.io", "inferenceservices", ""),
)
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True)
class Questions:
    """What is asked of a cluster.

    Args:
        namespace: where runs work.
        recipe: whose pools, keys and queue are looked for; none when None.
        workspace: where runs keep their outputs.
        kfp: the Kubeflow Pipelines server; not asked when None.
        tracking_uri: MLflow; not asked when empty.
    """

    namespace: str
    recipe: Recipe | None = None
    workspace: str = ""
    kfp: KfpAccess | None = None
    tracking_uri: str = ""


def examine_cluster(cluster: KubernetesApi, asked: Questions) -> list[Finding]:
    """Look for everything; only a cluster that does not answer at all ends it at once.

    Raises:
        KubernetesError: the API server does not answer, or does not know who asks.
    """
    found = [_version(cluster), _namespace(cluster, asked.namespace)]
    looks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("apis", lambda: _apis(cluster)),
        ("rights", lambda: _rights(cluster, asked.namespace)),
        ("storage class", lambda: _storage_class(cluster)),
        ("node pools", lambda: _pools(cluster, asked.recipe)),
        ("queues", lambda: queue_findings(cluster, asked.namespace, asked.recipe)),
        ("runtimes", lambda: runtime_findings(cluster, asked.namespace, asked.recipe)),
        ("settings", lambda: _settings(cluster, asked)),
        ("kubeflow pipelines", lambda: _kfp(asked.kfp)),
        ("mlflow", lambda: _mlflow(asked.tracking_uri)),
        ("object store", lambda: _store(asked.workspace)),
    ]
    for name, look in looks:
        found += _looked(name, look)
    return found


def _looked(name: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What a look finds; what may not be looked at is no "ok"."""
    try:
        return list(look())
    except NotAllowedError as error:
        return [Finding(name, False, error.what, error.fix)]


def _version(cluster: KubernetesApi) -> Finding:
    told = cluster.get("/version") or {}
    text = str(told.get("gitVersion", ""))
    match = re.match(r"v(\d+)\.(\d+)", text)
    if match is None:
        raise KubernetesError("this is no Kubernetes API server", where=cluster.host, fix="check the context")
    oldest = ".".join(map(str, OLDEST))
    fix = f"upgrade the cluster to {oldest} or later; KServe 0.20 asks for it"
    return Finding("kubernetes", (int(match[1]), int(match[2])) >= OLDEST, text, fix)


def _namespace(cluster: KubernetesApi, namespace: str) -> Finding:
    fix = f"kubectl create namespace {namespace}; or name another with --namespace"
    try:
        there = cluster.get(f"/api/v1/namespaces/{namespace}")
    except NotAllowedError as error:
        return Finding("namespace", False, error.what, error.fix)
    if there is None:
        return Finding("namespace", False, f"no namespace {namespace}", fix)
    level = (there["metadata"].get("labels") or {}).get("pod-security.kubernetes.io/enforce", "")
    return Finding("namespace", True, f"{namespace}, pod security {level or 'not enforced'}", "")


def _apis(cluster: KubernetesApi) -> Iterator[Finding]:
    groups = (cluster.get("/apis") or {}).get("groups") or []
    served = {version["groupVersion"] for group in groups for version in group["versions"]}
    for api, (product, fix) in _NEEDED.items():
        yield Finding(api, api in served, "served" if api in served else f"absent: no {product}", fix)
    for api, use in _WELCOME.items():
        yield Finding(api, True, "served" if api in served else f"absent, {use}", "")


def _rights(cluster: KubernetesApi, namespace: str) -> Iterator[Finding]:
    for verb, group, resource, sub in _RIGHTS:
        what = f"{verb} {resource}" + (f"/{sub}" if sub else "")
        may = cluster.may(verb, resource, namespace, group=group, subresource=sub)
        flag = f" --subresource {sub}" if sub else ""
        whole = f"{resource}.{group}" if group else resource
        see = f"kubectl auth can-i {verb} {whole}{flag} -n {namespace}"
        fix = f"ask for the right in {namespace}; see it with: {see}"
        yield Finding(f"right: {what}", may, "granted" if may else "not granted", fix)


def _storage_class(cluster: KubernetesApi) -> Iterator[Finding]:
    classes = cluster.items("/apis/storage.k8s.io/v1/storageclasses")
    names = sorted(one["metadata"]["name"] for one in classes)
    defaults = [
        one["metadata"]["name"]
        for one in classes
        if (one["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
    ]
    known = ", ".join(names) or "none at all"
    mark = f"kubectl annotate storageclass {names[0] if names else 'NAME'} {_DEFAULT_CLASS}=true"
    fix = f"{mark}; or set mlflow.persistence.storageClass in the chart's values"
    found = ", ".join(defaults) or f"no default class; there are: {known}"
    yield Finding("storage class", bool(defaults), found, fix)


def _pools(cluster: KubernetesApi, recipe: Recipe | None) -> Iterator[Finding]:
    if recipe is None or not recipe.node_pools:
        return
    nodes = cluster.items("/api/v1/nodes")
    for step, pool in recipe.node_pools.items():
        what, fix = pool_problem(pool, nodes)
        scale = "" if not what else f"{fix}; a pool that scales from zero has no nodes to look at"
        yield Finding(f"node_pools.{step}", not what, what or "a node takes it", scale)


def _settings(cluster: KubernetesApi, asked: Questions) -> Iterator[Finding]:
    path = f"/api/v1/namespaces/{asked.namespace}"
    settings = cluster.get(f"{path}/configmaps/{SETTINGS}")
    fix = "install the chart in this namespace, or make it: docs/how-to/bring-your-cluster.md"
    yield Finding(f"configmap {SETTINGS}", settings is not None, "there" if settings else "absent", fix)
    needed: dict[str, tuple[str, ...]] = {
        STORE_SECRET: ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        MLFLOW_SECRET: ("username", "password"),
    }
    if asked.recipe and (keys := key_names(asked.recipe)):
        needed[KEYS_SECRET] = tuple(keys)
    for name, keys_of in needed.items():
        yield _secret(cluster.get(f"{path}/secrets/{name}"), name, keys_of, asked.namespace)


def _secret(there: Mapping[str, Any] | None, name: str, keys: tuple[str, ...], namespace: str) -> Finding:
    """Names of keys only; what they hold is not looked at."""
    missing = [key for key in keys if key not in ((there or {}).get("data") or {})]
    literals = " ".join(f"--from-literal={key}=..." for key in keys)
    fix = f"kubectl create secret generic {name} -n {namespace} {literals}"
    if name == STORE_SECRET:
        fix += "; not needed where the ServiceAccount carries a cloud identity"
    found = "absent" if there is None else f"lacks {', '.join(missing)}" if missing else "there"
    return Finding(f"secret {name}", not missing, found, fix)


def _kfp(access: KfpAccess | None) -> Iterator[Finding]:
    if access is not None:
        yield _reached("kubeflow pipelines", access.host, lambda: KfpServer(access))


def _mlflow(uri: str) -> Iterator[Finding]:
    if uri.startswith("http"):
        yield _reached("mlflow", uri, lambda: reach(uri))


def _store(workspace: str) -> Iterator[Finding]:
    if storage.local_path(workspace) is None:
        yield _reached("object store", workspace, lambda: storage.exists(storage.join(workspace, "runs")))


def _reached(name: str, where: str, ask: Callable[[], object]) -> Finding:
    try:
        ask()
    except TonguesError as error:
        return Finding(name, False, f"{where}: {error.what}", error.fix)
    return Finding(name, True, where, "")
