"""Servers of an endpoint on this machine. They outlive the follower, and the next one finds them again.

Adapter mode: replicas of the base, each on a port of its own, started again where they crash.
Merged mode: each revision is a server; the next one starts and answers beside the one that serves.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import httpx

from tongues.core.errors import ServingError
from tongues.core.progress import Say, say_on_stderr
from tongues.serving.endpoint import Endpoint, running
from tongues.serving.http_client import http
from tongues.serving.local import start, wait_for
from tongues.serving.replicas import BASE_NAME, Holdings, Replicas
from tongues.serving.revision import Revision
from tongues.serving.vllm_command import HOST, ServerPlan

HERE = "here"


class LocalReplicas(Replicas):
    """Replicas of one base on this machine.

    Args:
        plan: what each serves; its port is not used.
        ports: one per replica.
        allowed: the only folder that adapters are loaded from.
        home: folder for state and logs.
        ready_timeout_s: longest start.
        say: takes progress lines.
    """

    def __init__(
        self,
        plan: ServerPlan,
        ports: Sequence[int],
        *,
        allowed: Path,
        home: Path,
        ready_timeout_s: float,
        say: Say = say_on_stderr,
    ) -> None:
        super().__init__([f"http://{HOST}:{port}" for port in ports], allowed)
        self._plans = [replace(plan, name=BASE_NAME, port=port) for port in ports]
        self._home, self._ready_timeout_s, self._say = home, ready_timeout_s, say
        self._starting = dict[int, threading.Thread]()

    def tend(self) -> None:
        """Start every replica that does not run; it counts once it answers."""
        alive = {endpoint.port for endpoint in running(self._home)}
        for plan in self._plans:
            starting = self._starting.get(plan.port)
            if plan.port not in alive and (starting is None or not starting.is_alive()):
                thread = threading.Thread(target=self._start, args=(plan,), daemon=True)
                self._starting[plan.port] = thread
                thread.start()

    def _start(self, plan: ServerPlan) -> None:
        try:
            self._say(f"replica {plan.port}: starting")
            start(
                [plan],
                workspace=self._home,
                ready_timeout_s=self._ready_timeout_s,
                detach=True,
                say=self._say,
                share=len(self._plans),
            )
        except ServingError as error:
            self._say(f"replica {plan.port}: {error}")


class MergedServers:
    """One server per revision on this machine, blue beside green.

    Args:
        plan: what servers have in common; folder, name and port come with each revision.
        share: servers that share the cores when all models are served.
        home: folder for state and logs.
        ready_timeout_s: longest start.
        say: takes progress lines.
    """

    def __init__(
        self, plan: ServerPlan, *, share: int, home: Path, ready_timeout_s: float, say: Say = say_on_stderr
    ) -> None:
        self._plan, self._share, self._home = plan, share, home
        self._ready_timeout_s, self._say = ready_timeout_s, say
        self._ready = set[str]()
        self._starts = threading.Lock()

    @property
    def places(self) -> Sequence[str]:
        """One: this machine."""
        return (HERE,)

    def tend(self) -> None:
        """Nothing: a server that crashed is no longer held, so its revision is loaded again."""

    def holdings(self) -> Holdings:
        """The servers that have answered, also those of an earlier follower; not those that still start."""
        live = self._live()
        self._ready &= live.keys()
        self._ready |= {name for name in live.keys() - self._ready if _listens(live[name])}
        return {HERE: {name: _root(live[name]) for name in sorted(self._ready)}}

    def load(self, place: str, revision: Revision, folder: Path) -> None:
        """Start the revision's server and wait until it answers."""
        name = revision.served_as
        plan = replace(self._plan, folder=folder, name=name, port=0)
        with self._starts:  # two that start at once would find the same memory free
            if (running_already := self._live().get(name)) is not None:
                wait_for(running_already, self._ready_timeout_s, self._say)
                return
            start(
                [plan],
                workspace=self._home,
                ready_timeout_s=self._ready_timeout_s,
                detach=True,
                share=self._share,
                say=self._say,
            )

    def unload(self, place: str, name: str) -> None:
        """Stop the revision's server."""
        self._ready.discard(name)
        for endpoint in running(self._home):
            if endpoint.name == name:
                endpoint.stop()

    def _live(self) -> Mapping[str, Endpoint]:
        return {endpoint.name: endpoint for endpoint in running(self._home)}


def _listens(endpoint: Endpoint) -> bool:
    try:
        return http().get(f"{endpoint.url}/models", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _root(endpoint: Endpoint) -> str:
    return endpoint.url.removesuffix("/v1")
