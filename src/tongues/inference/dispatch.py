"""Between rows and one engine: asks the ledger first, sends equal segments once, stores answers at once."""

import asyncio
import contextlib
from collections.abc import Sequence

from tongues.core.errors import EngineError
from tongues.inference.budget import Budget
from tongues.inference.counts import EngineCounts
from tongues.inference.engine import Engine, Outcome, failed
from tongues.inference.ledger import Ledger, ledger_key
from tongues.inference.spending import Spent

_MIN_FAILURES_IN_A_ROW = 20
_LAST_ANSWERS_S = 10.0

Answer = asyncio.Future[Outcome]


class Dispatcher:
    """Feeds one engine the way it likes to be fed, for one language pair.

    Args:
        engine: translates; asked with at most `engine.concurrency` batches at a time.
        source: BCP-47 code.
        target: BCP-47 code.
        ledger: asked before the engine, told before anyone else.
        budget: what may be spent; shared by the engines of a chain.
        counts: counted up.
        replay_only: never ask the engine; what the ledger does not hold is an error.
    """

    def __init__(
        self,
        engine: Engine,
        source: str,
        target: str,
        ledger: Ledger,
        budget: Budget,
        counts: EngineCounts,
        *,
        replay_only: bool = False,
    ) -> None:
        self.engine, self._pair = engine, (source, target)
        self._ledger, self._budget, self._counts, self._replay_only = ledger, budget, counts, replay_only
        self.step = engine.step(source, target)
        self._queue: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue()
        self._waiting: dict[bytes, Answer] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._busy: set[asyncio.Task[None]] = set()
        self._failures_in_a_row = 0
        self._error: Exception | None = None
        self._last_passing: Outcome | None = None
        self._requests_counted = engine.requests_sent

    def ask(self, texts: Sequence[str]) -> list[Answer]:
        """Have segments translated; call it on the event loop.

        Returns:
            One future per text; equal texts share one. It raises `EngineError` if the engine is
            out of order, `BudgetError` if nothing more may be spent.
        """
        keys = [ledger_key(text, self.step, *self._pair) for text in texts]
        known = self._ledger.get_many({key for key in keys if key not in self._waiting})
        self._counts.segments += len(texts)
        return [self._answer(key, text, known) for key, text in zip(keys, texts, strict=True)]

    def silence(self) -> EngineError | None:
        """The error of an engine that was asked and answered nothing, however little it was asked.

        None where it answered something, or failed only in ways that asking again would not change.
        """
        failures = self._counts.failures.total()
        if self._last_passing is None or failures < self._counts.sent:
            return None
        return _all_failed(self.engine.name, failures, self._last_passing)

    async def close(self) -> None:
        """Stop the workers and the engine; what is under way may still end, and be kept, for some seconds."""
        self._forget_queue()
        calls = set(self._busy)
        if calls:
            await asyncio.wait(calls, timeout=_LAST_ANSWERS_S)
        for task in (*self._workers, *calls):
            task.cancel()
        await asyncio.gather(*self._workers, *calls, return_exceptions=True)
        for answer in self._waiting.values():
            answer.cancel()
        await self.engine.aclose()

    def _answer(self, key: bytes, text: str, known: dict[bytes, Outcome]) -> Answer:
        answer: Answer = asyncio.get_running_loop().create_future()
        if key in known:
            self._counts.ledger_hits += 1
            answer.set_result(known[key])
            return answer
        if key in self._waiting:
            self._counts.shared += 1
            return self._waiting[key]
        if self._replay_only:
            self._error = self._error or self._not_in_ledger(text)
        if self._error is not None:
            return _raising(answer, self._error)
        if len(text) > (self.engine.max_characters or len(text)):
            answer.set_result(failed("too-long-for-engine", f"{len(text)} characters", permanent=True))
            return answer
        self._waiting[key] = answer
        self._queue.put_nowait((key, text))
        self._start()
        return answer

    def _not_in_ledger(self, text: str) -> EngineError:
        return EngineError(
            f"replay only, and the ledger holds no answer to {text[:80]!r}",
            where=f"{self.engine.name}, {self._pair[0]} to {self._pair[1]}",
            fix="run without replay, or import the ledger of the run that you want to repeat",
        )

    def _start(self) -> None:
        """One more worker while there is work that nobody waits for; idle ones take it first."""
        if len(self._workers) < self.engine.concurrency and self._queue.qsize() > 0:
            self._workers.append(asyncio.create_task(self._work()))

    async def _work(self) -> None:
        while True:
            batch = await self._batch()
            call = asyncio.create_task(self._call(batch))
            self._busy.add(call)
            try:
                await asyncio.shield(call)  # a worker that is stopped leaves its call to end by itself
            except Exception as error:
                self._fail(error)
                return
            finally:
                self._busy.discard(call)

    async def _call(self, batch: list[tuple[bytes, str]]) -> None:
        texts = [text for _, text in batch]
        async with self._budget.hold(self.engine.at_most(texts)):
            outcomes = await self.engine.answer(texts, *self._pair)
            self._store(batch, outcomes)
        self._settle(batch, outcomes)

    async def _batch(self) -> list[tuple[bytes, str]]:
        batch = [await self._queue.get()]
        with contextlib.suppress(asyncio.QueueEmpty):
            while len(batch) < self.engine.batch_segments:
                batch.append(self._queue.get_nowait())
        return batch

    def _store(self, batch: list[tuple[bytes, str]], outcomes: list[Outcome]) -> None:
        """Before anyone can act on an answer it is on the disk: no crash makes us ask again."""
        spent = self._spent(sum(len(text) for _, text in batch), outcomes)
        stored = {key: outcome for (key, _), outcome in zip(batch, outcomes, strict=True)}
        self._ledger.put_many(stored, account=self._budget.account, spent=spent)
        self._budget.spend(spent)
        self._counts.spend(spent)

    def _spent(self, characters: int, outcomes: list[Outcome]) -> Spent:
        sent = self.engine.requests_sent
        requests, self._requests_counted = sent - self._requests_counted, sent
        tokens_in = sum(outcome.prompt_tokens for outcome in outcomes)
        tokens_out = sum(outcome.completion_tokens for outcome in outcomes)
        cost = self.engine.price.cost(
            characters=characters, prompt_tokens=tokens_in, completion_tokens=tokens_out
        )
        return Spent(requests, characters, tokens_in, tokens_out, cost)

    def _settle(self, batch: list[tuple[bytes, str]], outcomes: list[Outcome]) -> None:
        self._counts.sent += len(batch)
        for (key, _), outcome in zip(batch, outcomes, strict=True):
            self._counts.settle(outcome)
            answer = self._waiting.pop(key, None)
            if answer is not None and not answer.done():  # given up meanwhile, or cancelled by an interrupt
                answer.set_result(outcome)
        self._give_up_if_all_fails(outcomes)

    def _give_up_if_all_fails(self, outcomes: list[Outcome]) -> None:
        """An engine that fails on everything is broken; dropping row after row would hide that."""
        passing = [o for o in outcomes if not o.keeps]
        self._last_passing = passing[-1] if passing else self._last_passing
        self._failures_in_a_row = (
            self._failures_in_a_row + len(passing) if len(passing) == len(outcomes) else 0
        )
        if self._failures_in_a_row >= max(_MIN_FAILURES_IN_A_ROW, 2 * len(self._workers)):
            raise _all_failed(self.engine.name, self._failures_in_a_row, passing[-1])

    def _forget_queue(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._forget_queue()
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
