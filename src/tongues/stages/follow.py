"""Follow: an endpoint that does what the registry's aliases say, on this machine or inside a pod.

<workspace>/serving/<name>/    follower.json  what the follower must not forget
                               routes.json    what the door goes by
                               status.json    what `tongues serving status` shows
                               fetched/, adapters/, endpoints/, door/
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from tongues.core.errors import ServingError
from tongues.core.manifest import write_atomically
from tongues.core.recipe import Recipe, ServingSection
from tongues.core.recipe_file import load_recipe
from tongues.data.language_id import RestrictedIdentifier
from tongues.platform import storage
from tongues.platform.processes import free_port
from tongues.serving.checks import Limits
from tongues.serving.door_process import FOLDER, DoorAt, Doors, LocalDoor
from tongues.serving.endpoint import Endpoint, running
from tongues.serving.follower import Follower
from tongues.serving.follower_ports import Ports, Settings
from tongues.serving.local_servers import LocalReplicas, MergedServers
from tongues.serving.memory import read_memory
from tongues.serving.replicas import BASE_NAME, Replicas, Servers
from tongues.serving.revision import Prepared, Revision
from tongues.serving.status import STATUS_NAME, Status, read_status
from tongues.serving.vllm_command import AdapterSlots, ServerPlan, dtype_of
from tongues.stages.revisions import Fetched, RegistryAliases
from tongues.stages.serving_mode import Choice, Mode, choose, measured
from tongues.stages.signatures import require_files, voucher
from tongues.stages.workspace import RECIPE_NAME, Output, Workspace

Prepare = Callable[[Revision], Prepared]
SERVING, PORTS_NAME = "serving", "replicas.json"
KEY_VARIABLE = "TONGUES_API_KEY"
"""Environment variable with the key that checks and `tongues chat` send."""


@dataclass(frozen=True)
class Wanted:
    """What endpoint to keep.

    Args:
        references: MODEL@ALIAS, in the order to serve them; each is served under its model's name.
        name: of the endpoint; several may stand in one workspace.
        mode: adapter: one base with all adapters. merged: a server per model. None: as the first
            version's recipe says.
        host: address the door listens on.
        port: of the door.
        api_keys: file with one key per line; None on the loopback only.
        base: folder or URI of the base model, for adapter mode; None: that of the first version.
        replicas: servers of the base on this machine, for adapter mode.
        servers: addresses of servers that somebody else runs, as in a pod; then none is started here.
        doors: addresses of doors that somebody else runs and that go by this endpoint's table; none: one is
            started here.
        max_rank: highest rank of an adapter that may come.
        poll_s: seconds between two looks at the registry.
        limits: what a revision must keep to.
    """

    references: tuple[str, ...]
    name: str = "endpoint"
    mode: Mode | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    api_keys: Path | None = None
    base: str | None = None
    replicas: int = 1
    servers: tuple[str, ...] = ()
    doors: tuple[str, ...] = ()
    max_rank: int = 64
    poll_s: float = 2.0
    limits: Limits = field(default_factory=Limits)


def endpoint_home(workspace: Workspace, name: str) -> Path:
    """Where an endpoint's state stands."""
    return workspace.local / SERVING / name


def follower(workspace: Workspace, wanted: Wanted) -> Follower:
    """A follower, ready to run.

    Raises:
        ServingError: a reference is none, or what is needed to start servers is not known yet.
    """
    check_references(wanted.references)
    home = endpoint_home(workspace, wanted.name)
    home.mkdir(parents=True, exist_ok=True)
    aliases, fetched = RegistryAliases(workspace), Fetched(home, voucher())
    known = _Known(workspace, wanted, home, _first(wanted, aliases, home))
    choice = _mode(known, fetched)
    servers, prepare = (_adapters if choice.adapter else _merged)(known, fetched)
    workspace.say(f"endpoint {wanted.name}: {choice}")
    ports = Ports(aliases.resolve, prepare, fetched.discard, aliases.roll_back, RestrictedIdentifier())
    key = os.environ.get(KEY_VARIABLE, "")
    settings = Settings(choice.mode, choice.why, poll_s=wanted.poll_s, limits=wanted.limits, key=key)
    return Follower(wanted.references, ports, servers, _door(home, wanted), home, settings, workspace.say)


def check_references(references: Sequence[str]) -> None:
    """Refuse what is no MODEL@ALIAS, and two aliases of one model.

    Raises:
        ServingError: the first that is wrong.
    """
    models = [reference.partition("@")[0] for reference in references]
    if wrong := [one for one in references if not all(one.partition("@")[::2])]:
        raise ServingError("not a reference", where=wrong[0], fix="write MODEL@ALIAS, such as gl@champion")
    if twice := sorted({model for model in models if models.count(model) > 1}):
        raise ServingError("followed twice", where=twice[0], fix="follow one alias of each model")


def _door(home: Path, wanted: Wanted) -> DoorAt:
    if wanted.doors:
        return Doors(wanted.doors)
    return LocalDoor(home, host=wanted.host, port=wanted.port, keys=wanted.api_keys)


