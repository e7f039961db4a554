"""Between rows and engine: asks the ledger first, sends equal segments once, stores answers at once."""

import asyncio
import contextlib
from collections.abc import Sequence

from tongues.core.errors import EngineError
from tongues.translation.counts import Counts
from tongues.translation.engine import Engine, Outcome
from tongues.translation.ledger import Ledger, ledger_key

_MIN_FAILURES_IN_A_ROW = 20

Answer = asyncio.Future[Outcome]


class Dispatcher:
    """Feeds one engine the way it likes to be fed, for one language pair.

    Args:
        engine: translates; asked with at most `engine.concurrency` batches at a time.
        source: BCP-47 code.
        target: BCP-47 code.
        ledger: asked before the engine, told before anyone else.
        counts: counted up.
    """

    def __init__(self, engine: Engine, source: str, target: str, ledger: Ledger, counts: Counts) -> None:
        self._engine, self._pair, self._ledger, self._counts = engine, (source, target), ledger, counts
        self.step = engine.step(source, target)
        self._queue: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()
        self._waiting: dict[bytes, Answer] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._failures_in_a_row = 0
        self._error: Exception | None = None
        self._last_passing: Outcome | None = None
        self._requests_before = engine.requests_sent

    def ask(self, texts: Sequence[str]) -> list[Answer]:
        """Have segments translated; call it on the event loop.

        Returns:
            One future per text; equal texts share one. It raises `EngineError` if the engine is
            out of order.
        """
        self._start()
        keys = [ledger_key(text, self.step, *self._pair) for text in texts]
        known = self._ledger.get_many({key for key in keys if key not in self._waiting})
        self._counts.segments += len(texts)
        return [self._answer(key, text, known) for key, text in zip(keys, texts, strict=True)]

    def require_an_answer(self) -> None:
        """Raise if segments were sent and not one came to anything, however few they were.

        Raises:
            EngineError: nothing but failures that may pass.
        """
        failures = self._counts.failures.total()
        if self._last_passing is not None and failures == self._counts.sent:
            raise _all_failed(self._engine.name, failures, self._last_passing)

    async def close(self) -> None:
        """Stop the workers and the engine; answers that are under way are given up."""
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for answer in self._waiting.values():
            answer.cancel()
        await self._engine.aclose()

    def _answer(self, key: bytes, text: str, known: dict[bytes, Outcome]) -> Answer:
        answer: Answer = asyncio.get_running_loop().create_future()
        if key in known:
            self._counts.ledger_hits += 1
            answer.set_result(known[key])
            return answer
        if key in self._waiting:
            self._counts.shared += 1
            return self._waiting[key]
        if self._error is not None:
            return _raising(answer, self._error)
        self._waiting[key] = answer
        self._queue.put_nowait((key, text))
        return answer

    def _start(self) -> None:
        if not self._workers:
            self._workers = [asyncio.create_task(self._work()) for _ in range(self._engine.concurrency)]

    async def _work(self) -> None:
        while True:
            batch = await self._batch()
            try:
                outcomes = await self._engine.translate([text for _, text in batch], *self._pair)
                # Stored before anyone can act on it: from here on no crash makes us ask again.
                self._ledger.put_many({key: o for (key, _), o in zip(batch, outcomes, strict=True)})
                self._settle(batch, outcomes)
            except Exception as error:
                self._fail(error)
                return

    async def _batch(self) -> list[tuple[bytes, str]]:
        batch = [await self._queue.get()]
        with contextlib.suppress(asyncio.QueueEmpty):
            while len(batch) < self._engine.batch_segments:
                batch.append(self._queue.get_nowait())
        return batch

    def _settle(self, batch: list[tuple[bytes, str]], outcomes: list[Outcome]) -> None:
        self._counts.sent += len(batch)
        self._counts.requests = self._engine.requests_sent - self._requests_before
        for (key, _), outcome in zip(batch, outcomes, strict=True):
            self._counts.settle(outcome)
            answer = self._waiting.pop(key)
            if not answer.done():  # an interrupt may have cancelled it
                answer.set_result(outcome)
        self._give_up_if_all_fails(outcomes)

    def _give_up_if_all_fails(self, outcomes: list[Outcome]) -> None:
        """An engine that fails on everything is broken; dropping row after row would hide that."""
        passing = [o for o in outcomes if not o.keeps]
        self._last_passing = passing[-1] if passing else self._last_passing
        self._failures_in_a_row = (
            self._failures_in_a_row + len(passing) if len(passing) == len(outcomes) else 0
        )
        if self._failures_in_a_row >= max(_MIN_FAILURES_IN_A_ROW, 2 * self._engine.concurrency):
            raise _all_failed(self._engine.name, self._failures_in_a_row, passing[-1])

    def _fail(self, error: Exception) -> None:
        self._error = error
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                _raising(answer, error)


def _raising(answer: Answer, error: Exception) -> Answer:
    answer.set_exception(error)
    answer.exception()  # marks it as seen: only the row at the head of the window raises it
    return answer


def _all_failed(engine: str, failures: int, last: Outcome) -> EngineError:
    """The error for an engine from which nothing usable comes."""
    return EngineError(
        f"the last {failures} segments failed, the latest with {last.reason!r} ({last.detail})",
        where=engine,
        fix="see that the engine works, then run again: what was answered is in the ledger",
    )
