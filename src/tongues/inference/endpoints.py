"""Several endpoints for one engine: each request goes to the one with the most room.

Requests that find no room wait in line and are woken one by one: when another request ends, or by one
timer at the moment when an endpoint opens. Nothing polls.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from tongues.core.errors import BudgetError, EngineError, TonguesError
from tongues.core.progress import Say
from tongues.inference.endpoint import Endpoint, Heard, Lease

Waiter = tuple[asyncio.Future[Lease], Endpoint | None]


class Endpoints:
    """Gives out leases; used on one event loop at a time.

    Args:
        endpoints: at least one.
        where: what errors call them, such as the engine's name.
        say: takes a line when an endpoint is put out, is down, or answers again.
    """

    def __init__(self, endpoints: Sequence[Endpoint], where: str, say: Say) -> None:
        self._all, self._where, self._say = tuple(endpoints), where, say
        self._waiting: deque[Waiter] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def requests(self) -> int:
        """Leases given so far."""
        return sum(endpoint.requests for endpoint in self._all)

    async def take(self, avoid: Endpoint | None = None) -> Lease:
        """Wait for leave to send one request.

        Args:
            avoid: taken only if no other endpoint has room.

        Raises:
            EngineError: every endpoint is out, or is down and has been tried long enough.
            BudgetError: what is not out has spent its `max_requests`.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting and (chosen := self._choose(loop.time(), avoid)):
            return chosen.begin(loop.time())
        future: asyncio.Future[Lease] = loop.create_future()
        self._waiting.append((future, avoid))
        self._serve()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give_back(future.result(), None)
            raise

    def give_back(self, lease: Lease, heard: Heard | None) -> None:
        """End a lease, and let the next request in line have the room.

        Args:
            lease: from `take`.
            heard: what came of it; None if it was given up on our side.
        """
        endpoint = lease.endpoint
        was_out, was_down = endpoint.out, endpoint.down
        endpoint.end(lease, heard, asyncio.get_running_loop().time())
        if endpoint.out and not was_out:
            self._tell(endpoint, f"ENDPOINT PUT OUT: {endpoint.said}")
        elif endpoint.down and not was_down:
            self._tell(endpoint, f"endpoint is down: {endpoint.said}; it is tried now and then")
        elif was_down and not endpoint.down:
            self._tell(endpoint, "endpoint answers again")
        self._serve()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _tell(self, endpoint: Endpoint, what: str) -> None:
        self._say(f"{self._where}: {endpoint.url}: {what}")

    def _choose(self, now: float, avoid: Endpoint | None) -> Endpoint | None:
        with_room = [endpoint for endpoint in self._all if endpoint.room(now)]
        return max(with_room, key=lambda each: (each is not avoid, each.room(now)), default=None)

    def _serve(self) -> None:
        """Hand out what room there is, in the order of the line; then wait for the next opening."""
        self.close()
        now = asyncio.get_running_loop().time()
        while self._waiting:
            future, avoid = self._waiting[0]
            if not future.done():
                chosen = self._choose(now, avoid) or self._widened(now, avoid)
                if chosen is None:
                    break
                future.set_result(chosen.begin(now))
            self._waiting.popleft()
        if self._waiting:
            self._wait(now)

    def _widened(self, now: float, avoid: Endpoint | None) -> Endpoint | None:
        for endpoint in self._all:
            endpoint.widen(now)
        return self._choose(now, avoid)

    def _wait(self, now: float) -> None:
        error = self._hopeless(now)
        # What is still in flight has been paid for; it is heard before anyone stops the run.
        if error is not None and not any(endpoint.in_flight for endpoint in self._all):
            waiting, self._waiting = self._waiting, deque()
            for future, _ in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        openings = [at for endpoint in self._all if (at := endpoint.opens_at(now)) is not None]
        if openings:
            self._timer = asyncio.get_running_loop().call_at(max(min(openings), now), self._serve)

    def _hopeless(self, now: float) -> TonguesError | None:
        usable = [endpoint for endpoint in self._all if endpoint.usable]
        if not all(endpoint.given_up(now) for endpoint in usable):
            return None
        said = "; ".join(f"{e.url}: {'its max_requests are spent' if e.spent else e.said}" for e in self._all)
        if not usable and any(endpoint.spent for endpoint in self._all):
            return BudgetError(
                f"no endpoint may be asked any more ({said})",
                where=self._where,
                fix="raise max_requests and run again: what was answered is in the ledger",
            )
        return EngineError(
            f"no endpoint can be used ({said})",
            where=self._where,
            fix="check base_url, model and the variable that api_key_env names, see that a server answers "
            "there, then run again: what was answered is in the ledger",
        )