@dataclass(frozen=True)
class _Known:
    """What the versions that are known at the start say about how to serve them."""

    workspace: Workspace
    wanted: Wanted
    home: Path
    first: Revision | None

    @cached_property
    def recipe(self) -> Recipe | None:
        """That made the first version; None where there is no version yet."""
        if self.first is None:
            return None
        uri = storage.join(self.first.uri, RECIPE_NAME)
        return load_recipe(storage.fetch_file(uri, self.home / RECIPE_NAME))

    @property
    def section(self) -> ServingSection:
        """Of that recipe; the defaults where there is none."""
        return self.recipe.serving if self.recipe else ServingSection()

    def base(self) -> Output:
        """The base model, every file of it as its manifest says."""
        uri = self.wanted.base or (self.first.base_uri if self.first else "")
        if not uri:
            where = ", ".join(self.wanted.references)
            fix = "name the base model's folder with --base, or promote a version first"
            raise ServingError("no alias stands for a version yet: which base?", where=where, fix=fix)
        base = self.workspace.open(uri)
        require_files(base)
        return base

    def plan(self, folder: Path, slots: AdapterSlots | None = None) -> ServerPlan:
        """A server as that recipe wants it."""
        section = self.section
        dtype = dtype_of(section.precision)
        return ServerPlan(folder, BASE_NAME, max_model_len=section.max_model_len, dtype=dtype, slots=slots)


def _first(wanted: Wanted, aliases: RegistryAliases, home: Path) -> Revision | None:
    """A revision to go by: one that was served before, else the first that an alias stands for."""
    for serving in read_memory(home).serving.values():
        return serving.revision
    found = (aliases.resolve(reference) for reference in wanted.references)
    return next((revision for revision in found if revision is not None), None)


def _mode(known: _Known, fetched: Fetched) -> Choice:
    """As asked for, as the first version's recipe says, or as it is measured with that version's adapter."""
    if known.wanted.servers and known.wanted.mode is None:
        return Choice("adapter", "the servers that were named hold adapters")
    if known.first is None and known.wanted.mode is None:
        return Choice("merged", "no alias stands for a version yet, whose recipe would say")
    recipe = known.recipe
    there = recipe is not None and recipe.has_servable_adapter
    return choose(
        known.section.mode, asked=known.wanted.mode, there=there, by_measure=lambda: _measured(known, fetched)
    )


def _measured(known: _Known, fetched: Fetched) -> Choice:
    base, rank = known.base(), known.wanted.max_rank
    if known.first is None:
        raise ServingError("no version to measure with", where=", ".join(known.wanted.references))
    digest = base.manifest.digest()
    made = fetched.adapter(known.first, base=base.folder, base_digest=digest, max_rank=rank)
    plan = replace(known.plan(base.folder), adapter=made.folder)
    timeout_s = known.section.ready_timeout_s
    return measured(known.workspace, plan, base_sha256=digest, ready_timeout_s=timeout_s)


def _adapters(known: _Known, fetched: Fetched) -> tuple[Servers, Prepare]:
    wanted, base = known.wanted, known.base()
    digest, rank = base.manifest.digest(), wanted.max_rank
    prepare = partial(fetched.adapter, base=base.folder, base_digest=digest, max_rank=rank)
    if wanted.servers:
        return Replicas(wanted.servers, fetched.adapters), prepare
    servers = LocalReplicas(
        known.plan(base.folder, AdapterSlots(rank, len(wanted.references) + 1)),
        _ports(known.home, wanted.replicas),
        allowed=fetched.adapters,
        home=known.home,
        ready_timeout_s=known.section.ready_timeout_s,
        say=known.workspace.say,
    )
    return servers, prepare


def _merged(known: _Known, fetched: Fetched) -> tuple[Servers, Prepare]:
    servers = MergedServers(
        known.plan(Path()),
        share=len(known.wanted.references),
        home=known.home,
        ready_timeout_s=known.section.ready_timeout_s,
        say=known.workspace.say,
    )
    return servers, fetched.merged


def _ports(home: Path, count: int) -> list[int]:
    """The ports of the replicas, the same every time, so that a follower finds them again."""
    path = home / PORTS_NAME
    ports: list[int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    while len(ports) < count:
        ports = list(dict.fromkeys([*ports, free_port()]))
    write_atomically(path, json.dumps(ports).encode())
    return ports[:count]


def status(workspace: Workspace, name: str) -> Status:
    """What the follower of an endpoint last said.

    Raises:
        ServingError: none has been here.
    """
    return read_status(endpoint_home(workspace, name))


def followed(workspace: Workspace) -> list[tuple[str, str]]:
    """Address and model of everything that endpoints of this workspace serve and a follower looks after."""
    homes = sorted((workspace.local / SERVING).glob(f"*/{STATUS_NAME}"))
    told = [read_status(home.parent) for home in homes if running(home.parent / FOLDER)]
    return [(one.url, model.model) for one in told for model in one.models if model.serves]


def stop(workspace: Workspace, name: str) -> list[Endpoint]:
    """Stop an endpoint's door and servers; its memory stays, so that following it again builds it again."""
    home = endpoint_home(workspace, name)
    endpoints = [*running(home / FOLDER), *running(home)]
    for endpoint in endpoints:
        endpoint.stop()
    return endpoints
