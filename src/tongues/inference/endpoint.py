"""One endpoint as its client sees it: what it may get now, and what it said last.

room        what its limit leaves free; none while it asked to wait, while its quota is used up, or
            while it is down
down        five failures in a row and no answer between them; then one request tries it, after a wait
            that doubles each time; an answer puts it back to work
out         its key, address or model is wrong: it is not asked again
spent       its `max_requests` are used up
"""

import os
from dataclasses import dataclass
from typing import Literal

from tongues.core.errors import EngineUnavailableError
from tongues.core.recipe import EndpointSection
from tongues.inference.pressure import Opening, Pressure

GIVEN_UP_AFTER_PROBES = 6
_DOWN_AFTER_FAILURES = 5
_MAX_RETRY_AFTER_S = 600.0
_MAX_WAIT_S = 60.0
_QUOTA_S = 60.0
_CREDIT_S = 1.0

Kind = Literal["answer", "busy", "overloaded", "failure", "unusable"]


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one request, as far as its endpoint is concerned.

    Args:
        kind: "answer", also one that refuses a text; "busy" (429); "overloaded" (503); "failure"; or
            "unusable" where no request can ever succeed.
        detail: what was said.
        retry_after_s: how long the endpoint asked to be left alone.
    """

    kind: Kind
    detail: str = ""
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Lease:
    """Leave to send one request.

    Args:
        endpoint: to whom.
        sent: when it was given.
        probe: the endpoint is down, and this request tries it.
    """

    endpoint: "Endpoint"
    sent: float
    probe: bool


class Endpoint:
    """The state of one endpoint; all times are seconds on one monotonic clock.

    Args:
        section: the recipe's settings.
        key: the API key, or "".
        opening: see `tongues.inference.pressure.Opening`.
        timeout_s: longest wait for one answer.
        first_wait_s: wait before a down endpoint is tried for the first time.
    """

    def __init__(
        self, section: EndpointSection, key: str, opening: Opening, timeout_s: float, first_wait_s: float
    ) -> None:
        self.url, self.key, self._section = section.base_url.rstrip("/"), key, section
        self.pressure = Pressure(section.max_in_flight, opening, timeout_s / 4)
        self.in_flight = self.requests = self.probes = 0
        self.out, self.said = False, "nothing yet"
        self._quiet_until = self._next_by_quota = self._probe_at = 0.0
        self._full_at = float("-inf")
        self._first_wait_s = first_wait_s
        self._failures = self._refused_alone = 0
        self.down = self._probing = False

    @property
    def spent(self) -> bool:
        """Whether its budget of requests is used up."""
        most = self._section.max_requests
        return most is not None and self.requests >= most

    @property
    def usable(self) -> bool:
        """Whether it may be asked at all, now or later."""
        return not (self.out or self.spent)

    def given_up(self, now: float) -> bool:
        """Whether it is down and has been tried in vain for long enough."""
        return self.down and self.probes >= GIVEN_UP_AFTER_PROBES and now < self._probe_at

    def room(self, now: float) -> int:
        """How many more requests it may get at this moment."""
        if not self.usable or now < max(self._quiet_until, self._next_by_quota):
            return 0
        if self.down:
            return int(not self._probing and now >= self._probe_at)
        return max(self.pressure.limit - self.in_flight, 0)

    def opens_at(self, now: float) -> float | None:
        """When it may have room although none of its requests ends; None if that cannot happen."""
        if not self.usable or (self.down and self._probing):
            return None
        waits = [self._quiet_until, self._next_by_quota, self._probe_at if self.down else 0.0]
        if max(waits) > now:
            return max(waits)
        return self.pressure.silence_ends()

    def widen(self, now: float) -> None:
        """Take silence into account; call it when there are requests and no endpoint has room."""
        if self.in_flight >= self.pressure.limit:
            self.pressure.widen_in_silence(now)

    def begin(self, now: float) -> Lease:
        """Give leave to send one request; every lease ends in `end`."""
        if every := self._section.requests_per_minute:
            # A credit of one second makes up for late timers, and is part of the minute it belongs to.
            step = (_QUOTA_S + _CREDIT_S) / every
            self._next_by_quota = max(self._next_by_quota, now - _CREDIT_S if self.requests else now) + step
        self.in_flight += 1
        self.requests += 1
        self._probing = self._probing or self.down
        if self.in_flight >= self.pressure.limit:
            self._full_at = now
        self.pressure.began(now)
        return Lease(self, now, probe=self.down)

    def end(self, lease: Lease, heard: Heard | None, now: float) -> None:
        """Take a lease back; `heard` is None if the request was given up on our side."""
        self.in_flight -= 1
        if lease.probe:
            self._probing = False
        if heard is None:
            return
        self.said = heard.detail or self.said
        self._quiet_until = max(self._quiet_until, now + self._wait_s(heard))
        if heard.kind == "answer":
            self._refused_alone = 0
            self.pressure.answered(now, now - lease.sent, full=self._full_at >= lease.sent)
        elif heard.kind in {"busy", "overloaded"}:
            self.pressure.refused(now, lease.sent, self.in_flight)
        elif heard.kind == "failure":
            self.pressure.failed(now, lease.sent)
        else:
            self.out = True
        self._note_life(lease, heard.kind, now)

    def _wait_s(self, heard: Heard) -> float:
        if heard.kind != "busy" or heard.retry_after_s or self.in_flight:
            return min(heard.retry_after_s, _MAX_RETRY_AFTER_S)
        self._refused_alone += 1
        return min(self._first_wait_s * 2.0 ** (self._refused_alone - 1), _MAX_WAIT_S)

    def _note_life(self, lease: Lease, kind: Kind, now: float) -> None:
        if kind in {"answer", "busy"}:
            self._failures = self.probes = 0
            self.down = False
            return
        self._failures += 1
        if self.down and lease.probe:
            self.probes += 1
        elif self.down or self._failures < _DOWN_AFTER_FAILURES:
            return
        self.down = True
        self._probe_at = now + min(self._first_wait_s * 2**self.probes, _MAX_WAIT_S)


def key_of(section: EndpointSection) -> str:
    """The key from the environment variable that an endpoint names; "" where it names none.

    Raises:
        EngineUnavailableError: the variable is not set, is empty, or cannot stand in a request.
    """
    if section.api_key_env is None:
        return ""
    key = os.environ.get(section.api_key_env, "").strip()
    where = f"{section.base_url}: api_key_env"
    if not key:
        raise EngineUnavailableError(
            f"environment variable {section.api_key_env} is not set",
            where=where,
            fix=f"export {section.api_key_env}=... (in a cluster: from a Secret)",
        )
    if not (key.isascii() and key.isprintable()):
        raise EngineUnavailableError(
            f"what environment variable {section.api_key_env} holds is no key: it has line ends or letters "
            "beyond ASCII",
            where=where,
            fix="copy the key anew",
        )
    return key
