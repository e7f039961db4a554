import sys
from pathlib import Path

import pytest

pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed: install tongues[kserve]")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "servers"))

from kserve_server import KServeServer, canary_failed, canary_loading, loading
from kubernetes.client import ApiClient, Configuration

from tongues.core.errors import KubernetesError, ServingError
from tongues.platform.kserve_api import KServeApi
from tongues.platform.kserve_canary import Canary, is_served, keeping_name, same_revision
from tongues.platform.kubernetes_api import KubernetesApi

ADDRESS = "/apis/serving.kserve.io/v1beta1/namespaces/team-a/inferenceservices/gl"


def service(version, name="gl", **predictor):
    """An InferenceService of one version, as it is rendered."""
    model = {"runtime": "tongues-vllm", "modelFormat": {"name": "vLLM"}, "storageUri": f"s3://b/{version}/"}
    notes = {"serving.kserve.io/deploymentMode": "Standard", "tongues.dev/version": str(version)}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "namespace": "team-a",
            "annotations": notes | {"tongues.dev/manifest-sha256": f"{version:064x}"},
        },
        "spec": {"predictor": {"model": model, "minReplicas": 4, "maxReplicas": 6} | predictor},
    }


class Case:
    """Version 3 serves; version 4 is to come."""

    def __init__(self, server):
        access = Configuration()
        access.host, access.retries = server.url, False
        self.now, self.server, self.lines = 0.0, server, []
        self.api = KServeApi(
            KubernetesApi(ApiClient(access), self.lines.append),
            self.lines.append,
            wait=self.wait,
            clock=lambda: self.now,
        )
        self.api.apply(service(3))

    def wait(self, seconds):
        self.now += seconds

    @property
    def spec(self):
        return self.server.objects[ADDRESS]["spec"]

    @property
    def live(self):
        return self.api.find(service(3))

    def canary(self, version=4, **more):
        return Canary(self.api, self.live, service(version), version, timeout_s=600, **more)


@pytest.fixture
def case():
    servers = []

    def make(**world):
        servers.append(KServeServer(**world))
        return Case(servers[-1].__enter__())

    yield make
    for server in servers:
        server.__exit__()


def test_canary_starts_without_requests_then_gets_its_share_and_its_replicas(case):
    one = case()
    canary = one.canary()
    canary.start()
    (entry,) = one.spec["canary"]
    assert (entry["trafficPercent"], entry["predictor"]["minReplicas"]) == (0, 1)
    assert entry["predictor"]["name"] == "v4" and "maxReplicas" not in entry["predictor"]
    assert entry["predictor"]["model"]["storageUri"] == "s3://b/4/"
    canary.shift(50)
    (entry,) = one.spec["canary"]
    assert (entry["trafficPercent"], entry["predictor"]["minReplicas"]) == (50, 2)
    assert one.spec["predictor"]["model"]["storageUri"] == "s3://b/3/"
    assert canary.url == "http://gl-v4-predictor.team-a.svc.cluster.local"


def test_promotion_keeps_the_canarys_pods_and_leaves_no_canary_behind(case):
    one = case()
    canary = one.canary()
    canary.start()
    one.api.apply(canary.promoted)
    assert "canary" not in one.spec and one.spec["predictor"]["name"] == "v4"
    assert one.spec["predictor"]["model"]["storageUri"] == "s3://b/4/"
    assert one.spec["predictor"]["maxReplicas"] == 6 and is_served(one.live, service(4))


def test_withdrawn_canary_leaves_the_object_as_it_stood_before(case):
    one = case()
    before = one.live
    canary = one.canary()
    canary.start()
    canary.shift(20)
    canary.withdraw()
    after = one.live
    assert after["spec"] == before["spec"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert is_served(after, service(3)) and not is_served(after, service(4))


def test_version_beside_a_canary_is_not_yet_the_one_that_serves(case):
    one = case()
    one.canary().start()
    assert not is_served(one.live, service(3)) and not is_served(one.live, service(4))


def test_what_others_have_set_stays_theirs_through_it_all(case):
    one = case()
    one.server.set_by("autoscaler", ADDRESS, "spec.predictor.minReplicas", 8)
    canary = one.canary()
    canary.start()
    canary.withdraw()
    assert one.spec["predictor"]["minReplicas"] == 8


def test_canary_that_never_gets_ready_is_told_within_its_time(case):
    one = case(canary=canary_loading)
    with pytest.raises(KubernetesError, match="not ready within 600 s"):
        one.canary().start()


def test_canary_whose_weights_do_not_load_is_told_at_once_in_the_words_of_its_status(case):
    one = case(canary=canary_failed)
    with pytest.raises(KubernetesError, match=r"ModelLoadFailed.*not a safetensors file"):
        one.canary().start()
    assert one.now < 10


def test_service_that_is_rolling_out_does_not_make_its_canary_ready(case):
    one = case(canary=canary_loading, statuses=(loading,))
    with pytest.raises(KubernetesError, match="not ready within"):
        one.canary().start()


@pytest.mark.parametrize("shares", ["none", "no route"])
def test_kserve_that_shares_no_requests_out_is_told_and_not_passed_over(case, shares):
    one = case(shares=shares)
    canary = one.canary()
    canary.start()
    with pytest.raises(ServingError, match=r"no share of the requests.*gl-v4-predictor") as caught:
        canary.shift(20)
    assert "leave serving.kserve.canary out" in caught.value.fix


def test_route_that_gives_another_share_is_not_taken_for_it(case):
    one = case(shares="none")
    canary = one.canary()
    backends = [{"name": "gl-predictor", "weight": 80}, {"name": "gl-v4-predictor", "weight": 20}]
    assert canary.share_in({"spec": {"rules": [{"backendRefs": backends}]}}) == 20
    assert (
        canary.share_in({"spec": {"rules": [{"backendRefs": backends}, {"backendRefs": backends[:1]}]}})
        is None
    )
    assert canary.share_in({}) is None


def test_kserve_without_the_field_is_told_before_anything_changes(case):
    one = case(knows_canary=False)
    before = one.live
    with pytest.raises(KubernetesError, match=r"takes no canary.*spec\.canary") as caught:
        one.canary().start()
    assert one.live["spec"] == before["spec"] and "0.20.0" in caught.value.fix


def test_version_that_comes_back_under_a_taken_name_gets_another(case):
    one = case()
    one.api.apply(one.canary().promoted)
    assert one.canary(4).name == "v4-b" and one.canary(5).name == "v5"


def test_name_that_makes_too_long_a_service_is_refused(case):
    one = case()
    long = service(4, name="x" * 50)
    with pytest.raises(ServingError, match="too long for a Service"):
        Canary(one.api, long, long, 1234, timeout_s=1)


def test_canary_that_a_killed_rollout_left_is_gone_with_the_next_change(case):
    one = case()
    one.canary().start()
    assert same_revision(one.live, service(3))
    one.api.apply(keeping_name(one.live, service(3)))
    assert is_served(one.live, service(3))


def test_plain_change_after_a_promotion_keeps_the_deployment_that_serves(case):
    one = case()
    one.api.apply(one.canary().promoted)
    assert keeping_name(one.live, service(5))["spec"]["predictor"]["name"] == "v4"
    assert keeping_name(None, service(5)) == service(5)
