"""The follower: keeps an endpoint as the registry's aliases want it.

    look at the aliases ─► see what the servers hold ─► plan ─► act ─► routes, status, metrics ─► again

What takes long is done beside the loop, so a slow object store or a registry that is away holds nothing
up: the endpoint serves on, and whatever else can be done is done. The loop may end at any moment; the next
one reads the memory, looks at the servers and goes on.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tongues.core.errors import TonguesError
from tongues.core.progress import Say
from tongues.serving import reconcile
from tongues.serving.aliases import POLL, Aliases
from tongues.serving.checks import Finding, smoke
from tongues.serving.door_metrics import DoorState
from tongues.serving.door_process import DoorAt
from tongues.serving.follower_metrics import FollowerMetrics
from tongues.serving.follower_ports import Ports, Settings
from tongues.serving.jobs import Finished, Jobs
from tongues.serving.memory import Memory, Serving, read_memory, write_memory
from tongues.serving.reconcile import Action, Observed, Routed, plan
from tongues.serving.replicas import Holdings, Servers
from tongues.serving.revision import Revision, model_of
from tongues.serving.routes import Route
from tongues.serving.routing import Routing
from tongues.serving.setbacks import Setbacks
from tongues.serving.status import Status, write_status
from tongues.serving.telling import models_told
from tongues.serving.watching import Watching

_TELL_S = 1.0
"""A status that says the same is written again after so long, to show that the follower lives."""
_DOOR_S = 0.1
"""How soon to look again at a door that does not yet go by the newest table: twice its own interval."""


class Follower:
    """One endpoint and the references it follows.

    Args:
        references: MODEL@ALIAS, in the order to serve them.
        ports: what other rooms do for it.
        servers: what it reconciles.
        door: what clients come through.
        home: folder for memory, routes and status.
        settings: how it works.
        say: takes lines for the user.
    """

    def __init__(
        self,
        references: Sequence[str],
        ports: Ports,
        servers: Servers,
        door: DoorAt,
        home: Path,
        settings: Settings,
        say: Say,
    ) -> None:
        self._ports, self._servers, self._door, self._home = ports, servers, door, home
        self._settings, self._say, self.metrics = settings, say, FollowerMetrics()
        self._jobs, self._setbacks = Jobs(), Setbacks(settings.retry_s)
        self._memory, self._routing = read_memory(home), Routing(home, say, several=door.several)
        self._ready = dict(self._memory.prepared)
        known = {model: one.revision for model, one in self._memory.serving.items()}
        self._aliases = Aliases(references, ports.resolve, known)
        self._watching = Watching(door, settings.limits, ports.identify, settings.key)
        self._checked, self._findings = set[str](), dict[str, list[Finding]]()
        self._switch_s, self._trouble = dict[str, float](), ""
        self._told: Status | None = None
        self._behind = False

    def run(self, stop: threading.Event) -> None:
        """Go on until somebody says stop; the endpoint serves on afterwards."""
        while not stop.is_set():
            self.step()
            self._jobs.woken.wait(_DOOR_S if self._behind else self._settings.poll_s)
            self._jobs.woken.clear()

    def step(self) -> None:
        """Look once, and do whatever can be done now."""
        for ended in self._jobs.finished():
            self._take(ended)
        self._aliases.poll(self._jobs, self._settings.poll_s)
        self._tend()
        holdings, door = self._servers.holdings(), self._door.state()
        for action in plan(self._aliases.wanted, self._observed(holdings, door)):
            self._do(action, holdings, door)
        self._watch(door)
        self._publish(holdings, door)
        self._behind = door is not None and not self._routing.in_force(door)
        self._tidy(holdings)
        self._tell(holdings)

    def _tend(self) -> None:
        try:
            self._servers.tend()
            self._door.tend()
            self._trouble = ""
        except TonguesError as error:
            self._trouble = str(error)

    def _observed(self, holdings: Holdings, door: DoorState | None) -> Observed:
        loaded = {place: frozenset(names) for place, names in holdings.items()}
        running = self._jobs.running()
        return Observed(
            loaded=loaded,
            routed={model: self._routed(one, door) for model, one in self._memory.serving.items()},
            ready=frozenset(self._ready),
            checked=frozenset(self._checked),
            held_back=frozenset(self._memory.taken_back) | {name for (name,) in self._setbacks.waiting(1)},
            failing=frozenset((place, name) for place, name in self._setbacks.waiting(2)),
            busy=frozenset(key[1] for key in running if key[0] in ("prepare", "load", "check", "unload")),
            in_use=self._in_use(loaded, door),
        )

    def _routed(self, serving: Serving, door: DoorState | None) -> Routed:
        verdict = self._watching.verdict(serving, door) if serving.fallback else None
        return Routed(serving.revision, serving.fallback, verdict)

    def _in_use(self, loaded: dict[str, frozenset[str]], door: DoorState | None) -> frozenset[str]:
        """Names with requests in flight; all where the door does not say, or goes by an older table."""
        if door is None or not self._routing.in_force(door):
            return frozenset(name for names in loaded.values() for name in names)
        return frozenset(name for name, count in door.in_flight.items() if count)

    # What is done

    def _do(self, action: Action, holdings: Holdings, door: DoorState | None) -> None:
        match action:
            case reconcile.Prepare(revision):
                self._begin(
                    ("prepare", revision.served_as), lambda: (revision, self._ports.prepare(revision))
                )
            case reconcile.Load(place, revision):
                folder = self._ready[revision.served_as].folder
                key = ("load", revision.served_as, place)
                self._begin(key, lambda: self._servers.load(place, revision, folder))
            case reconcile.Check(revision):
                self._begin(("check", revision.served_as), lambda: self._checks(revision, holdings))
            case reconcile.Unload(place, name):
                self._begin(("unload", name, place), lambda: self._servers.unload(place, name))
            case reconcile.Switch(revision):
                self._switch(revision)
            case reconcile.Settle(revision):
                self._remember(self._memory.settled(revision), f"{revision.served_as}: proved itself")
                self._watching.forget(revision.served_as)
            case reconcile.Revert(revision, fallback):
                self._revert(revision, fallback, door)
            case reconcile.Withdraw(revision):
                self._remember(self._memory.withdrawn(revision.model), f"{revision.model}: withdrawn")

    def _begin(self, key: tuple[str, ...], work: Callable[[], Any]) -> None:
        self._say(f"{' '.join(key)}")
        self._jobs.start(key, work)

    def _checks(self, revision: Revision, holdings: Holdings) -> list[Finding]:
        name = revision.served_as
        recorded, limits = self._ready[name].recorded, self._settings.limits
        urls = [names[name] for names in holdings.values() if name in names]
        return [finding for url in urls for finding in smoke(url, name, recorded, limits)]

    def _switch(self, revision: Revision) -> None:
        name = revision.served_as
        watched = self._settings.limits.watch_s > 0
        self._switch_s[name] = round(self._aliases.since_seen(revision), 3)
        self.metrics.switched(self._switch_s[name])
        took = f"{self._switch_s[name]:.1f} s after the alias moved"
        said = f"{revision.model}: clients get version {revision.version}, {took}"
        self._remember(self._memory.switched(revision, self._ready[name], watched=watched), said)

    def _revert(self, revision: Revision, fallback: Revision, door: DoorState | None) -> None:
        reason = self._watching.complaint(self._memory.serving[revision.model], door)
        said = f"{revision.served_as}: taken back ({reason}); clients get version {fallback.version} again"
        self._remember(self._memory.reverted(revision, fallback, reason), said)
        self._watching.forget(revision.served_as)
        self.metrics.acted("revert", ok=True)

    def _remember(self, memory: Memory, said: str = "") -> None:
        """Write first, then go by it."""
        if memory is not self._memory:
            write_memory(self._home, memory)
            self._memory = memory
        if said:
            self._say(said)

    def _watch(self, door: DoorState | None) -> None:
        for serving in self._memory.serving.values():
            if serving.fallback is not None:
                recorded = self._ready[serving.revision.served_as].recorded
                self._watching.step(serving, recorded, door, self._jobs)
        waiting = self._setbacks.waiting(3)
        for revision in self._aliases.wanted.values():
            name, reason = revision.served_as, self._memory.taken_back.get(revision.served_as, "")
            if reason and ("alias", name, "back") not in waiting:
                key = ("alias", name, "back")
                self._jobs.start(key, lambda r=revision, why=reason: self._ports.roll_back(r, why))  # type: ignore[misc]

    # What came of it

    def _take(self, ended: Finished) -> None:
        if ended.key == POLL:
            self._heard(ended)
            return
        verb, name = ended.key[:2]
        if verb == "watch":
            return
        self.metrics.acted(verb, ok=not ended.error)
        place = ended.key[2:]
        if ended.error:
            self._say(f"{' '.join(ended.key)}: {ended.error}")
            self._setbacks.note(ended.error, *self._setback_key(verb, name, place))
            return
        if verb == "check":
            self._judge(name, ended.value)
            return
        if verb == "alias":  # where it stays all the same, it is asked for again, but not at once
            self._setbacks.note("", *ended.key)
            return
        self._setbacks.clear(*self._setback_key(verb, name, place))
        if verb == "prepare":
            self._ready[name] = ended.value[1]

    @staticmethod
    def _setback_key(verb: str, name: str, place: tuple[str, ...]) -> tuple[str, ...]:
        return (verb, name, *place) if verb == "alias" else (*place, name)

    def _heard(self, ended: Finished) -> None:
        before = self._aliases.error
        self._aliases.take(ended.value)
        error = self._aliases.error
        self.metrics.polled(ok=not error)
        if bool(error) != bool(before):
            self._say(f"registry: {error}; serving on" if error else "registry: answers again")
        self._remember(self._memory.forgiven(self._aliases.heard))

    def _judge(self, name: str, findings: list[Finding]) -> None:
        self._findings[name] = findings
        for one in findings:
            self.metrics.checked(model_of(name), one.lang, one.check, ok=one.ok)
        if wrong := [str(one) for one in findings if not one.ok]:
            self._say(f"check {name}: {'; '.join(wrong)}")
            self._setbacks.note("; ".join(wrong), name)
        else:
            self._setbacks.clear(name)
            self._checked.add(name)

    def _tidy(self, holdings: Holdings) -> None:
        """Forget revisions that nobody wants and no place holds; a place that is away may still hold one."""
        if len(holdings) < len(self._servers.places):
            return
        held = {name for names in holdings.values() for name in names}
        wanted = {one.served_as for one in self._aliases.wanted.values()}
        busy = {part for key in self._jobs.running() for part in key}
        for name in self._ready.keys() - held - wanted - self._memory.prepared.keys() - busy:
            self._ports.discard(self._ready.pop(name))
            self._checked.discard(name)
            self._findings.pop(name, None)
            self._aliases.forget(name)

    # What is told

    def _publish(self, holdings: Holdings, door: DoorState | None) -> None:
        order = [model for model in self._aliases.references if model in self._memory.serving]
        routes = []
        for model in order:
            name = self._memory.serving[model].revision.served_as
            urls = tuple(names[name] for names in holdings.values() if name in names)
            routes.append(Route(model=model, served_as=name, upstreams=urls))
        self._routing.publish(routes, door)

    def _tell(self, holdings: Holdings) -> None:
        places: dict[str, tuple[str, ...] | None] = dict.fromkeys(self._servers.places)
        places |= {place: tuple(sorted(names)) for place, names in holdings.items()}
        models = models_told(
            self._aliases,
            self._memory,
            self._setbacks,
            holdings,
            self._findings,
            self._switch_s,
            door_is_behind=self._behind,
        )
        self.metrics.show(models, places)
        status = Status(
            url=f"{self._door.url}/v1",
            mode=self._settings.mode,
            mode_by=self._settings.mode_by,
            pid=os.getpid(),
            at=time.time(),
            poll_s=self._settings.poll_s,
            registry=self._aliases.error,
            places=places,
            models=models,
            trouble=(self._trouble,) if self._trouble else (),
        )
        before = self._told
        if before is None or status.news(before) or status.at - before.at > _TELL_S:
            write_status(self._home, status)
            self._told = status
