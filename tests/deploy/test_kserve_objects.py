"""What `tongues serve --target kserve` renders is what an API server with strict validation takes."""

import sys
from pathlib import Path

import crd_schemas
import pytest
import yaml
from chart_objects import CRDS, from_value_set

pytest.importorskip("kserve", reason="the KServe SDK is not installed: install tongues[kserve]")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

from kserve_server import KServeServer
from kubernetes.client import ApiClient, Configuration

from tongues.core.errors import KubernetesError, ServingError
from tongues.core.recipe import CanarySection, KServeSection, NodePoolSection, TolerationSection
from tongues.platform import kserve_objects as objects
from tongues.platform.kserve_api import KServeApi
from tongues.platform.kserve_canary import Canary
from tongues.platform.kubernetes_api import KubernetesApi

needs_crds = pytest.mark.skipif(not CRDS.is_dir(), reason=f"needs CRDs in {CRDS}; set TONGUES_CRDS")
POOL = NodePoolSection(
    gpus=1,
    cpu="6",
    memory="24Gi",
    node_selector={"nvidia.com/gpu.product": "NVIDIA-L4"},
    tolerations=(TolerationSection(key="nvidia.com/gpu", effect="NoSchedule"),),
)
SCALING = {"max_replicas": 4, "prometheus_url": "http://prometheus.monitoring:9090"}


def model(**changes):
    """A model with merged weights."""
    values = {"name": "quickstart", "namespace": "team-a", "weights_uri": "s3://b/finetune/k/merged"}
    values |= {"revision": {"version": "3"}, "adapters": {}, "max_rank": 0, "max_model_len": 1024}
    return objects.ServedModel(**values | changes)


ADAPTERS = {
    "weights_uri": "s3://b/base/k",
    "adapters": {"quickstart": "s3://b/finetune/k/adapter"},
    "max_rank": 16,
}
CASES = {
    "merged": (model(), KServeSection()),
    "merged, scaled, on GPUs": (model(), KServeSection(pool=POOL, **SCALING)),
    "adapter": (model(**ADAPTERS), KServeSection(pool=POOL)),
    "adapter, scaled": (model(**ADAPTERS), KServeSection(min_replicas=2, **SCALING)),
}


@needs_crds
@pytest.mark.parametrize("case", CASES)
def test_inference_service_strict_schema_valid(case):
    assert crd_schemas.problems(objects.inference_service(*CASES[case])) == []


@needs_crds
@pytest.mark.parametrize("changes", [{}, ADAPTERS], ids=["merged", "adapter"])
def test_llm_inference_service_strict_schema_valid(changes):
    section = KServeSection(kind="LLMInferenceService", min_replicas=2, pool=POOL)
    service = objects.llm_inference_service(model(**changes), section)
    assert crd_schemas.problems(service) == []
    assert service["spec"]["replicas"] == 2
    if changes:
        assert service["spec"]["model"]["name"] == "quickstart-base"
        (adapter,) = service["spec"]["model"]["lora"]["adapters"]
        assert adapter == {"name": "quickstart", "uri": "s3://b/finetune/k/adapter"}


