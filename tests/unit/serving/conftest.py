"""A door on a thread of its own, and the servers behind it."""

import asyncio
import threading
from contextlib import contextmanager

import pytest
from aiohttp import web
from runtime_vllm import RuntimeVllm

from tongues.platform.processes import free_port
from tongues.serving.door import Door


@contextmanager
def opened(door):
    """The door's address while it is open."""
    port, loop, ready = free_port(), asyncio.new_event_loop(), threading.Event()
    runner = web.AppRunner(door.app(), handler_cancellation=True)

    async def begin():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        ready.set()

    def work():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(begin())
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def open_door(tmp_path):
    """Open a door on the routing table in this test's folder."""
    stack = []

    def make(**more):
        context = opened(Door(tmp_path / "routes.json", **more))
        stack.append(context)
        return context.__enter__()

    yield make
    for context in reversed(stack):
        context.__exit__(None, None, None)


@pytest.fixture
def vllms():
    """Start servers that load adapters at runtime; stopped at the end."""
    servers = []

    def make(count=1):
        fresh = [RuntimeVllm() for _ in range(count)]
        servers.extend(fresh)
        for server in fresh:
            server.start()
        return fresh

    yield make
    for server in servers:
        server.gate.set()
        server.stop()
