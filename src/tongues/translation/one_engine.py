"""One row by one engine: masked, cut, asked for, joined, restored, verified, checked and scored.

What comes back is a translated row, or a refusal that says why, whether the reason may have passed
by the next run, and whether another engine could do better.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tongues.core.drops import Drop
from tongues.core.ports import Check, Protector, Score, SpanLostError, Verdict
from tongues.core.records import AlignedRow, SourceRow
from tongues.inference.dispatch import Dispatcher
from tongues.inference.engine import OK, Outcome, Unit
from tongues.translation.segments import (
    FIELDS,
    Field,
    copied,
    prepare,
    restore,
    without_marks,
    without_words,
)
from tongues.translation.selection import Decision
from tongues.translation.selective_answer import RowAnswer, parse_row_answer, row_request

BOUND_TO_LANGUAGE = "bound-to-language"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that an engine could not do.

    Args:
        drop: the row with the reason.
        passing: the reason may have passed by the next run: nothing was stored.
        final: no other engine could do better.
    """

    drop: Drop
    passing: bool = False
    final: bool = False


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judges translations; all work on texts without protected spans.

    Args:
        protector: hides and restores protected spans.
        checks: the first that is not ok refuses the row.
        score: 0 to 1 for a translated field, or None where nothing is measured.
        min_quality: a row with a lower score is refused as "low-quality".
    """

    protector: Protector
    checks: Sequence[Check] = ()
    score: Score | None = None
    min_quality: float = 0.0


@dataclass(slots=True)
class _Built:
    """A row while it is put together: texts by field, verdicts, scores with their weight in letters."""

    texts: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    scores: list[tuple[float, int]] = field(default_factory=list)

    @property
    def quality(self) -> float | None:
        """Mean score of the translated fields, weighted by their letters; None where none was measured."""
        weight = sum(letters for _, letters in self.scores)
        return round(sum(score * w for score, w in self.scores) / weight, 4) if weight else None


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


class OneEngine:
    """Translates rows of one language pair by one engine.

    Args:
        dispatcher: asks ledger and engine.
        judges: who judges.
        pair: source and target, BCP-47.
    """

    def __init__(self, dispatcher: Dispatcher, judges: Judges, pair: tuple[str, str]) -> None:
        self.dispatcher, self._judges, self._pair = dispatcher, judges, pair

    async def translate(self, row: SourceRow, decision: Decision) -> AlignedRow | Refusal:
        """Translate one row.

        Args:
            row: any row whose text is valid Unicode.
            decision: what of it is translated; not a skip.

        Raises:
            EngineError: the engine is out of order.
            BudgetError: nothing more may be spent.
        """
        fields = _fields(row, decision, self._judges.protector)
        try:
            if self.dispatcher.engine.unit == "row":
                return await self._whole(row, fields, decision)
            return await self._in_segments(row, fields, decision)
        except _RefusedError as refused:
            return refused.refusal

    async def _in_segments(self, row: SourceRow, fields: list[Field], decision: Decision) -> AlignedRow:
        answers = self.dispatcher.ask([segment for f in fields for segment in f.segments])
        outcomes = iter([await answer for answer in answers])
        built = _Built()
        for item in fields:
            answered = [next(outcomes) for _ in item.segments]
            self._require_texts(row, item, answered)
            translated = item.join(outcome.text for outcome in answered if outcome.text is not None)
            self._take(row, item, translated, bool(answered), built)
        return self._aligned(row, fields, built, decision.decided_by)

    async def _whole(self, row: SourceRow, fields: list[Field], decision: Decision) -> AlignedRow:
        """By an engine that decides and translates in one call."""
        asked = _asked(fields)
        if not asked:
            return await self._in_segments(row, fields, decision)
        (answer,) = self.dispatcher.ask([row_request(asked)])
        outcome = await answer
        if outcome.text is None:
            raise self._refused(row, outcome.reason, outcome.detail, row.instruction, of=outcome)
        said = parse_row_answer(outcome.text)
        if said.skip:
            raise _RefusedError(
                Refusal(self._drop(row, BOUND_TO_LANGUAGE, said.skip, row.instruction), final=True)
            )
        built = _Built()
        for item in _as_decided(fields, said):
            self._take(row, item, said.text_of(item.name), bool(item.segments), built, said.kept)
        return self._aligned(row, _as_decided(fields, said), built, "model")

    def _require_texts(self, row: SourceRow, item: Field, outcomes: Sequence[Outcome]) -> None:
        for segment, outcome in zip(item.segments, outcomes, strict=True):
            if outcome.text is None:
                detail = f"{item.name}: {outcome.detail}"
                raise self._refused(row, outcome.reason, detail, segment, of=outcome)

    def _take(
        self,
        row: SourceRow,
        item: Field,
        translated: str,
        is_translated: bool,
        built: _Built,
        kept: Sequence[str] = (),
    ) -> None:
        """Restore, verify, check and score one field."""
        if not is_translated:
            built.texts[item.name] = item.source
            return
        try:
            restored = restore(item, translated, self._judges.protector)
        except SpanLostError as error:
            raise self._refused(row, "span-lost", f"{item.name}: {error}", translated) from None
        marks = list(item.masked.marks)
        texts = [without_marks(text, marks) for text in (item.masked.text, translated)]
        source, target = without_words(texts, kept)
        for verdict in self._verdicts(source, target):
            if not verdict.ok:
                raise self._refused(row, verdict.reason, f"{item.name}: {verdict.detail}", restored)
            if built.verdicts.get(verdict.check, OK) == OK:
                built.verdicts[verdict.check] = verdict.reason
        if self._judges.score is not None:
            score = self._judges.score(source, target, *self._pair)
            built.scores.append((score, sum(map(str.isalpha, source))))
        built.texts[item.name] = restored

    def _verdicts(self, source: str, translated: str) -> Iterator[Verdict]:
        return (check(source, translated, *self._pair) for check in self._judges.checks)

    def _aligned(self, row: SourceRow, fields: list[Field], built: _Built, decided_by: str) -> AlignedRow:
        quality = built.quality
        if quality is not None and quality < self._judges.min_quality:
            detail = f"score {quality:.2f}, wanted {self._judges.min_quality:g}"
            raise self._refused(row, "low-quality", detail, built.texts["output"])
        spans = dict.fromkeys(span for item in fields for span in item.masked.marks.values())
        return AlignedRow(
            group=row.group,
            lang=self._pair[1],
            **built.texts,
            protect=tuple(spans),
            category=row.category,
            source=row.source,
            steps=(self.dispatcher.step,),
            verdicts={**built.verdicts, **_selection(decided_by, fields)},
            quality=quality,
        )

    def _refused(
        self, row: SourceRow, reason: str, detail: str, text: str, *, of: Outcome | None = None
    ) -> _RefusedError:
        passing = of is not None and not of.keeps
        return _RefusedError(Refusal(self._drop(row, reason, detail, text), passing=passing))

    def _drop(self, row: SourceRow, reason: str, detail: str, text: str) -> Drop:
        return dropped(row, self._pair[1], reason, f"{self.dispatcher.engine.name}: {detail}", text)


def requests_for(row: SourceRow, decision: Decision, unit: Unit, protector: Protector) -> list[str]:
    """The texts that an engine would be asked for a row; for plans, which must agree with translation.

    Args:
        row: the row.
        decision: not a skip.
        unit: what the engine is given at a time.
        protector: hides protected spans.
    """
    fields = _fields(row, decision, protector)
    if unit == "row":
        asked = _asked(fields)
        return [row_request(asked)] if asked else []
    return [segment for item in fields for segment in item.segments]


def _fields(row: SourceRow, decision: Decision, protector: Protector) -> list[Field]:
    literals = (*row.protect, *decision.protect)
    return prepare(row, protector, translate=decision.translate, protect=literals)


def _asked(fields: Sequence[Field]) -> dict[str, str]:
    return {item.name: item.masked.text for item in fields if item.segments}


def dropped(row: SourceRow, lang: str, reason: str, detail: str, text: str) -> Drop:
    """A row that does not reach the store; its group leads back to it."""
    return Drop(lang, reason, detail, row.group, text)


def _selection(decided_by: str, fields: Sequence[Field]) -> Mapping[str, str]:
    """Who decided that something stays, and what; nothing where all fields were translated."""
    kept = [
        item.name for item in fields if item.source.strip() and not item.segments and not item.masked.marks
    ]
    if decided_by == "direct" or not kept:
        return {}
    return {"selection": f"{decided_by}: kept {', '.join(kept)}"}


def _as_decided(fields: Sequence[Field], said: RowAnswer) -> list[Field]:
    keeps = {name for name in FIELDS if said.keeps(name)}
    return [copied(item.name, item.source) if item.name in keeps else item for item in fields]
