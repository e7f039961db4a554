"""One HTTP client for all the short questions to servers and door: making one costs more than asking."""

from functools import cache

import httpx


@cache
def http() -> httpx.Client:
    """The client; any thread may use it."""
    return httpx.Client(limits=httpx.Limits(max_keepalive_connections=20), trust_env=False)
