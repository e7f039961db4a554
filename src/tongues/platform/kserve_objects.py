"""A served model as KServe objects: plain JSON, made with the models of the KServe SDK 0.21.

InferenceService in Standard mode on one of the chart's runtimes, and LLMInferenceService as the alternative.
The ServingRuntime is the chart's own, rendered into ``manifests/base``: it is written down in one place.

Sources: API types of KServe 0.20 (serving.kserve.io/v1beta1 and v1alpha2); the KEDA scaler reads
``target.value`` alone, whatever ``target.type`` says, and KEDA takes it as a value per replica
(kserve pkg/controller/v1beta1/inferenceservice/reconcilers/keda).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tongues.core.errors import ServingError
from tongues.core.recipe import KServeSection, NodePoolSection

if TYPE_CHECKING:
    from kserve.models import V1beta1PredictorSpec

GROUP = "serving.kserve.io"
MODELS, BASE = "/mnt/models", "/mnt/models/base"
RUNTIMES = {"merged": "tongues-vllm", "adapter": "tongues-vllm-adapter"}
ANNOTATION = "tongues.dev/"
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,48}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What is to be served where.

    Args:
        name: of the object, and the model name that clients ask for.
        namespace: on the cluster.
        weights_uri: folder of the merged weights; of the base model's where there are adapters.
        revision: annotations that say what is served, such as {"version": "3"}.
        adapters: name that clients ask for to the folder of a LoRA adapter; empty for merged weights.
        max_rank: the largest rank among the adapters.
        max_model_len: tokens of prompt and answer together.
    """

    name: str
    namespace: str
    weights_uri: str
    revision: Mapping[str, str]
    adapters: Mapping[str, str]
    max_rank: int
    max_model_len: int


def check(model: ServedModel) -> None:
    """Refuse what KServe would only refuse, or fail at, once it is there.

    Raises:
        ServingError: a name that is none, or a folder that no pod can read.
    """
    for name in (model.name, *model.adapters):
        if not _NAME.fullmatch(name):
            raise ServingError(
                f"{name!r} is no name for KServe",
                where=model.name,
                fix="use lower-case letters, digits and inner dashes, a letter first, 50 at most",
            )
    for uri in (model.weights_uri, *model.adapters.values()):
        if "://" not in uri or uri.startswith("file:"):
            fix = "keep the workspace in an object store (s3://...) and register the model from there"
            raise ServingError("KServe cannot read a folder of this machine", where=uri, fix=fix)


def inference_service(model: ServedModel, section: KServeSection) -> dict[str, Any]:
    """The InferenceService (v1beta1) of a model."""
    from kserve.models import V1beta1InferenceService, V1beta1InferenceServiceSpec
    from kubernetes.client import V1ObjectMeta

    annotations = {
        f"{GROUP}/deploymentMode": "Standard",
        f"{GROUP}/autoscalerClass": "keda" if section.scales else "none",
    }
    metadata = V1ObjectMeta(
        name=model.name,
        namespace=model.namespace,
        annotations=annotations | {f"{ANNOTATION}{key}": value for key, value in model.revision.items()},
    )
    service = V1beta1InferenceService(
        api_version=f"{GROUP}/v1beta1",
        kind="InferenceService",
        metadata=metadata,
        spec=V1beta1InferenceServiceSpec(predictor=_predictor(model, section)),
    )
    plain = _plain(service)
    del plain["spec"]["predictor"]["model"]["name"]  # the SDK writes an empty one, which is no name
    return plain


def annotated(name: str, namespace: str, manifest_sha256: str) -> dict[str, Any]:
    """The InferenceService of a name as far as it says which artefact it serves."""
    metadata = {"name": name, "namespace": namespace}
    notes = {f"{ANNOTATION}manifest-sha256": manifest_sha256}
    return {
        "apiVersion": f"{GROUP}/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata | {"annotations": notes},
    }


def _predictor(model: ServedModel, section: KServeSection) -> V1beta1PredictorSpec:
    from kserve.models import V1beta1PredictorSpec, V1beta1StorageUri
    from kubernetes import client as core

    rolling = core.V1RollingUpdateDeployment(max_surge=1, max_unavailable=0)
    folders = {BASE: model.weights_uri} | {_mount(n): uri for n, uri in model.adapters.items()}
    uris = [V1beta1StorageUri(uri=_folder(uri), mount_path=mount) for mount, uri in folders.items()]
    return V1beta1PredictorSpec(
        service_account_name=section.service_account,
        automount_service_account_token=False,
        min_replicas=section.min_replicas,
        max_replicas=section.most_replicas,
        timeout=section.timeout_s,
        deployment_strategy=core.V1DeploymentStrategy(type="RollingUpdate", rolling_update=rolling),
        security_context=core.V1PodSecurityContext(
            run_as_non_root=True, seccomp_profile=core.V1SeccompProfile(type="RuntimeDefault")
        ),
        node_selector=dict(section.pool.node_selector) or None,
        tolerations=[core.V1Toleration(**t.model_dump()) for t in section.pool.tolerations] or None,
        storage_uris=uris if model.adapters else None,
        model=_model(model, section),
        auto_scaling=_auto_scaling(model, section) if section.scales else None,
    )


