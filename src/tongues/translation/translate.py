"""Source rows in, rows of the aligned store out: in order, each kept or dropped with a reason.

The path of a row: mask protected spans, cut into segments, ask ledger and engine, join, put spans
back, verify them, run the checks. A window of rows is under way at a time, so memory stays bounded
whatever the input; rows leave in the order in which they came.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tongues.core.drops import Drop
from tongues.core.ports import Check, Protector, SpanLostError, Verdict
from tongues.core.progress import Progress
from tongues.core.records import AlignedRow, SourceRow
from tongues.translation.counts import Counts
from tongues.translation.dispatch import Answer, Dispatcher
from tongues.translation.engine import OK, Engine, Outcome, encodable
from tongues.translation.ledger import Ledger
from tongues.translation.segments import FIELDS, Field, prepare, restore, without_marks

_MIN_WINDOW_ROWS = 256
_WINDOW_CHARS = 8_000_000


def translate_rows(
    rows: Iterable[SourceRow],
    *,
    engine: Engine,
    source_lang: str,
    target_lang: str,
    ledger: Ledger,
    protector: Protector,
    checks: Sequence[Check] = (),
    progress: Progress | None = None,
    counts: Counts | None = None,
) -> Iterator[AlignedRow | Drop]:
    """Translate rows; what is in the ledger is never asked again.

    Args:
        rows: read lazily, a window at a time.
        engine: see `tongues.translation.engines.build_engine`; closed at the end, ready for another call.
        source_lang: BCP-47 code of the rows.
        target_lang: BCP-47 code to translate into.
        ledger: open; every answer is in it before its row leaves here.
        protector: hides and restores protected spans.
        checks: run on every field of which something was translated; the first that is not ok drops the row.
        progress: advanced by one per row.
        counts: counted up; read them after the last row.

    Yields:
        One item per row, in order: the translated row, or a drop with the first reason met.

    Raises:
        EngineError: the engine is out of order; rows that have left are right, and a rerun goes on
            from the ledger.
        DataError: the ledger cannot be read or written.
    """
    counts = Counts() if counts is None else counts
    with asyncio.Runner() as runner:
        flow = runner.run(_open(engine, source_lang, target_lang, ledger, protector, checks, counts))
        try:
            source = iter(rows)
            while (item := runner.run(flow.next(source))) is not None:
                if progress is not None:
                    progress.advance(ledger_hits=counts.ledger_hits, sent=counts.sent)
                yield item
            flow.dispatcher.require_an_answer()
        finally:
            runner.run(flow.dispatcher.close())


@dataclass(frozen=True, slots=True)
class _UnderWay:
    row: SourceRow
    fields: list[Field]
    answers: list[Answer]

    @property
    def chars(self) -> int:
        return sum(len(field.source) for field in self.fields)


async def _open(
    engine: Engine,
    source_lang: str,
    target_lang: str,
    ledger: Ledger,
    protector: Protector,
    checks: Sequence[Check],
    counts: Counts,
) -> "_Flow":
    dispatcher = Dispatcher(engine, source_lang, target_lang, ledger, counts)
    window = max(_MIN_WINDOW_ROWS, 2 * engine.concurrency * engine.batch_segments)
    return _Flow(dispatcher, protector, checks, (source_lang, target_lang), counts, window)


class _Flow:
    """The window of rows under way."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        protector: Protector,
        checks: Sequence[Check],
        pair: tuple[str, str],
        counts: Counts,
        window_rows: int,
    ) -> None:
        self.dispatcher = dispatcher
        self._protector, self._checks, self._pair, self._counts = protector, checks, pair, counts
        self._window: deque[_UnderWay | Drop] = deque()
        self._window_rows, self._chars = window_rows, 0

    async def next(self, source: Iterator[SourceRow]) -> AlignedRow | Drop | None:
        """The next row that is done, in order; None after the last."""
        self._fill(source)
        if not self._window:
            return None
        # The row stays in the window while it waits, so that the window cannot outgrow its bounds.
        head = self._window[0]
        outcomes = [] if isinstance(head, Drop) else await asyncio.gather(*head.answers)
        self._window.popleft()
        if isinstance(head, Drop):
            return head
        self._chars -= head.chars
        return self._finish(head, outcomes)

    def _fill(self, source: Iterator[SourceRow]) -> None:
        while len(self._window) < self._window_rows and self._chars < _WINDOW_CHARS:
            row = next(source, None)
            if row is None:
                return
            self._counts.rows += 1
            self._window.append(self._begin(row))

    def _begin(self, row: SourceRow) -> _UnderWay | Drop:
        for name in FIELDS:
            if not encodable(getattr(row, name)):
                return self._drop(row, "not-unicode", f"{name}: lone surrogate", getattr(row, name))
        fields = prepare(row, self._protector)
        under_way = _UnderWay(row, fields, self.dispatcher.ask([s for f in fields for s in f.segments]))
        self._chars += under_way.chars
        return under_way

    def _finish(self, done: _UnderWay, outcomes: list[Outcome]) -> AlignedRow | Drop:
        rest, texts, verdicts = iter(outcomes), dict[str, str](), dict[str, str]()
        for field in done.fields:
            answers = [next(rest) for _ in field.segments]
            result = self._field(done.row, field, answers, verdicts)
            if isinstance(result, Drop):
                return result
            texts[field.name] = result
        return self._aligned(done, texts, verdicts)

    def _field(
        self, row: SourceRow, field: Field, answers: list[Outcome], verdicts: dict[str, str]
    ) -> str | Drop:
        for segment, outcome in zip(field.segments, answers, strict=True):
            if outcome.text is None:
                return self._drop(row, outcome.reason, f"{field.name}: {outcome.detail}", segment)
        masked = field.join(outcome.text for outcome in answers if outcome.text is not None)
        try:
            restored = restore(field, masked, self._protector)
        except SpanLostError as error:
            return self._drop(row, "span-lost", f"{field.name}: {error}", masked)
        for verdict in self._judge(field, masked) if answers else []:
            if not verdict.ok:
                return self._drop(row, verdict.reason, f"{field.name}: {verdict.detail}", restored)
            if verdicts.get(verdict.check, OK) == OK:
                verdicts[verdict.check] = verdict.reason
        return restored

    def _judge(self, field: Field, translated: str) -> Iterator[Verdict]:
        marks = list(field.masked.marks)
        texts = without_marks(field.masked.text, marks), without_marks(translated, marks)
        return (check(*texts, *self._pair) for check in self._checks)

    def _aligned(self, done: _UnderWay, texts: dict[str, str], verdicts: dict[str, str]) -> AlignedRow:
        row = done.row
        kept = dict.fromkeys(span for field in done.fields for span in field.masked.marks.values())
        return AlignedRow(
            group=row.group,
            lang=self._pair[1],
            instruction=texts["instruction"],
            input=texts["input"],
            output=texts["output"],
            protect=tuple(kept),
            category=row.category,
            source=row.source,
            steps=(self.dispatcher.step,),
            verdicts=verdicts,
            quality=None,
        )

    def _drop(self, row: SourceRow, reason: str, detail: str, text: str) -> Drop:
        return Drop(lang=self._pair[1], reason=reason, detail=detail, where=row.group, text=text)