def test_merged_service_reads_one_folder_and_ends_it_with_a_slash():
    predictor = objects.inference_service(*CASES["merged"])["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == "s3://b/finetune/k/merged/"
    assert "storageUris" not in predictor and "name" not in predictor["model"]


def test_adapter_service_reads_base_and_adapter_apart_and_names_them_as_a_local_server_does():
    predictor = objects.inference_service(*CASES["adapter"])["spec"]["predictor"]
    assert predictor["storageUris"] == [
        {"uri": "s3://b/base/k/", "mountPath": "/mnt/models/base"},
        {"uri": "s3://b/finetune/k/adapter/", "mountPath": "/mnt/models/adapters/quickstart"},
    ]
    arguments = predictor["model"]["args"]
    assert arguments[-2:] == ["--lora-modules", "quickstart=/mnt/models/adapters/quickstart"]
    assert "--served-model-name=quickstart-base" in arguments and "--max-lora-rank=16" in arguments


@pytest.mark.parametrize("case", CASES)
def test_every_service_is_standard_restricted_and_rolls_without_a_gap(case):
    service = objects.inference_service(*CASES[case])
    annotations, predictor = service["metadata"]["annotations"], service["spec"]["predictor"]
    assert annotations["serving.kserve.io/deploymentMode"] == "Standard"
    assert annotations["tongues.dev/version"] == "3"
    assert predictor["deploymentStrategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert predictor["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert predictor["automountServiceAccountToken"] is False and predictor["timeout"] == 600


def test_scaled_service_asks_keda_for_waiting_requests_of_its_own_pods():
    service = objects.inference_service(*CASES["adapter, scaled"])
    assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "keda"
    (metric,) = service["spec"]["predictor"]["autoScaling"]["metrics"]
    assert metric["external"]["target"] == {"type": "Value", "value": "4"}  # KServe reads no other
    query = metric["external"]["metric"]["query"]
    assert query == 'sum(vllm:num_requests_waiting{namespace="team-a", pod=~"quickstart-predictor-.*"})'
    fixed = objects.inference_service(*CASES["adapter"])
    assert fixed["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "none"


def test_gpu_pool_sets_requests_and_limits_selector_and_toleration():
    predictor = objects.inference_service(*CASES["adapter"])["spec"]["predictor"]
    wanted = {"cpu": "6", "memory": "24Gi", "nvidia.com/gpu": "1"}
    assert predictor["model"]["resources"] == {"requests": wanted, "limits": wanted}
    assert predictor["nodeSelector"] == dict(POOL.node_selector)
    assert predictor["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert "resources" not in objects.inference_service(*CASES["merged"])["spec"]["predictor"]["model"]


@pytest.mark.parametrize("mode", ["merged", "adapter"])
def test_runtime_is_the_charts_own_but_for_the_namespace(mode):
    runtime = objects.serving_runtime(mode, "team-a")
    charts = {item["metadata"]["name"]: item for item in from_value_set("default").of("ServingRuntime")}
    expected = charts[objects.RUNTIMES[mode]]
    assert runtime["metadata"]["namespace"] == "team-a"
    assert runtime["spec"] == expected["spec"]
    case = model(**ADAPTERS) if mode == "adapter" else model()
    chosen = objects.inference_service(case, KServeSection())["spec"]["predictor"]["model"]["runtime"]
    assert chosen == runtime["metadata"]["name"]


@pytest.mark.parametrize("name", ["Quick", "quick-", "9quick", "a/b", "..", "a b", "ñandú", "x" * 51, ""])
def test_name_that_kserve_does_not_take_is_refused(name):
    with pytest.raises(ServingError, match="no name for KServe"):
        objects.check(model(name=name))
    with pytest.raises(ServingError, match="no name for KServe"):
        objects.check(model(adapters={name: "s3://b/a"}))


@pytest.mark.parametrize("uri", ["/home/me/merged", "file:///home/me/merged"])
def test_folder_of_this_machine_is_refused(uri):
    with pytest.raises(ServingError, match="cannot read a folder of this machine"):
        objects.check(model(weights_uri=uri))


@needs_crds
def test_rendered_objects_are_applied_and_a_misspelt_field_is_refused(strict_api):
    runtime, service = (
        objects.serving_runtime("adapter", "team-a"),
        objects.inference_service(*CASES["adapter"]),
    )
    assert [strict_api.apply(item).generation for item in (runtime, service)] == [1, 1]
    wrong = objects.inference_service(*CASES["merged"])
    wrong["spec"]["predictor"]["misspelt"] = 1
    with pytest.raises(KubernetesError, match="misspelt"):
        strict_api.apply(wrong)


@needs_crds
def test_canary_of_rendered_objects_is_taken_at_every_weight_and_promoted(strict_api):
    section = KServeSection(min_replicas=2, canary=CanarySection(), **SCALING)
    weights = {"weights_uri": "s3://b/finetune/k4/merged", "revision": {"version": "4"}}
    before, after = (objects.inference_service(model(**more), section) for more in ({}, weights))
    strict_api.apply(before)
    canary = Canary(strict_api, strict_api.find(before), after, 4, timeout_s=60)
    canary.start()
    for percent in section.canary.weights:
        canary.shift(percent)
    assert crd_schemas.problems(canary.promoted) == []
    strict_api.apply(canary.promoted)
    live = strict_api.find(before)
    assert "canary" not in live["spec"] and live["spec"]["predictor"]["name"] == "v4"
    assert live["spec"]["predictor"]["autoScaling"] == after["spec"]["predictor"]["autoScaling"]


@pytest.fixture
def strict_api():
    """A stand-in for the API server that refuses what KServe's schemas do not have."""
    with KServeServer(strict=True) as server:
        access = Configuration()
        access.host, access.retries = server.url, False
        yield KServeApi(KubernetesApi(ApiClient(access), print), print)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "manifests" / "examples").glob("serve-*.yaml"))
)
def test_examples_are_what_is_rendered_in_form(path):
    (example,) = yaml.safe_load_all(path.read_text())
    case = CASES["adapter" if "adapter" in path.name else "merged"]
    rendered = objects.inference_service(case[0], KServeSection())
    assert (
        example["spec"]["predictor"]["model"]["runtime"] == rendered["spec"]["predictor"]["model"]["runtime"]
    )
    assert set(example["spec"]["predictor"]) <= set(rendered["spec"]["predictor"])