def _model(model: ServedModel, section: KServeSection) -> Any:
    from kserve.models import V1beta1ModelFormat, V1beta1ModelSpec

    return V1beta1ModelSpec(
        runtime=section.runtime or RUNTIMES["adapter" if model.adapters else "merged"],
        model_format=V1beta1ModelFormat(name="vLLM"),
        storage_uri=None if model.adapters else _folder(model.weights_uri),
        args=_arguments(model),
        resources=_resources(section.pool),
    )


def _arguments(model: ServedModel) -> list[str]:
    """Arguments beside the runtime's own; of one given twice vLLM takes the later."""
    arguments = [f"--max-model-len={model.max_model_len}"]
    if not model.adapters:
        return arguments
    modules = [f"{name}={_mount(name)}" for name in model.adapters]
    # The adapter has the model's name, as clients know it; the base beneath answers to another.
    served = f"--served-model-name={model.name}-base"
    return [*arguments, served, f"--max-lora-rank={model.max_rank}", "--lora-modules", *modules]


def _resources(pool: NodePoolSection) -> Any:
    from kubernetes.client import V1ResourceRequirements

    wanted = {"cpu": pool.cpu, "memory": pool.memory, pool.accelerator: str(pool.gpus) if pool.gpus else None}
    given = {name: amount for name, amount in wanted.items() if amount is not None}
    return V1ResourceRequirements(requests=given, limits=dict(given)) if given else None


def _auto_scaling(model: ServedModel, section: KServeSection) -> Any:
    from kserve import models as api

    pods = f'namespace="{model.namespace}", pod=~"{model.name}-predictor-.*"'
    metric = api.V1beta1ExternalMetrics(
        backend="prometheus",
        server_address=section.prometheus_url,
        query=f"sum(vllm:num_requests_waiting{{{pods}}})",
    )
    target = {"type": "Value", "value": str(section.waiting_requests)}
    source = api.V1beta1ExternalMetricSource(metric=metric, target=target)
    return api.V1beta1AutoScalingSpec(metrics=[api.V1beta1MetricsSpec(type="External", external=source)])


def llm_inference_service(model: ServedModel, section: KServeSection) -> dict[str, Any]:
    """The LLMInferenceService (v1alpha2) of a model; the SDK has no class for its spec."""
    spec: dict[str, Any] = {
        "model": {"uri": model.weights_uri.rstrip("/"), "name": _base_name(model)} | _lora(model),
        "replicas": section.min_replicas,
        "router": {"gateway": {}, "route": {}, "scheduler": {}},
        "template": _template(model, section),
    }
    return {
        "apiVersion": f"{GROUP}/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {
            "name": model.name,
            "namespace": model.namespace,
            "annotations": {f"{ANNOTATION}{key}": value for key, value in model.revision.items()},
        },
        "spec": spec,
    }


def _base_name(model: ServedModel) -> str:
    return f"{model.name}-base" if model.adapters else model.name


def _lora(model: ServedModel) -> dict[str, Any]:
    if not model.adapters:
        return {}
    adapters = [{"name": name, "uri": uri.rstrip("/")} for name, uri in model.adapters.items()]
    return {"lora": {"maxRank": model.max_rank, "maxAdapters": len(adapters), "adapters": adapters}}


def _template(model: ServedModel, section: KServeSection) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "args": [f"--max-model-len={model.max_model_len}"]}
    if (resources := _resources(section.pool)) is not None:
        container["resources"] = _plain(resources)
    template: dict[str, Any] = {"serviceAccountName": section.service_account, "containers": [container]}
    if section.pool.node_selector:
        template["nodeSelector"] = dict(section.pool.node_selector)
    if section.pool.tolerations:
        template["tolerations"] = [
            tolerance.model_dump(exclude_none=True) for tolerance in section.pool.tolerations
        ]
    return template


def serving_runtime(mode: str, namespace: str) -> dict[str, Any]:
    """The chart's ServingRuntime for a mode, in another namespace.

    Args:
        mode: "merged" or "adapter".
        namespace: takes the place of the one it was rendered for.
    """
    from ruamel.yaml import YAML

    package = Path(__file__).resolve().parents[1]
    name = f"serving-runtime-{mode}.yaml"
    shipped = [package / "runtimes" / name, package.parents[1] / "manifests" / "base" / name]
    path = next((each for each in shipped if each.is_file()), None)
    if path is None:
        raise ServingError(
            "this installation carries no runtimes", where=str(shipped[0]), fix="reinstall tongues"
        )
    runtime: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    runtime["metadata"]["namespace"] = namespace
    return runtime


def _mount(adapter: str) -> str:
    return f"{MODELS}/adapters/{adapter}"


def _folder(uri: str) -> str:
    """With a last slash; without it KServe fetches every key that starts so: .../1 and .../10 alike."""
    return f"{uri.rstrip('/')}/"


def _plain(value: Any) -> dict[str, Any]:
    from kserve import ApiClient

    plain: dict[str, Any] = ApiClient().sanitize_for_serialization(value)
    return plain
