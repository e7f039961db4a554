"""One request on its way through the door: to a server, to another one if that fails, and back."""

import json
import time
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

import aiohttp
from aiohttp import web

from tongues.serving.routes import Route

ERROR = "500"
_MOST_ERRORS, _PAUSE_S = 3, 0.1
_GONE = (404, 502, 503)
"""What a server says that restarts, or has not loaded the revision again yet."""
_PASSED_ON = ("Content-Type", "X-Request-Id")


class Way(Protocol):
    """What an exchange asks of the door."""

    hold_s: float

    @property
    def models(self) -> str:
        """The models there are, for a message."""

    def route(self, model: str) -> Route | None:
        """Who answers for a model at this moment."""

    def pick(self, route: Route, tried: AbstractSet[str]) -> str | None:
        """A server to try; None where there is none now."""

    def failed(self, upstream: str, served_as: str, why: str) -> None:
        """Take note of an attempt that failed."""

    async def news(self, at_most_s: float) -> None:
        """Wait for another table, or for a moment."""

    def count(self, upstream: str, served_as: str, change: int) -> None:
        """Keep account of what is in flight."""

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Any:
        """A request to a server."""


def refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """An error as OpenAI clients read it."""
    said = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return web.json_response(said, status=status, headers=headers)


class _TryAgainError(Exception):
    """Nothing has reached the client yet, so another server may answer."""


class Exchange:
    """One request on its way to an answer."""

    def __init__(self, door: Way, request: web.Request, asked: dict[str, Any], model: str) -> None:
        self.door, self.request, self.asked = door, request, asked
        self.name, self.served_as, self.model = model, "", ""
        self.errors, self.tried, self.begun = 0, set[str](), False

    async def answer(self) -> web.StreamResponse:
        """Try until somebody answers, or time is up."""
        deadline = time.monotonic() + self.door.hold_s
        while (route := self.door.route(self.name)) is not None:
            self.model, self.served_as = route.model, route.served_as
            if (upstream := self.door.pick(route, self.tried)) is not None:
                try:
                    return await self._counted(upstream, route.served_as)
                except _TryAgainError as again:
                    self.tried.add(upstream)
                    self.door.failed(upstream, route.served_as, str(again))
            elif time.monotonic() > deadline:
                said = f"no server for {self.name!r} within {self.door.hold_s:g} s"
                return refusal(503, "unavailable", said, {"Retry-After": "5"})
            else:
                self.tried.clear()
                await self.door.news(_PAUSE_S * 3**self.errors)
        return refusal(404, "model_not_found", f"no model {self.name!r} here; there are: {self.door.models}")

    async def _counted(self, upstream: str, served_as: str) -> web.StreamResponse:
        self.door.count(upstream, served_as, 1)
        try:
            return await self._tried(upstream, served_as)
        finally:
            self.door.count(upstream, served_as, -1)

    async def _tried(self, upstream: str, served_as: str) -> web.StreamResponse:
        body = json.dumps(self.asked | {"model": served_as}).encode()
        headers = {name: self.request.headers[name] for name in _PASSED_ON if name in self.request.headers}
        try:
            async with self.door.post(f"{upstream}{self.request.path}", body, headers) as reply:
                self._worth_having(reply.status)
                return await self._passed_on(reply)
        except aiohttp.ClientError as error:
            if self.begun:
                self._break_off()
                raise ConnectionResetError("broke off in the middle of an answer") from error
            raise _TryAgainError("connection") from error

    def _worth_having(self, status: int) -> None:
        """A server that is not itself; a 500 may also be the fault of the request, so not for ever."""
        if status in _GONE:
            raise _TryAgainError(str(status))
        if status == 500 and self.errors < _MOST_ERRORS:
            self.errors += 1
            raise _TryAgainError(ERROR)

    async def _passed_on(self, reply: aiohttp.ClientResponse) -> web.StreamResponse:
        kept = {name: reply.headers[name] for name in _PASSED_ON if name in reply.headers}
        if not reply.headers.get("Content-Type", "").startswith("text/event-stream"):
            return web.Response(status=reply.status, body=await reply.read(), headers=kept)
        first = await reply.content.readany()
        self.begun = True
        response = web.StreamResponse(status=reply.status, headers=kept | {"Cache-Control": "no-cache"})
        await response.prepare(self.request)
        await response.write(first)
        async for chunk in reply.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response

    def _break_off(self) -> None:
        """The client has half an answer: it must see that the end is missing, so no proper end is sent."""
        if self.request.transport is not None:
            self.request.transport.close()
