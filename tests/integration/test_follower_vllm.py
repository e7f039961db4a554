"""An alias moves in MLflow and the endpoint follows, while clients ask without a pause.

Real MLflow, real vLLM, an object store over HTTP, the command line and the official OpenAI client; only the
model is tiny. Answers are compared with what evaluation recorded on transformers.
"""

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: install tongues[serve-cpu]")
pytest.importorskip("mlflow", reason="MLflow is not installed: install tongues[registry]")

import httpx
from constant_load import constant_load
from mlflow_server import running_mlflow
from object_store import running_store
from openai import NotFoundError, OpenAI

from tests.tiny_versions import TinyVersions, tracking_at
from tongues.platform.processes import free_port
from tongues.promotion import registry
from tongues.serving.endpoint import running
from tongues.serving.status import read_status
from tongues.stages.follow import SERVING
from tongues.stages.workspace import Workspace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
CLI = [sys.executable, "-c", "from tongues.cli.main import main; main()"]
LANGS = ("es", "ca", "gl")


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    with running_mlflow(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="module")
def environment(mlflow):
    """What a process needs to find the object store and MLflow."""
    with running_store("tongues") as store:
        yield store.environment | {"MLFLOW_TRACKING_URI": mlflow.url}


@pytest.fixture(scope="module")
def versions(mlflow, environment, tmp_path_factory):
    """A workspace in the object store, and versions to register in MLflow."""
    scratch = tmp_path_factory.mktemp("versions")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        place = Workspace("s3://tongues/work", scratch=scratch / "maker", say=lambda _: None)
        yield TinyVersions(place, tracking_at(mlflow.url, scratch), scratch)


