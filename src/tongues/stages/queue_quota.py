"""Whether a recipe's steps find their queues of Kueue, large enough, and their runtimes of Trainer."""

from collections.abc import Iterator, Mapping
from typing import Any

from tongues.core.recipe import NodePoolSection, Recipe
from tongues.platform.kubernetes_api import KubernetesApi
from tongues.stages.doctor import Finding

_API = "/apis/kueue.x-k8s.io/v1beta2"
_TRAINER = "trainer.kubeflow.org/v1alpha1"


def queue_findings(cluster: KubernetesApi, namespace: str, recipe: Recipe | None) -> Iterator[Finding]:
    """One finding per step that asks for accelerators or names a queue, where the namespace has queues.

    A step fits if the ClusterQueue behind its LocalQueue, or behind any of the namespace where it names none,
    owns enough of what all of its pods ask for, with what it may borrow.
    """
    local = {
        str(one["metadata"]["name"]): str(one["spec"]["clusterQueue"])
        for one in cluster.items(f"{_API}/namespaces/{namespace}/localqueues")
    }
    pools = (recipe.node_pools if recipe else {}).items()
    named = {step: pool for step, pool in pools if pool.queue}
    for step, pool in named.items():
        if pool.queue not in local:
            yield _no_queue(step, pool, namespace, local)
    asking = {step: pool for step, pool in pools if pool.gpus and (pool.queue is None or pool.queue in local)}
    if not local or not asking:
        return
    queues = {name: cluster.get(f"{_API}/clusterqueues/{name}") for name in sorted(set(local.values()))}
    for name, queue in queues.items():
        if queue is None:
            what = f"the LocalQueues of {namespace} name it, and it is absent"
            yield Finding(f"clusterqueue {name}", False, what, "make it, or name another in the LocalQueue")
    for step, pool in asking.items():
        chosen = {local[pool.queue]} if pool.queue else set(queues)
        there = {name: queue for name, queue in queues.items() if queue is not None and name in chosen}
        yield _fits(step, pool, {name: _owned(queue, pool.accelerator) for name, queue in there.items()})


def runtime_findings(cluster: KubernetesApi, namespace: str, recipe: Recipe | None) -> Iterator[Finding]:
    """Whether Trainer can make the TrainJob of a step that spreads over several nodes."""
    for step, pool in (recipe.node_pools if recipe else {}).items():
        if pool.nodes > 1:
            yield _runtime(cluster, namespace, step, pool)


def _runtime(cluster: KubernetesApi, namespace: str, step: str, pool: NodePoolSection) -> Finding:
    whole = pool.runtime_kind == "ClusterTrainingRuntime"
    where = "clustertrainingruntimes" if whole else f"namespaces/{namespace}/trainingruntimes"
    listed = cluster.get(f"/apis/{_TRAINER}/{where}")
    name = f"runtime for {step}"
    if listed is None:
        return Finding(name, False, f"absent: no {_TRAINER}", "install Kubeflow Trainer 2.2 or later")
    there = sorted(str(one["metadata"]["name"]) for one in listed.get("items") or [])
    found = f"{pool.runtime_kind} {pool.runtime}"
    if pool.runtime in there:
        return Finding(name, True, found, "")
    fix = f"install the chart with trainer.enabled, or set node_pools.{step}.runtime to one that is there"
    return Finding(name, False, f"no {found}; there are: {', '.join(there) or 'none'}", fix)


def _no_queue(step: str, pool: NodePoolSection, namespace: str, local: Mapping[str, str]) -> Finding:
    found = f"no LocalQueue {pool.queue} in {namespace}; there are: {', '.join(sorted(local)) or 'none'}"
    fix = f"set node_pools.{step}.queue to one that is there, or make it: kueue.enabled in the chart"
    return Finding(f"queue for {step}", False, found, fix)


def _fits(step: str, pool: NodePoolSection, owned: Mapping[str, int]) -> Finding:
    told = ", ".join(f"{name} {count}" for name, count in owned.items()) or "no queue"
    asked = pool.gpus * pool.nodes
    each = f" ({pool.nodes} nodes with {pool.gpus} each)" if pool.nodes > 1 else ""
    found = f"asks for {asked} {pool.accelerator}{each}; the queues own: {told}"
    most = max(owned.values(), default=0)
    fix = f"{_lower(step, pool, most)}raise nominalQuota of {pool.accelerator} in a ClusterQueue to {asked}"
    return Finding(f"queue for {step}", most >= asked, found, fix)


def _lower(step: str, pool: NodePoolSection, most: int) -> str:
    """What the recipe can ask for instead, as the beginning of a sentence; empty where nothing is left."""
    if nodes := most // pool.gpus if pool.nodes > 1 else 0:
        return f"lower node_pools.{step}.nodes to {nodes}, or "
    if most and pool.nodes == 1:
        return f"lower node_pools.{step}.gpus to {most}, or "
    return ""


def _owned(queue: Mapping[str, Any], resource: str) -> int:
    """The largest flavour's quota: all pods of a job have their accelerators from one flavour."""
    quotas = [
        int(quota["nominalQuota"]) + int(quota.get("borrowingLimit") or 0)
        for group in queue["spec"].get("resourceGroups") or []
        for flavour in group["flavors"]
        for quota in flavour["resources"]
        if quota["name"] == resource
    ]
    return max(quotas, default=0)
