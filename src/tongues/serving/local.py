"""vLLM on this machine: start it, wait until it answers, stop it.

Merged weights are the default on a CPU, because vLLM's LoRA path there is many times slower.
Several servers start side by side and share the cores between them.
"""

import atexit
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from tongues.core.errors import ServingError
from tongues.core.progress import Say, say_on_stderr
from tongues.platform.processes import free_port, start_group
from tongues.serving.endpoint import STATE, Endpoint, remember, running
from tongues.serving.vllm_command import HOST, ServerPlan, check, command, environment

__all__ = ["Endpoint", "ServerPlan", "running", "serving", "start", "wait_for"]

_POLL_S = 0.25
_SPEAK_S = 5.0


def start(
    plans: Sequence[ServerPlan],
    *,
    workspace: Path,
    ready_timeout_s: float = 300,
    detach: bool = False,
    share: int | None = None,
    say: Say = say_on_stderr,
) -> list[Endpoint]:
    """Start servers at once and wait until each has answered a completion.

    Args:
        plans: what to serve; more than one start side by side and share the cores.
        workspace: folder for logs and for the state by which `running` finds them.
        ready_timeout_s: longest wait, in seconds, for all of them.
        detach: leave them running when this process ends.
        share: servers that share the cores, where others run beside these; their own number if absent.
        say: takes progress lines.

    Raises:
        ServingError: one cannot start or did not answer in time; none is left running.
    """
    ready = [_with_port(plan) for plan in plans]
    check(ready)
    if not detach:
        _unwind_on_sigterm()
    started = time.monotonic()
    endpoints: list[Endpoint] = []
    try:
        for plan in ready:
            endpoints.append(_launch(plan, workspace, servers=share or len(plans), detach=detach))
        for endpoint in endpoints:
            wait_for(endpoint, ready_timeout_s, say, started=started)
    except BaseException:
        for endpoint in endpoints:
            endpoint.stop()
        raise
    return endpoints


@contextmanager
def serving(
    plans: Sequence[ServerPlan], *, workspace: Path, ready_timeout_s: float = 300, say: Say = say_on_stderr
) -> Iterator[list[Endpoint]]:
    """Servers for the length of a block; stopped however the block ends. See `start`."""
    endpoints = start(plans, workspace=workspace, ready_timeout_s=ready_timeout_s, say=say)
    try:
        yield endpoints
    finally:
        for endpoint in endpoints:
            endpoint.stop()


def _unwind_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does; by default it would leave servers behind."""
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _with_port(plan: ServerPlan) -> ServerPlan:
    return replace(plan, port=plan.port or free_port())


def _launch(plan: ServerPlan, workspace: Path, *, servers: int, detach: bool) -> Endpoint:
    home = (workspace / STATE).resolve()
    log = home / f"{plan.port}.log"
    child = start_group(
        command(plan), env=environment(servers, runtime_adapters=plan.slots is not None), log=log
    )
    endpoint = Endpoint(
        url=f"http://{HOST}:{plan.port}/v1",
        name=plan.name,
        pid=child.pid,
        port=plan.port,
        folder=str(plan.folder),
        log=str(log),
        state=str(home / f"{plan.port}.json"),
    )
    remember(endpoint)
    if not detach:
        atexit.register(endpoint.stop)
    return endpoint


def wait_for(
    endpoint: Endpoint, limit_s: float, say: Say = say_on_stderr, *, started: float | None = None
) -> None:
    """Wait until a server has answered a completion, whoever started it.

    Args:
        endpoint: the server.
        limit_s: longest wait, in seconds.
        say: takes progress lines.
        started: reading of the monotonic clock from which the wait counts; now if absent.

    Raises:
        ServingError: it stopped, or did not answer in time.
    """
    spoken = time.monotonic()
    started = spoken if started is None else started
    while not _answers(endpoint):
        now = time.monotonic()
        if not endpoint.alive:
            raise _death(endpoint)
        if now - started > limit_s:
            raise ServingError(
                f"did not answer within {limit_s:g} s; last lines of its log: {endpoint.last_words()}",
                where=endpoint.log,
                fix="raise serving.ready_timeout_s, or free memory and cores on this machine",
            )
        if now - spoken >= _SPEAK_S:
            spoken = now
            say(f"serve {endpoint.name}: starting, {now - started:.0f} s (at most {limit_s:g} s)")
        time.sleep(_POLL_S)
    say(f"serve {endpoint.name}: ready at {endpoint.url} after {time.monotonic() - started:.0f} s")


def _answers(endpoint: Endpoint) -> bool:
    """Whether the server is healthy and the model behind it completes a prompt."""
    root = endpoint.url.removesuffix("/v1")
    prompt = {"model": endpoint.name, "prompt": "1", "max_tokens": 1, "temperature": 0}
    try:
        if httpx.get(f"{root}/health", timeout=2).status_code != httpx.codes.OK:
            return False
        reply = httpx.post(f"{endpoint.url}/completions", json=prompt, timeout=120)
    except httpx.HTTPError:
        return False
    return reply.status_code == httpx.codes.OK


def _death(endpoint: Endpoint) -> ServingError:
    log = endpoint.log_text()
    fix = next((fix for sign, fix in _SIGNS.items() if sign in log), _FIX_UNKNOWN)
    said = _complaint(log, [sign for sign in _SIGNS if sign in log]) or endpoint.last_words()
    return ServingError(f"the server stopped while starting: {said}", where=endpoint.log, fix=fix)


_SIGNS = {
    "ddress already in use": "take another port; 0 takes a free one",
    "Available memory on node": "free memory, or lower kv_cache_mib",
    "to serve at least one request": "raise kv_cache_mib, or lower serving.max_model_len",
    "greater than the derived max_model_len": "lower serving.max_model_len",
    "MemoryError": "free memory: close other programs, or serve one model instead of two",
    "are not supported for now": "take a base model of an architecture that vLLM serves",
}
"""What stands in vLLM's log when it gives up, and what helps."""

_FIX_UNKNOWN = "read the log; if its end says nothing, the system may have killed the server for memory"


def _complaint(log: str, signs: Sequence[str]) -> str:
    """The line of the log that says why: one with a known sign, else the last that names an error."""
    lines = [line.strip() for line in log.splitlines()]
    telling = [line for line in lines if any(sign in line for sign in signs)]
    telling = telling or [line for line in lines if re.search(r"\w*(Error|Exception|error)\b.?[:,] ", line)]
    return telling[-1][:300] if telling else ""
