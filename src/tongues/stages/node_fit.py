"""Whether a pool that a recipe names has nodes on a cluster, by labels, taints and free accelerators."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tongues.core.recipe import NodePoolSection

Node = Mapping[str, Any]
_KEPT_OUT = ("NoSchedule", "NoExecute")


def pool_problem(pool: NodePoolSection, nodes: Sequence[Node]) -> tuple[str, str]:
    """Why no node takes a pod of the pool, and what to do; two empty texts where one does.

    Args:
        pool: the recipe's section.
        nodes: as the Kubernetes API lists them.
    """
    labelled = [node for node in nodes if _has_labels(node, pool.node_selector)]
    if not labelled:
        return f"no node has {_pairs(pool.node_selector)}", _label_fix(pool, nodes)
    let_in = [node for node in labelled if not list(_taints_left(node, pool))]
    if not let_in:
        taints = sorted({taint for node in labelled for taint in _taints_left(node, pool)})
        what = f"{len(labelled)} nodes have the labels, and all are tainted {', '.join(taints)}"
        return what, f"add to tolerations: {_toleration(taints[0])}"
    most = max(accelerators(node, pool.accelerator) for node in let_in)
    if most < pool.gpus:
        asked = f"asks for {pool.gpus} {pool.accelerator} in one pod"
        what = f"{asked}, and no node of the pool has more than {most}"
        return what, _gpu_fix(pool, let_in, most)
    return "", ""


def accelerators(node: Node, resource: str) -> int:
    """How many of an extended resource a node can give out."""
    return int(node.get("status", {}).get("allocatable", {}).get(resource, 0))


def _has_labels(node: Node, wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= (node["metadata"].get("labels") or {}).items()


def _taints_left(node: Node, pool: NodePoolSection) -> Iterator[str]:
    for taint in node.get("spec", {}).get("taints") or []:
        if taint["effect"] in _KEPT_OUT and not any(_tolerates(one, taint) for one in pool.tolerations):
            yield f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"


def _tolerates(one: Any, taint: Mapping[str, str]) -> bool:
    if one.effect not in (None, taint["effect"]) or one.key not in (None, taint["key"]):
        return False
    return one.operator == "Exists" or (one.value or "") == taint.get("value", "")


def _toleration(taint: str) -> str:
    key, effect = taint.partition("=")[0], taint.rpartition(":")[2]
    return f"{{key: {key}, operator: Exists, effect: {effect}}}"


def _label_fix(pool: NodePoolSection, nodes: Sequence[Node]) -> str:
    known = [
        f"{key}: {', '.join(values)}"
        for key in pool.node_selector
        if (values := sorted({(n["metadata"].get("labels") or {}).get(key, "") for n in nodes} - {""}))
    ]
    if known:
        return f"the cluster has {'; '.join(known)}"
    return f"make such a pool; no node has a label {', '.join(pool.node_selector)} now"


def _gpu_fix(pool: NodePoolSection, nodes: Sequence[Node], most: int) -> str:
    if most:
        return f"set gpus to {most} or less, or name a larger pool"
    offered = sorted({name for n in nodes for name in n["status"].get("allocatable", {}) if "/" in name})
    if offered:
        return f"its nodes offer {', '.join(offered)}: set accelerator, or name another pool"
    return "install the device plug-in (GPU Operator), or name a pool with GPUs"


def _pairs(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
