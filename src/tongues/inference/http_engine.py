"""What all engines over HTTP share: endpoints, tries, waits, and what each fault becomes.

408, 409, 425, 429, 5xx     tried again, elsewhere if there is another endpoint, after Retry-After or
                            after an exponential wait with jitter
time-out, broken connection, half a JSON, an HTML page with 200, a wrong shape      the same
a redirect, 401, 403, 404, 405      the endpoint is put out: address, key or model name is wrong for
                            every text; the others go on, and the run stops if there is none
any other 4xx               failed texts: the endpoint refuses these
endpoint down               requests wait for it without using up their tries; see `endpoint`
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tongues.core.errors import TonguesError
from tongues.core.progress import Say, say_on_stderr
from tongues.core.recipe import GoogleEngine, LibreTranslateEngine, OpenAIEngine, PriceSection
from tongues.inference.connections import Connections
from tongues.inference.endpoint import Endpoint, Heard, Kind, Lease, key_of
from tongues.inference.endpoints import Endpoints
from tongues.inference.engine import Outcome, Unit, failed
from tongues.inference.http_reply import OK_STATUS, Reply, fault_of, kind_of, read_reply, retry_after_s
from tongues.inference.pressure import Opening

if TYPE_CHECKING:
    import httpx

HttpSection = OpenAIEngine | GoogleEngine | LibreTranslateEngine
Read = Callable[[str, str], list[Outcome]]
"""From the body and the media type of a 200 answer to outcomes."""

_NO_ANSWER = frozenset({"error-page", "broken-json", "wrong-shape"})
_MAX_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class _Request:
    path: str
    body: dict[str, Any]
    read: Read
    count: int


@dataclass(frozen=True, slots=True)
class _Tried:
    outcomes: list[Outcome]
    heard: Heard


class HttpEngine:
    """Sends requests and tries again; each engine adds what it says and how it reads the answer.

    Args:
        section: the recipe's settings.
        first_wait_s: mean wait before the second try; doubles with each further one, up to 60 s.
        say: takes a line when an endpoint is put out, is down, or answers again.

    Raises:
        EngineUnavailableError: an environment variable named for a key is not set.
    """

    name: str
    unit: Unit = "segment"
    max_characters: int | None = None
    opening = Opening(first=4, unproven=4)

    def __init__(self, section: HttpSection, *, first_wait_s: float = 0.5, say: Say = say_on_stderr) -> None:
        self._network, self._first_wait_s = section, first_wait_s
        self._endpoints = Endpoints(
            [
                Endpoint(each, key_of(each), self.opening, section.timeout_s, 2 * first_wait_s)
                for each in section.endpoints
            ],
            where=self.name,
            say=say,
        )
        self._connections = Connections(section.timeout_s)

    @property
    def concurrency(self) -> int:
        """Calls of `answer` that may run at the same time: what all endpoints bear at most."""
        return sum(endpoint.max_in_flight for endpoint in self._network.endpoints)

    @property
    def price(self) -> PriceSection:
        """What it costs, as the recipe says."""
        return self._network.price

    @property
    def requests_sent(self) -> int:
        """Requests made so far, repeated tries included."""
        return self._endpoints.requests

    @property
    def requests_at_most(self) -> int:
        """Requests that one `exchange` may take: all its tries, and one for each endpoint put out."""
        return self._network.retries + len(self._network.endpoints)

    async def aclose(self) -> None:
        """Close the connections."""
        self._endpoints.close()
        await self._connections.aclose()

    def sign(self, key: str, headers: dict[str, str], body: dict[str, Any]) -> None:
        """Put an endpoint's key where its service looks for it."""
        headers["Authorization"] = f"Bearer {key}"

    def status_of(self, reply: Reply) -> int:
        """The status that a reply would have if its service used those of HTTP as they are meant."""
        return reply.status

    async def exchange(self, path: str, body: dict[str, Any], read: Read, count: int = 1) -> list[Outcome]:
        """Send one request until it is answered or its tries are used up.

        Args:
            path: appended to the endpoint's address.
            body: sent as JSON.
            read: turns a 200 answer into outcomes; where all are "error-page", "broken-json" or
                "wrong-shape", it was no answer, and the request is tried again.
            count: outcomes that a failure stands for.

        Returns:
            What `read` gave, or `count` failures.

        Raises:
            EngineError: no endpoint is left that can be used.
            BudgetError: no endpoint is left that may be asked.
        """
        request, number, last = _Request(path, body, read, count), 0, None
        while True:
            lease = await self._endpoints.take(avoid=last)
            tried = await self._try(lease, request)
            if tried.heard.kind == "answer":
                return tried.outcomes
            last = lease.endpoint
            if tried.heard.kind == "unusable":  # no fault of the request: it costs no try
                continue
            if number == self._network.retries:
                return tried.outcomes
            await self._wait(number)
            number += 1

    async def _wait(self, number: int) -> None:
        wait_s = min(self._first_wait_s * 2**number, _MAX_WAIT_S)
        # A wide range of jitter, so that requests that failed together do not return together.
        await asyncio.sleep(random.uniform(0.5, 1.5) * wait_s)  # noqa: S311 (no secret)

    async def _try(self, lease: Lease, request: _Request) -> _Tried:
        heard = None
        try:
            tried = await self._send(lease.endpoint, request)
            heard = tried.heard
            return tried
        finally:
            self._endpoints.give_back(lease, heard)

    async def _send(self, endpoint: Endpoint, request: _Request) -> _Tried:
        import httpx

        client = self._connections.take(endpoint.url)
        try:
            async with asyncio.timeout(self._network.timeout_s):
                reply = await self._post(client, endpoint, request)
        except (TimeoutError, httpx.RequestError, httpx.InvalidURL, UnicodeDecodeError) as error:
            return _in_vain(endpoint, request, *fault_of(error))
        finally:
            self._connections.give_back(endpoint.url, client)
        status = self.status_of(reply)
        if status == OK_STATUS:
            return _read(request, reply)
        kind = kind_of(status)
        reason = "refused-by-endpoint" if kind == "answer" else f"http-{status}"
        wait_s = retry_after_s(reply.headers.get("retry-after"))
        return _in_vain(endpoint, request, reason, reply.said, kind, wait_s)

    async def _post(self, client: "httpx.AsyncClient", endpoint: Endpoint, request: _Request) -> Reply:
        headers, body = {"Content-Type": "application/json"}, dict(request.body)
        if endpoint.key:
            self.sign(endpoint.key, headers, body)
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        url = endpoint.url + request.path
        async with client.stream("POST", url, content=content, headers=headers) as response:
            return await read_reply(response)


