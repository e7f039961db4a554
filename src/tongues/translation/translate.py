"""Source rows in, rows of the aligned store out, each kept or dropped with a reason.

A row goes to the first engine; what it cannot do well goes on to the next (`escalate_to`), and what the
last one cannot do is dropped. A window of rows is under way at a time, so memory stays bounded
whatever the input; rows leave in the order in which they came, or as they get done.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack

from tongues.core.drops import Drop
from tongues.core.ports import Check, Protector, Score
from tongues.core.progress import Progress
from tongues.core.recipe import BudgetSection
from tongues.core.records import AlignedRow, SourceRow
from tongues.inference.budget import Budget
from tongues.inference.counts import EngineCounts
from tongues.inference.dispatch import Dispatcher
from tongues.inference.engine import Engine, encodable
from tongues.inference.ledger import Ledger
from tongues.translation.counts import Counts
from tongues.translation.one_engine import BOUND_TO_LANGUAGE, Judges, OneEngine, Refusal, dropped
from tongues.translation.segments import FIELDS
from tongues.translation.selection import EVERYTHING, Decision

_MIN_WINDOW_ROWS = 256
_WINDOW_CHARS = 8_000_000

Item = AlignedRow | Drop
Decide = Callable[[SourceRow], Decision]


def translate_rows(
    rows: Iterable[SourceRow],
    *,
    engine: Engine,
    source_lang: str,
    target_lang: str,
    ledger: Ledger,
    protector: Protector,
    checks: Sequence[Check] = (),
    escalate_to: Sequence[Engine] = (),
    decide: Decide = lambda _: EVERYTHING,
    score: Score | None = None,
    min_quality: float = 0.0,
    budget: Budget | None = None,
    replay_only: bool = False,
    ordered: bool = True,
    progress: Progress | None = None,
    counts: Counts | None = None,
) -> Iterator[Item]:
    """Translate rows; what is in the ledger is never asked again.

    Args:
        rows: read lazily, a window at a time.
        engine: see `tongues.translation.engines.build_engine`; closed at the end, ready for another call.
        source_lang: BCP-47 code of the rows.
        target_lang: BCP-47 code to translate into.
        ledger: open; every answer is in it before its row leaves here.
        protector: hides and restores protected spans.
        checks: run on every field of which something was translated; the first that is not ok refuses it.
        escalate_to: engines for the rows that the one before could not do, in order.
        decide: what of a row is translated; everything by default.
        score: how far a translation can be trusted, 0 to 1, by field.
        min_quality: a row that scores lower is refused as "low-quality".
        budget: what may be spent; everything by default.
        replay_only: answer from the ledger alone.
        ordered: rows leave in the order in which they came; otherwise as they get done.
        progress: advanced by one per row.
        counts: counted up; read them after the last row.

    Yields:
        One item per row: the translated row, or a drop with the reason that the last engine gave.

    Raises:
        EngineError: an engine is out of order, or `replay_only` met a request that the ledger does not
            hold; rows that have left are right, and a rerun goes on from the ledger.
        BudgetError: nothing more may be spent; a rerun with more goes on from the ledger.
        DataError: the ledger cannot be read or written.
    """
    counts = Counts() if counts is None else counts
    judges = Judges(protector, checks, score, min_quality)
    with asyncio.Runner() as runner:

        async def begin() -> _Flow:
            holder = budget or Budget(BudgetSection())
            chain = [
                OneEngine(
                    _dispatcher(e, source_lang, target_lang, ledger, holder, counts, replay_only),
                    judges,
                    (source_lang, target_lang),
                )
                for e in (engine, *escalate_to)
            ]
            return _Flow(chain, decide, target_lang, counts, ordered=ordered)

        flow = runner.run(begin())
        try:
            source = iter(rows)
            while items := runner.run(flow.next(source)):
                for item in items:
                    if progress is not None:
                        progress.advance(1, **_told(counts))
                    yield item
            flow.require_answers()
        finally:
            runner.run(flow.close())


def _dispatcher(
    engine: Engine,
    source_lang: str,
    target_lang: str,
    ledger: Ledger,
    budget: Budget,
    counts: Counts,
    replay_only: bool,
) -> Dispatcher:
    counts.engines.append(EngineCounts(engine.name))
    return Dispatcher(
        engine, source_lang, target_lang, ledger, budget, counts.engines[-1], replay_only=replay_only
    )


def _told(counts: Counts) -> dict[str, float | str]:
    """What a progress line shows, in totals: a rate is the line's own business."""
    facts: dict[str, float | str] = {"from ledger": counts.ledger_hits, "sent": counts.sent}
    if counts.tokens:
        facts["tokens"] = counts.tokens
    if counts.cost:
        facts["cost"] = counts.cost
    if counts.failures:
        facts["failed"] = ", ".join(f"{n} {reason}" for reason, n in counts.failures.most_common(3))
    return facts


