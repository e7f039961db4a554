"""A rollout by weight: a canary is checked, gets a growing share of the requests, and is watched at each.

start beside what serves ─► smoke ─► 5 % ─► watch ─► 25 % ─► watch ─► 50 % ─► watch ─► all
               └──────────────── whatever fails: away with it, what served before serves on
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tongues.core.errors import ServingError
from tongues.core.ports import Identify
from tongues.core.progress import Say
from tongues.serving.checks import Limits, Watch, smoke
from tongues.serving.revision import Recorded


class TakenBackError(ServingError):
    """The version had clients, and failed them."""


class CanaryPort(Protocol):
    """A revision beside the one that serves; see `tongues.platform.kserve_canary.Canary`."""

    model: str

    def start(self) -> None:
        """Start it without a request of a client; returns when it can answer."""

    def shift(self, percent: int) -> None:
        """Give it a share of the requests; returns when it gets them."""

    def withdraw(self) -> None:
        """Take it away."""


Counted = tuple[int, int]
"""Requests answered, and those of them that failed."""


@dataclass(frozen=True, slots=True)
class Examined:
    """How a canary is examined.

    Args:
        url: where it answers, and nothing else does; without /v1.
        recorded: questions with the answers that evaluation got.
        limits: what it must keep to; `watch_s` is the time at each weight.
        identify: guesses the language of an answer.
        clients: requests of clients that it answered and failed so far; None where nobody counts them.
        key: API key; empty where none is needed.
    """

    url: str
    recorded: Sequence[Recorded]
    limits: Limits
    identify: Identify
    clients: Callable[[], Counted] | None = None
    key: str = ""


def roll_out(
    canary: CanaryPort,
    weights: Sequence[int],
    examined: Examined,
    say: Say,
    *,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Bring a canary to its last weight; promotion is the caller's.

    Args:
        canary: the new revision.
        weights: percent of the requests, growing.
        examined: how it is examined.
        say: takes progress lines.
        wait: what waits between two rounds of questions.
        clock: seconds that only go up.

    Raises:
        TakenBackError: it failed under live checks; what served before serves all requests.
        TonguesError: it did not start, failed before it had clients, or got none; the same holds.
    """
    try:
        canary.start()
        _smoke(canary, examined)
        for percent in weights:
            canary.shift(percent)
            say(f"{canary.model}: {percent} % of the requests go to the new version")
            _watch(canary, percent, examined, wait, clock)
    except BaseException:
        canary.withdraw()
        say(f"{canary.model}: all requests go to what served before")
        raise


def _smoke(canary: CanaryPort, examined: Examined) -> None:
    if not examined.recorded:
        fix = "evaluate the version and register it again, or leave serving.kserve.canary out"
        raise ServingError("evaluation recorded no answers to check it by", where=canary.model, fix=fix)
    findings = smoke(examined.url, canary.model, examined.recorded, examined.limits, examined.key)
    if wrong := [str(one) for one in findings if not one.ok]:
        raise ServingError("; ".join(wrong), where=f"{canary.model} before any client's request")


def _watch(
    canary: CanaryPort,
    percent: int,
    examined: Examined,
    wait: Callable[[float], None],
    clock: Callable[[], float],
) -> None:
    """Ask and count for the whole time, and at least once."""
    limits, started = examined.limits, clock()
    watch = Watch(examined.recorded, limits, examined.identify)
    while True:
        watch.round(examined.url, canary.model, examined.key)
        answered, failed = _of_clients(examined, watch)
        if complaint := watch.complaint(answered=answered, failed=failed):
            raise TakenBackError(complaint, where=f"{canary.model} at {percent} % of the requests")
        if clock() - started >= limits.watch_s:
            return
        wait(limits.every_s)


def _of_clients(examined: Examined, watch: Watch) -> Counted:
    """Clients' requests alone; what counts them counts the questions of the watch too."""
    if examined.clients is None:
        return 0, 0
    answered, failed = examined.clients()
    return max(0, answered - watch.asked), max(0, failed - watch.failed)