async def together(asked: Sequence[tuple[int, Awaitable[list[Outcome]]]]) -> list[Outcome]:
    """Wait for several exchanges; what was answered is kept although others found no endpoint any more.

    Args:
        asked: each with the number of outcomes that are wanted of it.

    Raises:
        EngineError, BudgetError: none was answered.
    """
    done = await asyncio.gather(*(call for _, call in asked), return_exceptions=True)
    errors = [each for each in done if isinstance(each, BaseException)]
    if len(errors) == len(done) or any(not isinstance(error, TonguesError) for error in errors):
        raise errors[0]
    outcomes = list[Outcome]()
    for (count, _), each in zip(asked, done, strict=True):
        outcomes += [failed("no-endpoint", str(each))] * count if isinstance(each, BaseException) else each
    return outcomes


def _read(request: _Request, reply: Reply) -> _Tried:
    outcomes = request.read(reply.body, reply.content_type)
    first = outcomes[0]
    if all(outcome.reason in _NO_ANSWER for outcome in outcomes):
        return _Tried(outcomes, Heard("failure", f"{first.reason}: {first.detail}"))
    return _Tried(outcomes, Heard("answer"))


def _in_vain(
    endpoint: Endpoint, request: _Request, reason: str, detail: str, kind: Kind, wait_s: float = 0.0
) -> _Tried:
    told = detail.replace(endpoint.key, "***") if endpoint.key else detail
    heard = Heard(kind, f"{reason}: {told}"[:300], wait_s)
    return _Tried([failed(reason, told)] * request.count, heard)
