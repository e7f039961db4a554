"""The door as a process of its own, so that clients are served on while no follower runs."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from tongues.core.errors import ServingError
from tongues.platform.processes import port_is_free, start_group
from tongues.serving.door_metrics import DoorState, read_state, together
from tongues.serving.endpoint import STATE, Endpoint, remember, running
from tongues.serving.http_client import http
from tongues.serving.routes import ROUTES_NAME

FOLDER, _NAME, _PROGRAM = "door", "door", "serving door"
_EVERYWHERE, _LOOPBACK = ("0.0.0.0", "::"), ("127.0.0.1", "localhost", "::1")  # noqa: S104 - compared
_START_S = 30.0
_POLL_S = 0.05


def check_guarded(host: str, *, guarded: bool) -> None:
    """Refuse to let everybody in by accident.

    Raises:
        ServingError: others than this machine reach the address, and nobody keeps watch.
    """
    if not guarded and host not in _LOOPBACK:
        raise ServingError("a door that others reach needs API keys", where=host, fix="give --api-keys FILE")


class DoorAt:
    """A door that somebody else keeps running, as in a pod.

    Args:
        url: its address, without /v1.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    @property
    def several(self) -> bool:
        """Whether there are others beside it."""
        return False

    def tend(self) -> None:
        """Nothing: Kubernetes restarts it."""

    def state(self) -> DoorState | None:
        """What it says of itself; None where it does not answer."""
        try:
            return read_state(http().get(f"{self.url}/metrics", timeout=2).raise_for_status().text)
        except (httpx.HTTPError, ValueError):
            return None


class Doors(DoorAt):
    """Several doors in front of the same servers, which go by the same table.

    Args:
        urls: their addresses, without /v1; checks go through the first.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(urls[0])
        self._doors = [DoorAt(url) for url in urls]

    @property
    def several(self) -> bool:
        """Whether they have to agree before a model moves."""
        return len(self._doors) > 1

    def state(self) -> DoorState | None:
        """What those say that answer: the oldest table, and all requests together."""
        told = [state for door in self._doors if (state := door.state()) is not None]
        return together(told) if told else None


class LocalDoor(DoorAt):
    """A door on this machine, started where none runs; it outlives the follower.

    Args:
        home: the endpoint's folder, with the routing table.
        host: address to listen on.
        port: TCP port.
        keys: file with API keys; None lets everybody in, which only the loopback may.
    """

    def __init__(self, home: Path, *, host: str, port: int, keys: Path | None) -> None:
        super().__init__(f"http://{_LOOPBACK[0] if host in _EVERYWHERE else host}:{port}")
        self._home, self._host, self._port, self._keys = home, host, port, keys
        check_guarded(host, guarded=keys is not None)

    def tend(self) -> None:
        """Start the door unless it runs.

        Raises:
            ServingError: the port is taken, or the door does not answer.
        """
        if running(self._home / FOLDER):
            return
        if not port_is_free(self._port, self._host):
            fix = "stop it, or take another one with --port"
            raise ServingError(
                "the port is taken by another program", where=f"{self._host}:{self._port}", fix=fix
            )
        self._wait(self._launch())

    def _launch(self) -> Endpoint:
        home = (self._home / FOLDER / STATE).resolve()
        line = [sys.executable, "-c", "from tongues.cli.main import main; main()", *_PROGRAM.split()]
        line += ["--routes", str(self._home / ROUTES_NAME), "--host", self._host, "--port", str(self._port)]
        line += ["--api-keys", str(self._keys)] if self._keys else []
        log = home / f"{self._port}.log"
        child = start_group(line, env=os.environ, log=log)
        state = str(home / f"{self._port}.json")
        url = f"{self.url}/v1"
        endpoint = Endpoint(url, _NAME, child.pid, self._port, str(self._home), str(log), state, _PROGRAM)
        remember(endpoint)
        return endpoint

    def _wait(self, endpoint: Endpoint) -> None:
        deadline = time.monotonic() + _START_S
        while self.state() is None:
            if not endpoint.alive or time.monotonic() > deadline:
                words = endpoint.last_words()
                endpoint.stop()
                raise ServingError(f"the door did not open: {words}", where=endpoint.log)
            time.sleep(_POLL_S)
