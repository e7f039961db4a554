"""One HTTP client for all the short questions to servers and door: making one costs more than asking."""

from functools import cache

import httpx


@cache
def http() -> httpx.Client:
    """The client; any thread may use it. It lets go of idle connections before vLLM does, after 5 s."""
    return httpx.Client(limits=httpx.Limits(keepalive_expiry=2), trust_env=False)
