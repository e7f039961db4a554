"""Claim: what stands between clients and vLLM costs at most 1 % of its output tokens per second when full.

The peer is plain vLLM: the same server with the same flags, asked at its own port, while no follower runs
and the door is idle. Ours is asked through the door, while a follower in a process of its own looks after
server and door. Both get the same requests, all at once; they take turns, and who begins changes from round
to round. `ratio` is the median over the rounds of our output tokens per second divided by the peer's, for
merged weights: the fastest case, in which a door costs most. `interval` holds 95 % of what the rounds give
when they are drawn again. `cpu_share` is the processor time of door and follower over that of all cores in
our turns: what they took, whatever the noise. `cases` has the others too: the base beside adapters (by a
door alone), one adapter, three adapters mixed.

Without --model-folder the model is the quickstart's base, with three random adapters of rank 16. On a CPU
adapters are about 40 times slower than merged weights, so they get a few requests of a few tokens.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Protocol

import aiohttp
import psutil

from tongues.core.errors import ServingError
from tongues.core.ports import Identified
from tongues.core.recipe_file import load_recipe
from tongues.platform.processes import free_port
from tongues.serving.checks import Limits
from tongues.serving.door_process import FOLDER, DoorAt, LocalDoor
from tongues.serving.endpoint import running
from tongues.serving.follower import Follower
from tongues.serving.follower_ports import Ports, Settings
from tongues.serving.local import serving
from tongues.serving.replicas import BASE_NAME, Replicas
from tongues.serving.revision import Prepared, Revision
from tongues.serving.routes import ROUTES_NAME, Route, RouteTable, write_routes
from tongues.serving.status import read_status
from tongues.serving.vllm_command import AdapterSlots, ServerPlan
from tongues.tuning.base_model import fetch_base

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "quickstart.yaml"
ADAPTERS = ("one", "two", "three")
RANK = 16
CASES = ("merged", "base", "one-adapter", "three-adapters")


@dataclass(frozen=True)
class Case:
    """One kind of traffic.

    Args:
        models: names that requests ask for in turn: at the server, and at the door.
        requests: all sent at once.
        tokens: output tokens of each.
    """

    models: tuple[tuple[str, str], ...]
    requests: int
    tokens: int


async def ask_all(url: str, models: list[str], tokens: int) -> float:
    """Output tokens per second of requests that are all sent at once."""
    salt = uuid.uuid4().hex

    async def one(session: aiohttp.ClientSession, number: int, model: str) -> int:
        body = {
            "model": model,
            "prompt": f"{number}: " + "Tell me something about the sea and the people who live by it. " * 4,
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "cache_salt": salt,
        }
        async with session.post(f"{url}/v1/completions", json=body) as reply:
            return int((await reply.json())["usage"]["completion_tokens"])

    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        started = time.monotonic()
        counts = await asyncio.gather(*(one(session, n, model) for n, model in enumerate(models)))
        return sum(counts) / (time.monotonic() - started)


def measure(case: Case, direct: str, ours: "Ours", rounds: int) -> dict[str, object]:
    """Both in turn, each first as often as the other; the first round of each warms up and does not count."""
    rates: dict[str, list[float]] = {"plain": [], "ours": []}
    shares: list[float] = []
    for number in range(rounds + 1):
        for who in ("plain", "ours") if number % 2 else ("ours", "plain"):
            models = [case.models[n % len(case.models)][who == "ours"] for n in range(case.requests)]
            if who == "plain":
                rates[who].append(asyncio.run(ask_all(direct, models, case.tokens)))
                continue
            with ours.awake() as processes:
                before, started = cpu_s(processes), time.monotonic()
                rates[who].append(asyncio.run(ask_all(ours.url, models, case.tokens)))
                cores = len(os.sched_getaffinity(0))
                shares.append((cpu_s(processes) - before) / (time.monotonic() - started) / cores)
    ratios = [one / other for one, other in zip(rates["ours"][1:], rates["plain"][1:], strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 4),
        "interval": interval(ratios),
        "cpu_share": round(statistics.median(shares[1:]), 5),
        "plain_tokens_per_s": [round(rate, 1) for rate in rates["plain"][1:]],
        "ours_tokens_per_s": [round(rate, 1) for rate in rates["ours"][1:]],
        "n": case.requests,
        "rounds": rounds,
        "output_tokens": case.tokens,
    }


def interval(ratios: list[float], draws: int = 4_000) -> tuple[float, float]:
    """The middle 95 % of the medians of rounds drawn with replacement."""
    source = random.Random(0)
    medians = sorted(statistics.median(source.choices(ratios, k=len(ratios))) for _ in range(draws))
    return round(medians[draws // 40], 4), round(medians[-draws // 40 - 1], 4)


def cpu_s(processes: list[psutil.Process]) -> float:
    """Processor time that processes have taken."""
    return sum(one.cpu_times().user + one.cpu_times().system for one in processes)


def make_adapters(base: Path, folder: Path) -> list[Revision]:
    """Random adapters of all linear layers, under the names that a server gets."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    revisions = [Revision(name, 1, f"{n:064x}", "") for n, name in enumerate(ADAPTERS, 1)]
    for seed, revision in enumerate(revisions):
        torch.manual_seed(seed)
        config = LoraConfig(r=RANK, target_modules="all-linear", init_lora_weights=False)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        model.save_pretrained(folder / revision.served_as)
    return revisions


