"""The rendered MLflow pod, run as processes: its init container, its server, and the check of `helm test`."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from chart_objects import PodView, from_value_set

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("flask_wtf") is None, reason="MLflow's auth app needs Flask-WTF"),
]
PASSWORD = "correct horse battery"
SECRETS = {"admin-password": PASSWORD, "flask-secret-key": "k" * 32}
START_S = 110.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pod(owner: str) -> PodView:
    return next(view for view in from_value_set("default").pods() if view.owner == owner)


def environment(box: dict[str, Any], root: Path) -> dict[str, str]:
    """The container's environment, with Secrets filled in and its volumes below a folder."""
    values = {
        entry["name"]: entry.get("value") or SECRETS[entry["valueFrom"]["secretKeyRef"]["key"]]
        for entry in box["env"]
    }
    moved = {
        name: value.replace("/data", f"{root}/data").replace("/auth/", f"{root}/auth/")
        for name, value in values.items()
    }
    # The server starts its workers by the name `python`.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "PATH": path, **moved, "HOME": str(root)}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a running server that the rendered Deployment describes."""
    root = tmp_path_factory.mktemp("pod")
    for volume in ("data", "auth"):
        (root / volume).mkdir()
    older_database(f"sqlite:///{root}/data/mlflow.db")
    spec = pod("Deployment/tongues-mlflow").spec
    for init in spec["initContainers"]:
        env = environment(init, root)
        subprocess.run([as_kubelet(word, env) for word in init["command"]], env=env, check=True)
    server = spec["containers"][0]
    number = free_port()
    arguments = [argument.replace("5000", str(number)) for argument in server["args"]]
    command = [sys.executable, "-m", *server["command"], *arguments]
    with (root / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment(server, root), cwd=root, stdout=log, stderr=log)
    try:
        wait_until_healthy(process, number, root / "log")
        yield number
    finally:
        process.terminate()
        process.wait(timeout=30)


def as_kubelet(word: str, env: dict[str, str]) -> str:
    """A word of a command with $(NAME) filled in."""
    return re.sub(r"\$\((\w+)\)", lambda name: env[name[1]], word)


def older_database(uri: str) -> None:
    """Make a database as the MLflow before the last change of its schema made it."""
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    Base.metadata.create_all(create_engine(uri))
    config = _get_alembic_config(uri)
    versions = ScriptDirectory.from_config(config)
    newest = versions.get_revision(versions.get_current_head() or "")
    command.upgrade(config, str(newest.down_revision))


def wait_until_healthy(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.5)
    pytest.fail(log.read_text())


def helm_test(port: int, **changes: str) -> "subprocess.CompletedProcess[str]":
    box = pod("Pod/tongues-mlflow-test").spec["containers"][0]
    known = {entry["name"]: entry.get("value", PASSWORD) for entry in box["env"]}
    env = {**known, "MLFLOW_HOST": "127.0.0.1", "MLFLOW_PORT": str(port), **changes}
    return subprocess.run(
        [sys.executable, *box["command"][1:]], env=env, capture_output=True, text=True, check=False
    )


def test_helm_test_running_server_passes(port: int) -> None:
    done = helm_test(port)
    assert (done.returncode, done.stderr) == (0, "")
    assert "search without a password: 401" in done.stdout


def test_helm_test_wrong_password_fails(port: int) -> None:
    done = helm_test(port, ADMIN_PASSWORD="something else")
    assert done.returncode == 1
    assert "search as administrator answered 401" in done.stderr


@pytest.mark.parametrize(
    ("host", "status"),
    [("tongues-mlflow:5000", 401), ("tongues-mlflow.tongues.svc", 401), ("evil.example", 403)],
)
def test_server_host_names_of_the_service_only(port: int, host: str, status: int) -> None:
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": host})
    assert connection.getresponse().status == status
