import sys
from pathlib import Path

import pytest

pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed: install tongues[kserve]")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "servers"))

from kserve_server import KServeServer, failed, loading, ready, stale
from kubernetes.client import ApiClient, Configuration

from tongues.core.errors import KubernetesError
from tongues.platform.kserve_api import KServeApi
from tongues.platform.kubernetes_api import KubernetesApi

ADDRESS = "/apis/serving.kserve.io/v1beta1/namespaces/team-a/inferenceservices/quickstart"


def service(**predictor):
    """An InferenceService as small as it may be."""
    model = {"runtime": "tongues-vllm", "modelFormat": {"name": "vLLM"}, "storageUri": "s3://b/m/"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "quickstart", "namespace": "team-a"},
        "spec": {"predictor": {"model": model, "minReplicas": 1} | predictor},
    }


class Time:
    """A clock that goes on when somebody waits, and the lines that were said."""

    def __init__(self):
        self.now, self.lines = 0.0, []

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def connect():
    def connected(server):
        access = Configuration()
        access.host, access.retries = server.url, False
        time = Time()
        api = KubernetesApi(ApiClient(access), time.lines.append, patience_s=0.0)
        return KServeApi(api, time.lines.append, wait=time.wait, clock=lambda: time.now), time

    return connected


def test_apply_new_object_then_the_same_again_changes_nothing(connect):
    with KServeServer() as server:
        api, _ = connect(server)
        first, second = api.apply(service()), api.apply(service())
        assert (first.generation, second.generation) == (1, 1)
        assert api.apply(service(minReplicas=2)).generation == 2
        assert server.objects[ADDRESS]["spec"]["predictor"]["minReplicas"] == 2


def test_apply_leaves_fields_of_others_and_drops_those_it_no_longer_names(connect):
    with KServeServer() as server:
        api, _ = connect(server)
        api.apply(service(timeout=600))
        server.set_by("autoscaler", ADDRESS, "spec.predictor.maxReplicas", 7)
        api.apply(service())
        predictor = server.objects[ADDRESS]["spec"]["predictor"]
        assert predictor["maxReplicas"] == 7 and "timeout" not in predictor


def test_apply_field_of_another_manager_is_a_conflict_that_names_it_until_taken_over(connect):
    with KServeServer() as server:
        api, _ = connect(server)
        api.apply(service())
        server.set_by("helm", ADDRESS, "spec.predictor.minReplicas", 3)
        with pytest.raises(
            KubernetesError, match=r'conflict with "helm": .spec.predictor.minReplicas'
        ) as caught:
            api.apply(service())
        assert "--take-over" in caught.value.fix
        assert server.objects[ADDRESS]["spec"]["predictor"]["minReplicas"] == 3
        api.apply(service(), take_over=True)
        assert server.objects[ADDRESS]["spec"]["predictor"]["minReplicas"] == 1


def test_dry_run_checks_and_keeps_nothing(connect):
    with KServeServer() as server:
        api, _ = connect(server)
        assert api.apply(service(), dry_run=True).generation == 1
        assert server.objects == {}
        assert server.queries[0]["dryRun"] == "All" and server.queries[0]["fieldValidation"] == "Strict"


@pytest.mark.parametrize(
    ("world", "words", "fix"),
    [
        ({"refuse": 403}, "not allowed \\(403\\): inferenceservices.*forbidden", "pipeline.serve=true"),
        ({"refuse": 401}, "not logged in \\(401\\)", "log in again"),
        ({"kinds": ()}, "knows no serving.kserve.io/v1beta1 InferenceService", "install KServe"),
        ({"namespaces": ()}, 'namespaces "team-a" not found', "create the namespace"),
        ({"refuse": 503}, "the API server answers 503", "run the same again"),
    ],
    ids=["no right", "no identity", "no KServe", "no namespace", "server error"],
)
def test_apply_refused_says_why_and_what_to_do(connect, world, words, fix):
    with KServeServer(**world) as server:
        api, _ = connect(server)
        with pytest.raises(KubernetesError, match=words) as caught:
            api.apply(service())
        assert fix in caught.value.fix and caught.value.where == "InferenceService team-a/quickstart"
        assert server.objects == {}


def test_apply_nobody_listens_is_told(connect):
    with KServeServer() as server:
        api, _ = connect(server)
    with pytest.raises(KubernetesError, match="does not answer"):
        api.apply(service())


def test_wait_old_status_that_says_ready_is_not_taken_for_the_new_generation(connect):
    with KServeServer(statuses=(stale, stale, loading, loading, ready)) as server:
        api, time = connect(server)
        done = api.wait_ready(api.apply(service()), service(), timeout_s=60)
        assert done.url == "http://quickstart-predictor.team-a.svc.cluster.local"
        assert server.looks == 5
        assert len(time.lines) == 2 and "has not looked" in time.lines[0]
        assert "PredictorReady is Unknown, MinimumReplicasUnavailable" in time.lines[1]


@pytest.mark.parametrize(
    ("transition", "info", "words", "fix"),
    [
        (
            "InvalidSpec",
            {"reason": "RuntimeNotRecognized", "message": "no runtime x"},
            "no runtime x",
            "--with-runtime",
        ),
        ("InvalidSpec", {"reason": "NoSupportingRuntime"}, "NoSupportingRuntime", "format vLLM"),
        (
            "BlockedByFailedLoad",
            {
                "reason": "ModelLoadFailed",
                "message": "CUDA out of memory",
                "exitCode": 137,
                "location": "pod-1",
            },
            "CUDA out of memory; pod-1; exit code 137",
            "log of the pod",
        ),
        ("BlockedByFailedLoad", {}, "BlockedByFailedLoad", "events"),
    ],
)
def test_wait_failure_is_told_at_once_in_the_words_of_model_status(connect, transition, info, words, fix):
    with KServeServer(statuses=(stale, failed(transition, **info))) as server:
        api, time = connect(server)
        with pytest.raises(KubernetesError, match=words) as caught:
            api.wait_ready(api.apply(service()), service(), timeout_s=600)
        assert fix in caught.value.fix and time.now < 10


def test_wait_failure_of_the_generation_before_does_not_count(connect):
    before = failed("InvalidSpec", reason="RuntimeDisabled")
    with KServeServer(statuses=(lambda generation: before(generation - 1), ready)) as server:
        api, _ = connect(server)
        assert api.wait_ready(api.apply(service()), service(), timeout_s=60).generation == 1


def test_wait_too_long_says_what_it_stands_at_and_that_the_old_one_serves_on(connect):
    with KServeServer(statuses=(loading,)) as server:
        api, _ = connect(server)
        with pytest.raises(KubernetesError, match=r"not ready within 30 s: PredictorReady.*goes on serving"):
            api.wait_ready(api.apply(service()), service(), timeout_s=30)


def test_wait_object_deleted_meanwhile_is_told(connect):
    with KServeServer() as server:
        api, _ = connect(server)
        applied = api.apply(service())
        server.objects.clear()
        with pytest.raises(KubernetesError, match="is gone"):
            api.wait_ready(applied, service(), timeout_s=30)