class Ours(Protocol):
    """What stands between: a door, and perhaps a follower."""

    url: str

    def awake(self) -> AbstractContextManager[list[psutil.Process]]:
        """Have it work for the length of a block; its processes."""


def follow(url: str, home: Path, revisions: list[Revision], door_url: str, stop: Event) -> None:
    """Be the follower of a server, in a process of its own."""
    known = {one.model: one for one in revisions}
    ports = Ports(
        resolve=lambda reference: known[reference.split("@")[0]],
        prepare=lambda one: Prepared(home / "adapters" / one.served_as),
        discard=lambda _: None,
        roll_back=lambda *_: None,
        identify=lambda *_: Identified("und", 0.0),
    )
    settings = Settings("adapter", limits=Limits(watch_s=0, smoke_tokens=1))
    references = [f"{model}@champion" for model in known]
    servers = Replicas([url], home / "adapters")
    Follower(references, ports, servers, DoorAt(door_url), home, settings, lambda _: None).run(stop)  # type: ignore[arg-type]


class Followed:
    """A door with a follower that loads revisions, and works only while it is measured.

    Args:
        server: its address, without /v1.
        home: folder of the endpoint.
        revisions: what is to be served.
    """

    def __init__(self, server: str, home: Path, revisions: list[Revision]) -> None:
        home.mkdir(exist_ok=True)
        door = LocalDoor(home, host="127.0.0.1", port=free_port(), keys=None)
        door.tend()
        self.url, self._door, self._home = door.url, door, home
        self._server, self._revisions = server, revisions

    @contextmanager
    def awake(self) -> Iterator[list[psutil.Process]]:
        """Follow until the end of the block; every revision is served when it begins."""
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        told = (self._server, self._home, self._revisions, self.url, stop)
        process = context.Process(target=follow, args=told, daemon=True)
        process.start()
        try:
            while not self._serves(process.pid):
                if not process.is_alive():
                    raise RuntimeError("the follower has ended")
                time.sleep(0.1)
            yield [*door_processes(self._home), psutil.Process(process.pid)]
        finally:
            stop.set()
            process.join()

    def _serves(self, pid: int | None) -> bool:
        """Whether this very follower, and none before it, says that all is served: its start is over then."""
        try:
            told = read_status(self._home)
        except ServingError:
            return False
        return told.pid == pid and all(one.state == "serving" for one in told.models)


