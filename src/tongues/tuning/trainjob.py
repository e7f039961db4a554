"""The TrainJob of Kubeflow Trainer 2 that tunes on several nodes: rendered here, asked for in `platform`.

Every pod runs `tongues finetune` on the data that stands in the workspace. Trainer gives each pod torchrun's
variables (PET_NNODES, PET_NODE_RANK and their like), which that command reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tongues.core.cluster_names import RUN_LABEL
from tongues.core.recipe import NodePoolSection
from tongues.core.recipe.cluster import SHARED_MEMORY
from tongues.platform.pipelines import FAILURE_ENV
from tongues.platform.pod_logs import NODE
from tongues.platform.train_jobs import API_VERSION, KIND, QUEUE_LABEL

MANAGER = "tongues"
"""Whose runtime patches they are; Kueue adds its own beside them."""

_GROUP = API_VERSION.partition("/")[0]
_MAIN = "main"
"""Argo's name for a step's own container."""
_CARRIED = ("AWS_", "HF_", "MLFLOW_", "NCCL_", "OMP_", "TONGUES_")
_RESERVE_S = 15
"""Seconds a pod has beyond the recipe's grace, to upload and to end."""
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class Surroundings:
    """What the step that asks for a TrainJob has, and its pods get too.

    Args:
        namespace: where it stands.
        image: of its container.
        service_account: as which it asks for things.
        env: its variables for stores and registries, secrets by reference.
        labels: that name the pipeline run.
        owner: with which the job goes; None where it has none.
    """

    namespace: str
    image: str
    service_account: str = "default"
    env: Sequence[Mapping[str, Any]] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: Mapping[str, Any] | None = None


def surroundings_of(pod: Mapping[str, Any]) -> Surroundings:
    """What a KFP step's pod hands on to the job that it asks for.

    Variables go along where they come from a Secret or a ConfigMap, by reference, or where their name begins
    with that of a store, a registry or torch's communication. The owner is the workflow, with which it goes.

    Args:
        pod: the step's pod, as Kubernetes has it.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    main = next((one for one in spec["containers"] if one["name"] == _MAIN), spec["containers"][0])
    labels = metadata.get("labels", {})
    return Surroundings(
        namespace=metadata["namespace"],
        image=main["image"],
        service_account=spec.get("serviceAccountName", "default"),
        env=[one for one in main.get("env", []) if _goes_along(one)],
        labels={RUN_LABEL: labels[RUN_LABEL]} if RUN_LABEL in labels else {},
        owner=next((_owner(one) for one in metadata.get("ownerReferences", [])), None),
    )


def _goes_along(variable: Mapping[str, Any]) -> bool:
    source = variable.get("valueFrom", {})
    if variable["name"] == FAILURE_ENV or variable["name"].startswith("KFP_"):
        return False
    named = variable["name"].startswith(_CARRIED) and not source
    return named or "secretKeyRef" in source or "configMapKeyRef" in source


def _owner(reference: Mapping[str, Any]) -> dict[str, Any]:
    """To be deleted with it, and never to hold it back."""
    return {name: reference[name] for name in ("apiVersion", "kind", "name", "uid")}


def train_job(
    name: str, command: Sequence[str], pool: NodePoolSection, place: Surroundings, *, grace_s: float
) -> dict[str, Any]:
    """The object as it is sent to Kubernetes.

    Args:
        name: RFC 1035 label of at most 63 characters; the same for the same work.
        command: what each pod runs.
        pool: what the recipe's node pool says of finetune.
        place: of the step that asks.
        grace_s: seconds from SIGTERM to the end, as `tuning.safety.grace_s` has it.
    """
    labels = {**place.labels, "app.kubernetes.io/managed-by": MANAGER}
    metadata: dict[str, Any] = {"name": name, "namespace": place.namespace, "labels": labels}
    if pool.queue:
        metadata["labels"] = {**labels, QUEUE_LABEL: pool.queue}
    if place.owner:
        metadata["ownerReferences"] = [dict(place.owner)]
    spec: dict[str, Any] = {
        "runtimeRef": {"apiGroup": _GROUP, "kind": pool.runtime_kind, "name": pool.runtime},
        "trainer": _trainer(command, pool, place),
        "runtimePatches": [{"manager": MANAGER, "trainingRuntimeSpec": _patch(pool, place, grace_s)}],
    }
    if pool.timeout_s:
        spec["activeDeadlineSeconds"] = pool.timeout_s
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def _trainer(command: Sequence[str], pool: NodePoolSection, place: Surroundings) -> dict[str, Any]:
    trainer: dict[str, Any] = {
        "image": place.image,
        "command": list(command),
        "numNodes": pool.nodes,
        "numProcPerNode": max(pool.gpus, 1),
        "env": [dict(one) for one in place.env],
    }
    resources = {
        "cpu": pool.cpu,
        "memory": pool.memory,
        "ephemeral-storage": pool.ephemeral_storage,
        pool.accelerator: str(pool.gpus) if pool.gpus else None,
    }
    if asked := {key: value for key, value in resources.items() if value}:
        # Requests too: it is those that Kueue holds against a quota.
        trainer["resourcesPerNode"] = {"requests": asked, "limits": dict(asked)}
    return trainer


def _patch(pool: NodePoolSection, place: Surroundings, grace_s: float) -> dict[str, Any]:
    """What the runtime does not know: nodes, account, shared memory, how long a pod may take to save."""
    container: dict[str, Any] = {"name": NODE, "securityContext": _RESTRICTED}
    pod: dict[str, Any] = {
        "serviceAccountName": place.service_account,
        "terminationGracePeriodSeconds": round(grace_s) + _RESERVE_S,
        "containers": [container],
    }
    if pool.node_selector:
        pod["nodeSelector"] = dict(sorted(pool.node_selector.items()))
    if pool.tolerations:
        pod["tolerations"] = [one.model_dump(exclude_none=True) for one in pool.tolerations]
    if pool.shared_memory:
        memory = {"medium": "Memory", "sizeLimit": pool.shared_memory}
        pod["volumes"] = [{"name": "shared-memory", "emptyDir": memory}]
        container["volumeMounts"] = [{"name": "shared-memory", "mountPath": SHARED_MEMORY}]
    template = {"metadata": {"labels": dict(place.labels)}} if place.labels else {}
    job = {"name": NODE, "template": {"spec": {"template": {**template, "spec": pod}}}}
    return {"template": {"spec": {"replicatedJobs": [job]}}}
