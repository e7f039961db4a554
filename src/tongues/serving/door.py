"""The door: the only way in from outside. Five paths, API keys, and each model's name to its revision.

A client asks for ``model="<registered name>"``; the door puts the name of the revision in its place and
passes everything else on as it is. So the answer's ``model`` says which revision gave it, and clients move
to another revision between two requests, never within one. What fails before the client has seen a byte
is tried again, on another server or on the same one when it is back.

Everything else that the servers offer, above all loading and unloading, has no path through here.
"""

import asyncio
import hmac
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tongues.core.errors import ServingError
from tongues.serving.door_metrics import DoorMetrics
from tongues.serving.exchange import ERROR, Exchange, refusal
from tongues.serving.routes import Route, RouteTable, read_routes

COMPLETIONS = ("/v1/chat/completions", "/v1/completions")
_WATCH_S = 0.05
_SUSPECT_S = 1.0
_BODY_BYTES = 32 << 20

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Door:
    """The reverse proxy in front of all servers of an endpoint.

    Args:
        routes: file of the routing table; read again whenever it changes.
        keys: file with one API key per line, read again whenever it changes; None lets everybody in.
        hold_s: how long a request waits for a server that is away before it is refused.
    """

    def __init__(self, routes: Path, keys: Path | None = None, *, hold_s: float = 120.0) -> None:
        self._routes_file, self._keys_file, self.hold_s = routes, keys, hold_s
        self._table, self._keys = read_routes(routes), read_keys(keys)
        self._taken_at, self._changed = time.monotonic(), asyncio.Event()
        self._in_flight: Counter[str] = Counter()
        self._suspects: dict[tuple[str, str], float] = {}
        self.metrics = DoorMetrics(self._table.generation)

    def app(self) -> web.Application:
        """The application to run."""
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/v1/models", self._guarded(self._models))
        for path in COMPLETIONS:
            app.router.add_post(path, self._guarded(self._complete))
        app.cleanup_ctx.append(self._running)
        return app

    async def _running(self, _: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        # vLLM drops idle connections after 5 s; a request must not meet one that is just being dropped.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
        async with aiohttp.ClientSession(
            timeout=timeout, connector=connector, auto_decompress=False
        ) as session:
            self._session = session
            watch = asyncio.create_task(self._watch())
            yield
            watch.cancel()

    async def _watch(self) -> None:
        """Go by the newest table and keys; a file that cannot be read leaves the last good one in force."""
        stamps = None
        while True:
            now = _stamp(self._routes_file), _stamp(self._keys_file)
            if now != stamps:
                stamps = now
                try:
                    self.take(read_routes(self._routes_file), read_keys(self._keys_file))
                except ServingError as error:
                    self.metrics.unreadable(str(error))
            await asyncio.sleep(_WATCH_S)

    def take(self, table: RouteTable, keys: tuple[bytes, ...] | None) -> None:
        """Go by a table from now on."""
        if table != self._table:
            self._taken_at = time.monotonic()
        self._table, self._keys = table, keys
        self.metrics.generation(table.generation)
        self._changed.set()
        self._changed = asyncio.Event()

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if not self._may_enter(request.headers.get("Authorization", "")):
                return refusal(401, "invalid_api_key", "no valid API key; send it as a bearer token")
            return await handler(request)

        return guarded

    def _may_enter(self, header: str) -> bool:
        if self._keys is None:
            return True
        given = header.removeprefix("Bearer ").strip().encode()
        return any(hmac.compare_digest(given, key) for key in self._keys)

    async def _health(self, _: web.Request) -> web.Response:
        away = [route.model for route in self._table.routes if not route.upstreams]
        ready = bool(self._table.routes) and len(away) < len(self._table.routes)
        said = {"ready": ready, "models": len(self._table.routes), "waiting_for_a_server": away}
        return web.json_response(said, status=200 if ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self.metrics.exposition(), headers={"Content-Type": self.metrics.content_type}
        )

    async def _models(self, _: web.Request) -> web.Response:
        cards = [
            {
                "id": route.model,
                "object": "model",
                "created": 0,
                "owned_by": "tongues",
                "root": route.served_as,
            }
            for route in self._table.routes
        ]
        return web.json_response({"object": "list", "data": cards})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = json.loads(await request.read())
            model = asked["model"]
        except (ValueError, KeyError, TypeError):
            return refusal(400, "invalid_request", "the body must be a JSON object with a model")
        started, exchange, status = time.monotonic(), Exchange(self, request, asked, str(model)), 502
        try:
            response = await exchange.answer()
            status = response.status
        finally:  # an answer that broke off counts as one that failed
            self.metrics.answered(exchange.model, exchange.served_as, status, time.monotonic() - started)
        return response

    def route(self, model: str) -> Route | None:
        """Who answers for a model at this moment."""
        return self._table.route(model)

    @property
    def models(self) -> str:
        """The models there are, for a message."""
        return ", ".join(route.model for route in self._table.routes) or "none"

    def pick(self, route: Route, tried: AbstractSet[str]) -> str | None:
        """The least busy server that holds a revision and did not just fail; None where none may be asked."""
        now, name = time.monotonic(), route.served_as
        if now < self._taken_at + route.hold_s:
            return None
        fit = [u for u in route.upstreams if u not in tried and self._suspects.get((u, name), 0.0) <= now]
        return min(fit, key=lambda url: self._in_flight[url], default=None)

    def failed(self, upstream: str, served_as: str, why: str) -> None:
        """Count a failure; one that is not the request's own fault keeps others away for a moment."""
        self.metrics.tried_again(why)
        if why != ERROR:
            self._suspects[upstream, served_as] = time.monotonic() + _SUSPECT_S

    async def news(self, at_most_s: float) -> None:
        """Wait for another table, or for a moment."""
        try:
            await asyncio.wait_for(self._changed.wait(), at_most_s)
        except TimeoutError:
            return

    def count(self, upstream: str, served_as: str, change: int) -> None:
        """Keep account of what is in flight."""
        self._in_flight[upstream] += change
        self.metrics.in_flight(served_as, change)

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Any:
        """A request to a server."""
        return self._session.post(url, data=body, headers=headers, allow_redirects=False)


def _stamp(path: Path | None) -> tuple[int, int] | None:
    """What changes when a file is replaced."""
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ino) if found else None


def read_keys(path: Path | None) -> tuple[bytes, ...] | None:
    """API keys, one per line; None where no file is named.

    Raises:
        ServingError: the file is not there, or holds none: that would lock everybody out or let everybody in.
    """
    if path is None:
        return None
    try:
        keys = tuple(line.strip() for line in path.read_bytes().splitlines() if line.strip())
    except OSError as error:
        raise ServingError(f"API keys cannot be read ({error.strerror})", where=str(path)) from error
    if not keys:
        raise ServingError("no API key in it", where=str(path), fix="write one key per line")
    return keys


def run(make: Callable[[], Door], *, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are answered first."""
    web.run_app(
        make().app(),
        host=host,
        port=port,
        print=None,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=120,
    )