class Fixed:
    """A door with routes that nobody changes: model to server."""

    def __init__(self, home: Path, routes: dict[str, str]) -> None:
        home.mkdir()
        table = [Route(model=name, served_as=name, upstreams=(url,)) for name, url in routes.items()]
        write_routes(home / ROUTES_NAME, RouteTable(generation=1, routes=tuple(table)))
        door = LocalDoor(home, host="127.0.0.1", port=free_port(), keys=None)
        door.tend()
        self.url, self._home = door.url, home

    @contextmanager
    def awake(self) -> Iterator[list[psutil.Process]]:
        """A door alone always is."""
        yield door_processes(self._home)


def door_processes(home: Path) -> list[psutil.Process]:
    """The processes of a folder's door."""
    return [psutil.Process(endpoint.pid) for endpoint in running(home / FOLDER)]


def close(home: Path) -> None:
    """Stop the door of a folder."""
    for endpoint in running(home / FOLDER):
        endpoint.stop()


def compare(
    base: Path, folder: Path, *, names: list[str], requests: int, adapter_requests: int, rounds: int
) -> dict[str, object]:
    """The cases, on one server with room for adapters and one with merged weights, one at a time."""
    merged, cases = Revision("merged", 1, f"{9:064x}", ""), dict[str, dict[str, object]]()
    if "merged" in names:
        plan = ServerPlan(base, merged.served_as, max_model_len=512)
        with served(plan, folder) as url, closing(folder / "merged") as home:
            ours = Followed(url, home, [merged])
            case = Case(((merged.served_as, merged.model),), requests, 48)
            cases["merged"] = measure(case, url, ours, rounds)
    if others := [name for name in names if name != "merged"]:
        cases |= adapters(base, folder, others, requests, adapter_requests, rounds)
    first = next(iter(cases.values()))
    found = {name: first[name] for name in ("ratio", "interval", "cpu_share")}
    return found | {"peer": "plain vLLM, same server and flags", "cases": cases}


def adapters(
    base: Path, folder: Path, names: list[str], requests: int, adapter_requests: int, rounds: int
) -> dict[str, dict[str, object]]:
    """The cases of the server with room for adapters."""
    plan = ServerPlan(base, BASE_NAME, max_model_len=512, slots=AdapterSlots(RANK, len(ADAPTERS)))
    found = {}
    with served(plan, folder) as url, closing(folder / "one") as home, closing(folder / "two") as second:
        revisions = make_adapters(base, home / "adapters")
        pairs = tuple((one.served_as, one.model) for one in revisions)
        for name in names:
            if name == "base":
                case, ours = Case(((BASE_NAME, BASE_NAME),), requests, 48), Fixed(second, {BASE_NAME: url})
                found[name] = measure(case, url, ours, rounds)
                continue
            models = pairs[:1] if name == "one-adapter" else pairs
            followed = Followed(url, home, revisions)
            with followed.awake():  # plain vLLM has them only once they were loaded
                pass
            found[name] = measure(Case(models, adapter_requests, 8), url, followed, rounds)
    return found


@contextmanager
def served(plan: ServerPlan, folder: Path) -> Iterator[str]:
    """A server for the length of a block; its address, without /v1."""
    with serving([plan], workspace=folder) as (endpoint,):
        yield endpoint.url.removesuffix("/v1")


@contextmanager
def closing(home: Path) -> Iterator[Path]:
    """A folder whose door is stopped at the end."""
    try:
        yield home
    finally:
        close(home)


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer requests, two rounds")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--model-folder", help="serve this folder instead of the quickstart's base model")
    parser.add_argument("--requests", type=int, default=64, help="requests at once, without adapters")
    parser.add_argument("--adapter-requests", type=int, default=12, help="requests at once, to adapters")
    parser.add_argument("--rounds", type=int, default=8, help="turns of each that count; best even")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="which to measure")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(given.model_folder or Path(folder) / "base")
        if not given.model_folder:
            fetch_base(load_recipe(RECIPE).base_model, base)
        few = given.quick
        result = compare(
            base,
            Path(folder),
            names=[name for name in CASES if name in given.cases],
            requests=given.requests // 2 if few else given.requests,
            adapter_requests=3 if few else given.adapter_requests,
            rounds=2 if few else given.rounds,
        )
        if not given.json:
            for name, case in result["cases"].items():
                print(name, json.dumps(case))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
