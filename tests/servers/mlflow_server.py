"""A real MLflow server over HTTP on the loopback, that can be stopped and started again on its port."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import httpx

from tongues.platform.processes import free_port, start_group, stop_group


@dataclass
class MlflowServer:
    """The server and its database, which outlives it.

    Args:
        home: folder for database, artifacts and log.
        port: TCP port.
    """

    home: Path
    port: int = field(default_factory=free_port)
    child: "Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Its tracking URI."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it is healthy."""
        line = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        line += ["--backend-store-uri", f"sqlite:///{self.home}/mlflow.db", "--workers", "1"]
        line += ["--artifacts-destination", (self.home / "artifacts").as_uri()]
        env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
        self.child = start_group(line, env=env, log=self.home / "log.txt")
        deadline = time.monotonic() + 90
        while not self._healthy():
            assert self.child.poll() is None, (self.home / "log.txt").read_text()[-2000:]
            assert time.monotonic() < deadline, "MLflow did not start"
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self.child is not None:
            stop_group(self.child.pid)
            self.child = None

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def running_mlflow(home: Path) -> Iterator[MlflowServer]:
    """A server for the length of a block."""
    server = MlflowServer(home)
    server.start()
    try:
        yield server
    finally:
        server.stop()
