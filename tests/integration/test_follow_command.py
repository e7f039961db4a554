"""`tongues serving` as a pod runs it: a door and a follower beside servers that somebody else started."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("mlflow", reason="MLflow is not installed: install tongues[registry]")

import httpx
from runtime_vllm import RuntimeVllm

from tests.handmade_versions import HandMade
from tongues.core.errors import ServingError
from tongues.core.recipe import RegistrySection
from tongues.platform.processes import free_port
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.serving.status import read_status
from tongues.stages.workspace import Workspace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
CLI = [sys.executable, "-c", "from tongues.cli.main import main; main()"]


class Pod:
    """A workspace with registered versions, one server, and the two programs beside it."""

    def __init__(self, folder):
        self.place = Workspace(str(folder / "work"), say=lambda _: None)
        (folder / "made").mkdir()
        self.made = HandMade(self.place, folder / "made")
        self.tracking = Tracking(RegistrySection(model="es"), self.place.local)
        self.server, self.port = RuntimeVllm(), free_port()
        self.server.start()
        self.keys = folder / "keys"
        self.keys.write_text("sesame\n")
        self.log = (folder / "log").open("ab")
        self.home = self.place.local / "serving" / "endpoint"
        self.children = []

    def register(self, seed, **more):
        tuned = self.made.tuned(seed, **more)
        tags = {name.removeprefix("tongues."): value for name, value in self.made.tags(tuned).items()}
        return registry.register(
            self.tracking, model="es", uri=f"{tuned.uri}/merged", sha256=f"{seed:064x}", run_id="", tags=tags
        )

    def start(self, *arguments):
        line = [*CLI, "serving", *arguments]
        env = os.environ | {"TONGUES_API_KEY": "sesame"}
        child = subprocess.Popen(line, env=env, stdout=self.log, stderr=self.log)
        self.children.append(child)
        return child

    def said(self, *arguments):
        line = [*CLI, "serving", *arguments, "--workspace", self.place.uri]
        return subprocess.run(line, capture_output=True, text=True, timeout=150)

    def until(self, state, version=0):
        deadline = time.monotonic() + 90
        while True:
            try:
                (found,) = read_status(self.home).models
                if found.state == state and (not version or f".v{version}." in found.serves):
                    return found
            except ServingError as error:  # none yet
                found = error
            assert all(child.poll() is None for child in self.children), self.home
            assert time.monotonic() < deadline, f"{found}\n{(self.home.parents[2] / 'log').read_text()}"
            time.sleep(0.1)

    def ask(self, key="sesame"):
        body = {"model": "es", "messages": [{"role": "user", "content": "Hello?"}]}
        headers = {"Authorization": f"Bearer {key}"}
        url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        return httpx.post(url, json=body, headers=headers, timeout=60)

    def close(self):
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            child.wait(30)
        self.server.stop()
        self.log.close()


@pytest.fixture
def pod(tmp_path):
    opened = Pod(tmp_path)
    try:
        yield opened
    finally:
        opened.close()


def test_pod_serves_what_the_alias_says_and_refuses_what_it_must(pod):
    versions = pod.register(1), pod.register(2), pod.register(3, r=512)
    pod.tracking.models.set_alias("es", "champion", versions[0].version)
    routes = ["--routes", str(pod.home / "routes.json"), "--port", str(pod.port), "--api-keys", str(pod.keys)]
    pod.start("door", *routes)
    follow = ["follow", "es@champion", "--mode", "adapter", "--server", pod.server.url, "--poll-s", "0.2"]
    follow += ["--door", f"http://127.0.0.1:{pod.port}", "--base", pod.made.base().uri, "--watch-s", "0"]
    follower = pod.start(*follow, "--workspace", pod.place.uri)
    found = pod.until("serving", 1)
    assert "answer es: as evaluated" in found.checks
    assert pod.ask().json()["model"] == found.serves
    assert pod.ask(key="wrong").status_code == 401

    pod.tracking.models.set_alias("es", "champion", versions[1].version)
    assert pod.ask().status_code == 200
    second = pod.until("serving", 2)
    assert pod.ask().json()["model"] == second.serves

    pod.tracking.models.set_alias("es", "champion", versions[2].version)
    refused = pod.until("refused")
    assert refused.serves == second.serves
    assert "rank 512 is above the server's 64" in refused.reason
    told = json.loads(pod.said("status", "--json").stdout)
    assert (told["models"][0]["state"], told["stale_s"]) == ("refused", 0.0)
    assert (told["mode"], told["mode_by"]) == ("adapter", "as asked for")
    assert pod.server.url in pod.said("status").stdout

    follower.send_signal(signal.SIGKILL)
    follower.wait()
    assert pod.ask().json()["model"] == second.serves


def test_status_where_no_follower_has_been_says_how_to_start_one(tmp_path):
    line = [*CLI, "serving", "status", "--json", "--workspace", str(tmp_path)]
    reply = subprocess.run(line, capture_output=True, text=True, timeout=150)
    assert reply.returncode == 1
    assert "tongues serving follow MODEL@champion" in json.loads(reply.stdout)["error"]["fix"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["follow", "es"], "write MODEL@ALIAS"),
        (["follow", "es@champion", "es@candidate"], "follow one alias of each model"),
        (["follow", "a/b@champion", "--mode", "adapter"], "not a name that a server may load"),
        (["follow", "es@champion", "--mode", "adapter"], "which base?"),
        (["door", "--routes", "r", "--host", "0.0.0.0"], "needs API keys"),
    ],
)
def test_command_that_cannot_work_is_refused_at_once(tmp_path, arguments, said):
    line = [*CLI, "serving", *arguments]
    line += ["--workspace", str(tmp_path / "work")] if arguments[0] == "follow" else []
    reply = subprocess.run(line, capture_output=True, text=True, timeout=150)
    assert reply.returncode == 1
    assert said in reply.stderr
    assert reply.stderr.count("\n") == 1
