"""The step `serve`: a registered version in an object store goes to a Kubernetes API over HTTP."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("kserve", reason="the KServe SDK is not installed: install tongues[kserve]")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

from kserve_server import KServeServer, failed, loading, ready, stale
from object_store import running_store

from components.serve.component import serve
from tests.handmade_versions import RECIPE, HandMade
from tongues.core.recipe import RegistrySection
from tongues.core.recipe_file import parse_recipe
from tongues.platform.tracking import Tracking
from tongues.stages.workspace import Workspace

SERVICE = "/apis/serving.kserve.io/v1beta1/namespaces/team-a/inferenceservices/tiny"
RUNTIME = "/apis/serving.kserve.io/v1alpha1/namespaces/team-a/servingruntimes/tongues-vllm"


class Shop:
    """A workspace on S3 and an MLflow that only the recipe names, with versions made by hand."""

    def __init__(self, folder, empty_registry):
        shutil.copy(empty_registry, folder / "registry.db")
        self.section = RegistrySection(model="tiny", tracking_uri=f"sqlite:///{folder}/registry.db")
        self.text = RECIPE.replace(
            "{model: tiny}", f"{{model: tiny, tracking_uri: {self.section.tracking_uri}}}"
        )
        place = Workspace("s3://tongues/work", say=lambda _: None)
        self.made = HandMade(place, folder)
        self.made.recipe = parse_recipe(self.text.encode(), where="test")
        self.models = Tracking(self.section, place.local).models

    def promote(self, seed):
        """Register a version and move the alias to it."""
        tuned = self.made.tuned(seed)
        version = self.models.create_version(
            "tiny", uri=f"{tuned.uri}/merged", sha256=f"{seed:064}", run_id="", tags=self.made.tags(tuned)
        )
        self.models.set_alias("tiny", "champion", version.version)
        return tuned

    def serve(self, page, *, with_runtime=False):
        """Run the component's body as its pod does."""
        return serve.python_func(
            recipe=self.text,
            workspace="s3://tongues/work",
            model="models:/tiny@champion",
            with_runtime=with_runtime,
            state=SimpleNamespace(path=str(page)),
        )


@pytest.fixture(scope="module")
def store():
    with running_store("tongues") as running:
        yield running


@pytest.fixture(scope="module")
def empty_registry(tmp_path_factory):
    """An MLflow's database as MLflow makes it, which takes seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "registry.db"
    Tracking(RegistrySection(model="tiny", tracking_uri=f"sqlite:///{path}"), path.parent)
    return path


@pytest.fixture
def shop(store, empty_registry, tmp_path, monkeypatch):
    for item in store.client.list_objects_v2(Bucket="tongues").get("Contents", []):
        store.client.delete_object(Bucket="tongues", Key=item["Key"])
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return Shop(tmp_path, empty_registry)


@pytest.fixture
def cluster(tmp_path):
    """A stand-in that the kubeconfig of the test names; its namespace is team-a."""

    def running(**world):
        server = KServeServer(**world)
        server.__enter__()
        servers.append(server)
        server.kubeconfig(tmp_path)
        return server

    servers = []
    yield running
    for server in servers:
        server.__exit__()


def test_promoted_version_is_applied_waited_for_and_told_of(shop, cluster, tmp_path):
    tuned = shop.promote(1)
    server = cluster(statuses=(stale, loading, ready))
    assert shop.serve(tmp_path / "page.md") == "http://quickstart-predictor.team-a.svc.cluster.local"
    assert set(server.objects) == {SERVICE}
    service = server.objects[SERVICE]
    assert service["spec"]["predictor"]["model"]["storageUri"] == f"{tuned.uri}/merged/"
    assert service["metadata"]["annotations"]["tongues.dev/version"] == "1"
    page = (tmp_path / "page.md").read_text()
    for told in (
        "models:/tiny/1",
        tuned.manifest.digest(),
        "generation 1",
        "| Ready | True |",
        "tongues-vllm",
    ):
        assert told in page
    (tag,) = [tag for tag in shop.models.version("tiny", 1).tags if "endpoint" in tag]
    assert tag.endswith("team-a/tiny")


def test_step_that_is_tried_again_finds_the_same_revision(shop, cluster, tmp_path):
    shop.promote(1)
    server = cluster()
    assert shop.serve(tmp_path / "one.md") == shop.serve(tmp_path / "two.md")
    assert server.objects[SERVICE]["metadata"]["generation"] == 1


def test_runtime_is_added_where_the_chart_is_not(shop, cluster, tmp_path):
    shop.promote(1)
    server = cluster()
    shop.serve(tmp_path / "page.md", with_runtime=True)
    assert set(server.objects) == {SERVICE, RUNTIME}
    verbs = {(method, path.split("/")[6]) for method, path in server.requests}
    assert verbs == {
        ("PATCH", "servingruntimes"),
        ("PATCH", "inferenceservices"),
        ("GET", "inferenceservices"),
    }


def test_alias_that_moves_while_the_step_waits_is_followed(shop, cluster, tmp_path):
    shop.promote(1)
    moved = []

    def ready_after_another_promotion(generation):
        if not moved:
            moved.append(shop.promote(2))
        return ready(generation)

    server = cluster(statuses=(ready_after_another_promotion,))
    shop.serve(tmp_path / "page.md")
    assert server.objects[SERVICE]["metadata"]["annotations"]["tongues.dev/version"] == "2"
    assert "models:/tiny/2" in (tmp_path / "page.md").read_text()
    assert not [tag for tag in shop.models.version("tiny", 1).tags if "endpoint" in tag]


@pytest.mark.parametrize(
    ("world", "told"),
    [
        ({"refuse": 403}, "pipeline.serve=true"),
        ({"statuses": (failed("InvalidSpec", reason="RuntimeNotRecognized"),)}, "--with-runtime"),
        (
            {"statuses": (lambda generation: ready(generation) | {"url": "", "address": {}},)},
            "ready and has no address",
        ),
    ],
    ids=["no right", "no runtime", "ready and without an address"],
)
def test_what_is_not_served_fails_the_step_and_leaves_no_page(shop, cluster, tmp_path, capsys, world, told):
    shop.text += "serving: {ready_timeout_s: 1}\n"
    shop.made.recipe = parse_recipe(shop.text.encode(), where="test")
    shop.promote(1)
    cluster(**world)
    with pytest.raises(SystemExit) as ended:
        shop.serve(tmp_path / "page.md")
    assert ended.value.code == 1 and told in capsys.readouterr().out
    assert not (tmp_path / "page.md").exists()