class _Flow:
    """The window of rows under way, each a task of its own."""

    def __init__(
        self, chain: list[OneEngine], decide: Decide, lang: str, counts: Counts, *, ordered: bool
    ) -> None:
        self._chain, self._decide, self._lang, self._counts = chain, decide, lang, counts
        self._ordered = ordered
        self._window: deque[asyncio.Task[Item]] = deque()
        self._chars_of: dict[asyncio.Task[Item], int] = {}
        self._chars = 0
        engines = [one.dispatcher.engine for one in chain]
        self._window_rows = max(_MIN_WINDOW_ROWS, *(4 * e.concurrency * e.batch_segments for e in engines))

    async def next(self, source: Iterator[SourceRow]) -> list[Item]:
        """The rows that are done by now, at least one; none after the last."""
        self._fill(source)
        if not self._window:
            return []
        # A row stays in the window while it waits, so that the window cannot outgrow its bounds.
        if self._ordered:
            await asyncio.wait([self._window[0]])
        else:
            await asyncio.wait(self._window, return_when=asyncio.FIRST_COMPLETED)
        return [self._taken(task) for task in self._done()]

    def require_answers(self) -> None:
        """Raise if no engine that was asked ever answered: rows dropped one by one would hide that."""
        asked = [
            one.dispatcher.silence()
            for one, counts in zip(self._chain, self._counts.engines, strict=True)
            if counts.segments
        ]
        if asked and (error := asked[-1]) and all(asked):
            raise error

    async def close(self) -> None:
        """Stop what is under way."""
        async with AsyncExitStack() as stack:
            for one in self._chain:
                stack.push_async_callback(one.dispatcher.close)
        for task in self._window:
            task.cancel()
        await asyncio.gather(*self._window, return_exceptions=True)

    def _done(self) -> list[asyncio.Task[Item]]:
        """Tasks that may leave now: all that are done, or in order all before the first that is not."""
        if not self._ordered:
            return [task for task in self._window if task.done()]
        done = []
        for task in self._window:
            if not task.done():
                break
            done.append(task)
        return done

    def _taken(self, task: asyncio.Task[Item]) -> Item:
        item = task.result()
        self._window.remove(task)
        self._chars -= self._chars_of.pop(task)
        return item

    def _fill(self, source: Iterator[SourceRow]) -> None:
        while len(self._window) < self._window_rows and self._chars < _WINDOW_CHARS:
            row = next(source, None)
            if row is None:
                return
            self._counts.rows += 1
            task = asyncio.create_task(self._row(row))
            self._window.append(task)
            self._chars_of[task] = sum(len(getattr(row, name)) for name in FIELDS)
            self._chars += self._chars_of[task]

    async def _row(self, row: SourceRow) -> Item:
        for name in FIELDS:
            if not encodable(getattr(row, name)):
                return dropped(row, self._lang, "not-unicode", f"{name}: lone surrogate", getattr(row, name))
        decision = self._decide(row)
        if decision.skip:
            return dropped(row, self._lang, BOUND_TO_LANGUAGE, decision.skip, row.instruction)
        return await self._down_the_chain(row, decision)

    async def _down_the_chain(self, row: SourceRow, decision: Decision) -> Item:
        refusals: list[Refusal] = []
        for one, counts in zip(self._chain, self._counts.engines, strict=True):
            counts.rows_tried += 1
            why = [refusal.drop.reason for refusal in refusals[-1:]]
            self._counts.escalated.update(why)
            answer = await one.translate(row, decision)
            if isinstance(answer, AlignedRow):
                counts.rows_kept += 1
                self._counts.rescued.update(why)
                return answer
            refusals.append(answer)
            if answer.final:
                break
        self._counts.lost_in_passing += any(refusal.passing for refusal in refusals)
        return refusals[-1].drop
