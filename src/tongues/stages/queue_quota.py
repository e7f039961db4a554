"""Whether a queue of Kueue can ever let a recipe's largest step in."""

from collections.abc import Iterator, Mapping
from typing import Any

from tongues.core.recipe import NodePoolSection, Recipe
from tongues.platform.cluster import Cluster
from tongues.stages.doctor import Finding

_API = "/apis/kueue.x-k8s.io/v1beta2"


def queue_findings(cluster: Cluster, namespace: str, recipe: Recipe | None) -> Iterator[Finding]:
    """One finding per step that asks for accelerators, where the namespace has queues.

    A step fits if the ClusterQueue behind any LocalQueue of the namespace owns enough of what it asks for,
    with what it may borrow.
    """
    local = cluster.items(f"{_API}/namespaces/{namespace}/localqueues")
    pools = {step: pool for step, pool in (recipe.node_pools if recipe else {}).items() if pool.gpus}
    if not local or not pools:
        return
    names = {one["spec"]["clusterQueue"] for one in local}
    queues = {name: cluster.get(f"{_API}/clusterqueues/{name}") for name in sorted(names)}
    for name, queue in queues.items():
        if queue is None:
            what = f"the LocalQueues of {namespace} name it, and it is absent"
            yield Finding(f"clusterqueue {name}", False, what, "make it, or name another in the LocalQueue")
    there = {name: queue for name, queue in queues.items() if queue is not None}
    for step, pool in pools.items():
        yield _fits(step, pool, {name: _owned(queue, pool.accelerator) for name, queue in there.items()})


def _fits(step: str, pool: NodePoolSection, owned: Mapping[str, int]) -> Finding:
    told = ", ".join(f"{name} {count}" for name, count in owned.items()) or "no queue"
    found = f"asks for {pool.gpus} {pool.accelerator}; the queues own: {told}"
    most = max(owned.values(), default=0)
    lower = f"lower node_pools.{step}.gpus to {most}, or " if most else ""
    fix = f"{lower}raise nominalQuota of {pool.accelerator} in a ClusterQueue to {pool.gpus}"
    return Finding(f"queue for {step}", most >= pool.gpus, found, fix)


def _owned(queue: Mapping[str, Any], resource: str) -> int:
    """The largest flavour's quota: one pod has its accelerators from one flavour."""
    quotas = [
        int(quota["nominalQuota"]) + int(quota.get("borrowingLimit") or 0)
        for group in queue["spec"].get("resourceGroups") or []
        for flavour in group["flavors"]
        for quota in flavour["resources"]
        if quota["name"] == resource
    ]
    return max(quotas, default=0)
