"""A registry, an object store and a cluster over HTTP: an alias moves, and requests follow by weight."""

import pytest

pytest.importorskip("kserve", reason="the KServe SDK is not installed: install tongues[kserve]")
pytest.importorskip("mlflow", reason="MLflow is not installed: install tongues[registry]")

from kserve_server import KServeServer, canary_loading, loading, ready
from kubernetes.client import ApiClient, Configuration
from runtime_vllm import RuntimeVllm

from tests.handmade_versions import RECIPE, HandMade
from tests.tiny_versions import TinyVersions
from tongues.core.recipe import RegistrySection
from tongues.core.recipe_file import load_recipe
from tongues.platform.kserve_api import KServeApi
from tongues.platform.kubernetes_api import KubernetesApi
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.serving.status import read_status
from tongues.stages.follow import endpoint_home
from tongues.stages.follow_kserve import ClusterFollower
from tongues.stages.workspace import Workspace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
SERVING = """
serving:
  ready_timeout_s: 30
  kserve: {min_replicas: 2, canary: {weights: [20, 50], watch_s: 0.01}}
"""
ADDRESS = "/apis/serving.kserve.io/v1beta1/namespaces/team-a/inferenceservices/es"


class Cluster:
    """Versions of one model, their registry, the cluster, and the server that answers as a canary."""

    def __init__(self, folder, bucket, server):
        self.lines, self.server = [], server
        self.place = Workspace(bucket, say=self.lines.append, scratch=folder / "cache")
        self.made = HandMade(self.place, folder)
        (folder / "recipe.yaml").write_text(RECIPE + SERVING)
        self.made.recipe = load_recipe(folder / "recipe.yaml")
        self.tracking = Tracking(RegistrySection(model="es"), self.place.local)
        self.versions = TinyVersions(self.place, self.tracking, folder)
        self.vllm = RuntimeVllm()
        self.vllm.start()
        self.vllm.held["es"] = folder
        self.answer = folder / "answer.txt"
        access = Configuration()
        access.host, access.retries = server.url, False
        self.waited = 0.0
        self.api = KServeApi(
            KubernetesApi(ApiClient(access), self.lines.append),
            self.lines.append,
            wait=self.wait,
            clock=lambda: self.waited,
        )
        self.follower = ClusterFollower(
            self.place, ["es@champion"], namespace="team-a", canary_url=self.vllm.url, api=self.api
        )

    def wait(self, seconds):
        self.waited += seconds

    def promote(self, seed):
        """Register a version and make it the champion; the canary then answers as evaluation recorded."""
        tuned, base = self.made.tuned(seed), self.made.base()
        evaluation = self.made.evaluated(tuned)
        version = self.versions.register("es", tuned, base, evaluation)
        self.versions.promote(version)
        self.answer.write_text(tuned.manifest.files["adapter/adapter_model.safetensors"][:12])
        return version

    def step(self):
        self.follower.step()
        (found,) = read_status(endpoint_home(self.place, "endpoint")).models
        return found

    @property
    def served(self):
        spec = self.server.objects[ADDRESS]["spec"]
        assert "canary" not in spec
        return spec["predictor"]["model"]["storageUri"]


@pytest.fixture
def cluster(tmp_path, bucket):
    """Version 1 serves."""
    with KServeServer() as server:
        one = Cluster(tmp_path, bucket, server)
        one.promote(1)
        assert one.step().state == "serving"
        yield one
        one.vllm.stop()


def test_alias_moves_and_requests_follow_by_weight(cluster):
    shares, before = [], cluster.served
    cluster.server.shifted = shares.append
    version = cluster.promote(2)
    found = cluster.step()
    assert (found.state, found.serves.split(".")[1]) == ("serving", "v2"), found
    assert shares == [0, 20, 50, 0] and cluster.served != before
    assert cluster.server.objects[ADDRESS]["spec"]["predictor"]["name"] == "v2"
    tags = cluster.tracking.models.version("es", version.version).tags
    assert any("team-a/es" in name for name in tags)
    assert cluster.step().state == "serving" and shares == [0, 20, 50, 0]


def test_version_that_fails_at_20_percent_goes_back_here_and_in_the_registry(cluster):
    before, first = cluster.served, registry.champion(cluster.tracking, "es").version
    cluster.promote(2)
    cluster.server.shifted = lambda percent: percent == 20 and cluster.vllm.broken.add("es")
    found = cluster.step()
    assert found.state == "taken-back" and "requests failed (limit 2%)" in found.reason
    assert cluster.served == before
    assert registry.champion(cluster.tracking, "es").version == first
    assert "live checks failed" in registry.history(cluster.tracking, "es")[-1].reason
    assert cluster.step().state == "serving"


def test_version_that_never_gets_ready_leaves_cluster_and_registry_as_they_are(cluster):
    before = cluster.served
    version = cluster.promote(2)
    cluster.server.canary = canary_loading
    found = cluster.step()
    assert found.state == "refused" and "not ready within 30 s" in found.reason
    assert cluster.served == before and cluster.vllm.asked == []
    assert registry.champion(cluster.tracking, "es").version == version.version


def test_kserve_without_weights_says_so_in_the_status(cluster):
    before = cluster.served
    cluster.promote(2)
    cluster.server.shares = "none"
    found = cluster.step()
    assert found.state == "refused" and "no share of the requests" in found.reason
    assert cluster.served == before


def test_promoted_version_that_is_not_ready_yet_is_waited_for_and_not_rolled_out_again(cluster):
    shares = []
    cluster.server.shifted = shares.append
    cluster.server.statuses = (loading, loading, ready)
    assert cluster.step().state == "serving"
    assert shares == [0] and cluster.vllm.asked == []
