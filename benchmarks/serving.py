"""Claim: what stands between clients and vLLM costs at most 1 % of its output tokens per second when full.

The peer is plain vLLM: the same server with the same flags, asked at its own port. Ours is asked through the
door, while a follower looks after it. Both get the same requests, all at once, and take turns. `ratio` is our
output tokens per second divided by the peer's, medians, for merged weights: the fastest case, in which a door
costs most. `cases` has the others too: the base beside adapters, one adapter, three adapters mixed.

Without --model-folder the model is the quickstart's base, with three random adapters of rank 16. On a CPU
adapters are about 40 times slower than merged weights, so they get a few requests of a few tokens.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tongues.core.ports import Identified
from tongues.core.recipe_file import load_recipe
from tongues.platform.processes import free_port
from tongues.serving.checks import Limits
from tongues.serving.door_process import FOLDER, LocalDoor
from tongues.serving.endpoint import running
from tongues.serving.follower import Follower
from tongues.serving.follower_ports import Ports, Settings
from tongues.serving.local import serving
from tongues.serving.replicas import BASE_NAME, Replicas
from tongues.serving.revision import Prepared, Revision
from tongues.serving.routes import ROUTES_NAME, Route, RouteTable, read_routes, write_routes
from tongues.serving.vllm_command import AdapterSlots, ServerPlan
from tongues.tuning.base_model import fetch_base

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "quickstart.yaml"
ADAPTERS = ("one", "two", "three")
RANK = 16


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


def measure(case: Case, direct: str, door: str, rounds: int) -> dict[str, object]:
    """Both in turn; the first round of each warms up and does not count."""
    rates: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(rounds + 1):
        for side, (who, url) in enumerate((("plain", direct), ("ours", door))):
            models = [case.models[n % len(case.models)][side] for n in range(case.requests)]
            rates[who].append(asyncio.run(ask_all(url, models, case.tokens)))
    plain, ours = (statistics.median(rates[who][1:]) for who in ("plain", "ours"))
    return {
        "ratio": round(ours / plain, 4),
        "plain_tokens_per_s": [round(rate, 1) for rate in rates["plain"][1:]],
        "ours_tokens_per_s": [round(rate, 1) for rate in rates["ours"][1:]],
        "n": case.requests,
        "output_tokens": case.tokens,
    }


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


@contextmanager
def followed(url: str, home: Path, revisions: list[Revision]) -> Iterator[str]:
    """A door and a follower in front of a server; the address once every revision is served."""
    known = {one.model: one for one in revisions}
    ports = Ports(
        resolve=lambda reference: known[reference.split("@")[0]],
        prepare=lambda one: Prepared(home / "adapters" / one.served_as),
        discard=lambda _: None,
        roll_back=lambda *_: None,
        identify=lambda *_: Identified("und", 0.0),
    )
    door = LocalDoor(home, host="127.0.0.1", port=free_port(), keys=None)
    settings = Settings("adapter", limits=Limits(watch_s=0, smoke_tokens=1))
    references = [f"{model}@champion" for model in known]
    servers = Replicas([url], home / "adapters")
    follower = Follower(references, ports, servers, door, home, settings, lambda _: None)
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,), daemon=True)
    thread.start()
    try:
        while door.state() is None or len(read_routes(home / ROUTES_NAME).routes) < len(known):
            time.sleep(0.2)
        yield door.url
    finally:
        stop.set()
        thread.join()
        close(home)


@contextmanager
def fixed(home: Path, routes: dict[str, str]) -> Iterator[str]:
    """A door with routes that nobody changes: model to server."""
    home.mkdir()
    table = [Route(model=name, served_as=name, upstreams=(url,)) for name, url in routes.items()]
    write_routes(home / ROUTES_NAME, RouteTable(generation=1, routes=tuple(table)))
    door = LocalDoor(home, host="127.0.0.1", port=free_port(), keys=None)
    door.tend()
    try:
        yield door.url
    finally:
        close(home)


def close(home: Path) -> None:
    """Stop the door of a folder."""
    for endpoint in running(home / FOLDER):
        endpoint.stop()


def compare(
    base: Path, folder: Path, *, requests: int, adapter_requests: int, rounds: int
) -> dict[str, object]:
    """All cases, on one server with room for adapters and one with merged weights."""
    home = folder / "followed"
    revisions = make_adapters(base, home / "adapters")
    slots = AdapterSlots(RANK, len(ADAPTERS))
    plans = [
        ServerPlan(base, BASE_NAME, max_model_len=512, slots=slots),
        ServerPlan(base, "merged", max_model_len=512),
    ]
    pairs = tuple((one.served_as, one.model) for one in revisions)
    with ExitStack() as stack:
        lora, merged = (
            e.url.removesuffix("/v1") for e in stack.enter_context(serving(plans, workspace=folder))
        )
        through = stack.enter_context(followed(lora, home, revisions))
        plain = stack.enter_context(fixed(folder / "fixed", {BASE_NAME: lora, "merged": merged}))
        cases = {
            "merged": measure(Case((("merged", "merged"),), requests, 48), merged, plain, rounds),
            "base": measure(Case(((BASE_NAME, BASE_NAME),), requests, 48), lora, plain, rounds),
            "one-adapter": measure(Case(pairs[:1], adapter_requests, 8), lora, through, rounds),
            "three-adapters": measure(Case(pairs, adapter_requests, 8), lora, through, rounds),
        }
    return {"ratio": cases["merged"]["ratio"], "peer": "plain vLLM, same server and flags", "cases": cases}


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer requests, one round")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--model-folder", help="serve this folder instead of the quickstart's base model")
    parser.add_argument("--requests", type=int, default=64, help="requests at once, without adapters")
    parser.add_argument("--adapter-requests", type=int, default=12, help="requests at once, to adapters")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each that count")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(given.model_folder or Path(folder) / "base")
        if not given.model_folder:
            fetch_base(load_recipe(RECIPE).base_model, base)
        few = given.quick
        result = compare(
            base,
            Path(folder),
            requests=given.requests // 2 if few else given.requests,
            adapter_requests=3 if few else given.adapter_requests,
            rounds=1 if few else given.rounds,
        )
        if not given.json:
            for name, case in result["cases"].items():
                print(name, json.dumps(case))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