class Endpoint:
    """`tongues serving follow` in a process of its own, and what it says of itself."""

    def __init__(self, home, environment, *arguments):
        self.home, self.environment, self.port = home, environment, free_port()
        # A pod's disk: not the one on which the versions were made.
        self.place = Workspace("s3://tongues/work", scratch=home / ".cache" / "tongues", say=lambda _: None)
        self.state = self.place.local / SERVING / "endpoint"
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.line = [*CLI, "serving", "follow", *arguments, "--port", str(self.port)]
        self.line += ["--workspace", "s3://tongues/work", "--poll-s", "0.5", "--max-rank", "8"]
        self.child = None

    def follow(self):
        # The command keeps its local files below the home folder.
        env = os.environ | self.environment | {"HOME": str(self.home)}
        with (self.home / "follower.log").open("ab") as log:
            self.child = subprocess.Popen(self.line, env=env, stdout=log, stderr=log)

    def kill_follower(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def model(self, name):
        return next(one for one in read_status(self.state).models if one.model == name)

    def until(self, condition, seconds=120):
        deadline = time.monotonic() + seconds
        while not self._holds(condition):
            assert self.child.poll() is None, self.log()
            assert time.monotonic() < deadline, f"{read_status(self.state)}\n{self.log()}"
            time.sleep(0.05)

    def _holds(self, condition):
        try:
            return condition()
        except Exception:  # no status yet
            return False

    def serves(self, name, version, state="serving"):
        one = self.model(name)
        return one.serves.startswith(f"{name}.v{version}.") and one.state == state

    def log(self):
        return (self.home / "follower.log").read_text()[-3000:]

    def stop(self):
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait(60)
        for endpoint in [*running(self.state / "door"), *running(self.state)]:
            endpoint.stop()


@pytest.fixture(scope="module")
def adapters(versions, environment, tmp_path_factory):
    """Adapter mode: es and ca are promoted and served, gl is followed and not there yet."""
    made = {lang: versions.version(lang, seed + 1) for seed, lang in enumerate(LANGS)}
    for lang in ("es", "ca"):
        versions.promote(made[lang])
    home = tmp_path_factory.mktemp("adapters")
    references = [f"{lang}@champion" for lang in LANGS]
    endpoint = Endpoint(home, environment, *references, "--mode", "adapter", "--watch-s", "0")
    endpoint.follow()
    try:
        endpoint.until(lambda: endpoint.serves("es", 1) and endpoint.serves("ca", 1), seconds=300)
        yield endpoint, made
    finally:
        endpoint.stop()


def first_answer_by(clients, revision, since):
    """Seconds from a moment until a client first had an answer of a revision."""
    deadline = time.monotonic() + 240
    while True:
        answers = [one for client in clients for one in client.answers if one.at > since]
        if ours := [one.at for one in answers if one.revision.startswith(revision)]:
            return min(ours) - since
        assert time.monotonic() < deadline, f"nobody was answered by {revision}"
        time.sleep(0.02)


def turns(clients, model):
    """What each client of a model was answered by, in its order; all must have seen the same."""
    seen = {
        tuple(r.rsplit(".", 1)[0] for r in client.revisions) for client in clients if client.model == model
    }
    assert len(seen) == 1, seen
    return list(seen.pop())


def test_adapters_come_change_go_and_roll_back_under_load_without_a_failed_request(
    versions, adapters, capsys
):
    endpoint, made = adapters
    second = versions.version("es", 11)
    with constant_load(endpoint.url, ["es", "ca"], each=3) as clients:
        started = time.monotonic()
        versions.promote(second)
        moved = time.monotonic()
        promoted_s = first_answer_by(clients, "es.v2.", moved)

        versions.promote(made["gl"])
        endpoint.until(lambda: endpoint.serves("gl", 1))
        with constant_load(endpoint.url, ["gl"]) as more:
            registry.rollback(versions.tracking, "es", reason="the test says so")
            rolled_back = time.monotonic()
            back_s = first_answer_by(clients, "es.v1.", rolled_back)
        versions.tracking.client.delete_registered_model_alias("gl", "champion")
        endpoint.until(lambda: endpoint.model("gl").state == "absent" and not endpoint.model("gl").serves)
    answers = sum(len(client.answers) for client in [*clients, *more])
    with capsys.disabled():
        print(
            f"\n{answers} answers in {time.monotonic() - started:.0f} s, {len(clients) + len(more)} clients; "
            f"alias to first answer: promotion {promoted_s:.2f} s, rollback {back_s:.2f} s"
        )
    assert [failure for client in [*clients, *more] for failure in client.failures] == []
    assert turns(clients, "es") == ["es.v1", "es.v2", "es.v1"]
    assert turns(clients, "ca") == ["ca.v1"]
    assert turns(more, "gl") == ["gl.v1"]
    assert promoted_s < 10 and back_s < 10
    texts = {(one.revision, one.text) for client in [*clients, *more] for one in client.answers}
    assert len(texts) == 4, "each revision answers the same, always"
    assert len({text for _, text in texts}) == 4, "and each another thing"


def test_answers_are_those_that_evaluation_recorded(adapters):
    endpoint, _ = adapters
    for lang in ("es", "ca"):
        assert any(check == f"answer {lang}: as evaluated" for check in endpoint.model(lang).checks)


def test_clients_see_registered_names_and_nothing_else(adapters):
    endpoint, _ = adapters
    with OpenAI(base_url=endpoint.url, api_key="none") as client:
        assert [model.id for model in client.models.list()] == ["es", "ca"]
        with pytest.raises(NotFoundError, match="no model 'base' here; there are: es, ca"):
            client.completions.create(model="base", prompt="1", max_tokens=1)
    root = endpoint.url.removesuffix("/v1")
    for path in ("/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/tokenize", "/invocations", "/docs"):
        assert httpx.post(f"{root}{path}", json={"lora_name": "es", "model": "es"}).status_code in (404, 405)


def test_adapter_that_cannot_be_served_is_refused_and_the_endpoint_unchanged(versions, adapters):
    endpoint, _ = adapters
    serves = endpoint.model("ca").serves
    faults = {
        "rank 16 is above the server's 8": versions.version("ca", 31, rank=16),
        "tuned on another base": versions.version("ca", 32, base=versions.base(1)),
    }
    for reason, version in faults.items():
        versions.promote(version)
        endpoint.until(lambda reason=reason: reason in endpoint.model("ca").reason, seconds=60)
        assert (endpoint.model("ca").state, endpoint.model("ca").serves) == ("refused", serves)
        registry.rollback(versions.tracking, "ca", reason="cannot be served")
        endpoint.until(lambda: endpoint.serves("ca", 1), seconds=60)


def test_server_that_crashes_under_load_comes_back_with_its_adapters_and_no_request_is_lost(adapters):
    endpoint, _ = adapters
    with constant_load(endpoint.url, ["es", "ca"]) as clients:
        for client in clients:
            client.stream = False  # half an answer that was seen cannot be taken back
        (server,) = running(endpoint.state)
        wait_for(lambda: all(client.answers for client in clients))
        os.killpg(server.pid, signal.SIGKILL)
        crashed = time.monotonic()
        wait_for(lambda: all(c.answers[-1].asked_at > crashed for c in clients), seconds=200)
    assert [failure for client in clients for failure in client.failures] == []
    (again,) = running(endpoint.state)
    assert again.pid != server.pid
    assert {model: turns(clients, model) for model in ("es", "ca")} == {"es": ["es.v1"], "ca": ["ca.v1"]}


def test_registry_away_and_follower_killed_the_endpoint_serves_on(versions, adapters, mlflow):
    endpoint, _ = adapters
    mlflow.stop()
    with constant_load(endpoint.url, ["es"], each=1) as clients:
        endpoint.until(
            lambda: (
                "MLflow does not answer" in read_status(endpoint.state).registry
                or bool(read_status(endpoint.state).registry)
            ),
            seconds=120,
        )
        assert endpoint.serves("es", 1)
        endpoint.kill_follower()
        count = len(clients[0].answers)
        wait_for(lambda: len(clients[0].answers) > count + 3)
        mlflow.start()
        endpoint.follow()
        third = versions.version("es", 12)
        versions.promote(third)
        wait_for(lambda: clients[0].revisions[-1].startswith("es.v3."), seconds=120)
    assert clients[0].failures == []
    assert [r.rsplit(".", 1)[0] for r in clients[0].revisions] == ["es.v1", "es.v3"]
    assert read_status(endpoint.state).registry == ""


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def test_merged_models_go_from_blue_to_green_and_back_under_load(versions, environment, tmp_path, capsys):
    one, two = versions.version("eu", 21), versions.version("eu", 22)
    versions.promote(one)
    endpoint = Endpoint(tmp_path, environment, "eu@champion", "--mode", "merged", "--watch-s", "600")
    endpoint.follow()
    try:
        endpoint.until(lambda: endpoint.serves("eu", 1), seconds=240)
        with constant_load(endpoint.url, ["eu"], each=4) as clients:
            versions.promote(two)
            moved = time.monotonic()
            green_s = first_answer_by(clients, "eu.v2.", moved)
            registry.rollback(versions.tracking, "eu", reason="the test says so")
            back = time.monotonic()
            back_s = first_answer_by(clients, "eu.v1.", back)
            wait_for(lambda: len(running(endpoint.state)) == 1)
        assert [failure for client in clients for failure in client.failures] == []
        assert turns(clients, "eu") == ["eu.v1", "eu.v2", "eu.v1"]
        with capsys.disabled():
            print(f"\nalias to first answer: green server {green_s:.1f} s, back to blue {back_s:.2f} s")
    finally:
        endpoint.stop()
