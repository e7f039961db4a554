"""Connections to endpoints, one client for each.

A pool that many requests share looks through all its connections at the begin and the end of each
request. With httpx 0.28 that took 14 ms of processor time per request at 64 in flight, so that the client
was the bottleneck; a client with one connection has nothing to look through, and takes 2 ms at 256 in flight.
"""

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    import httpx

# Servers commonly close an idle connection after five seconds; a request must not meet that moment.
_KEEP_ALIVE_S = 4.0


@cache
def trusted_authorities() -> "ssl.SSLContext":
    """Certificates that endpoints are checked by; reading them takes 50 ms, so all clients share them."""
    import httpx

    return httpx.create_ssl_context()


class Connections:
    """Clients by endpoint, made when needed; used on one event loop until `aclose`.

    Args:
        timeout_s: longest wait for a connection, and for each part of an answer.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._idle: defaultdict[str, list[httpx.AsyncClient]] = defaultdict(list)
        self._all: list[httpx.AsyncClient] = []

    def take(self, url: str) -> "httpx.AsyncClient":
        """A client that nobody uses, the one used last if there are several; give it back."""
        return self._idle[url].pop() if self._idle[url] else self._new()

    def give_back(self, url: str, client: "httpx.AsyncClient") -> None:
        """Let the next request have it; a connection that broke is made anew then."""
        self._idle[url].append(client)

    async def aclose(self) -> None:
        """Close all."""
        clients, self._all = self._all, []
        self._idle.clear()
        for client in clients:
            await client.aclose()

    def _new(self) -> "httpx.AsyncClient":
        import httpx

        one = httpx.Limits(max_connections=1, keepalive_expiry=_KEEP_ALIVE_S)
        client = httpx.AsyncClient(verify=trusted_authorities(), limits=one, timeout=self._timeout_s)
        self._all.append(client)
        return client
