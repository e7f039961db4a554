"""The translation report: per language what was kept, dropped, escalated, spent and measured."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from tongues.core.manifest import Tally
from tongues.core.records import AlignedRow
from tongues.inference.engine import OK
from tongues.translation.quality import Quality

_EXAMPLES = 3
_EXCERPT_CHARS = 400
_ENGINE_SUMS = (
    "rows_tried",
    "rows_kept",
    "requests",
    "characters",
    "prompt_tokens",
    "completion_tokens",
    "cost",
)


class EngineLine(BaseModel):
    """What one engine of the chain did for a language, over all shards; see `EngineCounts` for the fields."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    engine: str
    rows_tried: int = 0
    rows_kept: int = 0
    requests: int = 0
    characters: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class Example(BaseModel):
    """One row in two languages.

    Args:
        source: instruction and output in the source language.
        translated: the same in the target language.
        score: how far it can be trusted.
    """

    model_config = ConfigDict(frozen=True)
    source: str
    translated: str
    score: float | None


class DroppedExample(BaseModel):
    """One dropped row: why, what was seen, and its text as far as it had come."""

    model_config = ConfigDict(frozen=True)
    reason: str
    detail: str
    text: str


class LanguageLine(BaseModel):
    """All that is told of one language.

    Args:
        lang: BCP-47 code.
        rows: kept and dropped, by reason.
        engines: in the order of the chain.
        escalated: reason to rows that were given to the next engine.
        rescued: of these, rows that a later engine did.
        seconds: time all shards took together.
        hints: "check: hint" to rows that passed a check that could not tell.
        selection: who decided that something stays, to rows.
        score_mean: mean score of the kept rows; None where none was scored.
        score_low: score that a tenth of the kept rows does not reach.
        quality: what was measured.
        cannot_tell: why language identification is weak here; empty where it is not.
        random: examples drawn at random.
        lowest: the kept rows with the lowest scores.
        dropped: one dropped row of each reason.
    """

    model_config = ConfigDict(frozen=True)
    lang: str
    rows: Tally
    engines: tuple[EngineLine, ...]
    escalated: dict[str, int]
    rescued: dict[str, int]
    seconds: float
    hints: dict[str, int]
    selection: dict[str, int]
    score_mean: float | None
    score_low: float | None
    quality: tuple[Quality, ...]
    cannot_tell: str
    random: tuple[Example, ...]
    lowest: tuple[Example, ...]
    dropped: tuple[DroppedExample, ...]

    @property
    def rows_per_s(self) -> float:
        """Source rows per second of one shard's work."""
        return self.rows.rows_in / self.seconds if self.seconds else 0.0


class TranslationReport(BaseModel):
    """The whole report.

    Args:
        recipe: its name.
        source_lang: BCP-47 code.
        languages: one line each.
    """

    model_config = ConfigDict(frozen=True)
    recipe: str
    source_lang: str
    languages: tuple[LanguageLine, ...]


class RowStatistics:
    """What the report says of the kept rows of one language, gathered while they stream by."""

    def __init__(self) -> None:
        self.hints: Counter[str] = Counter()
        self.selection: Counter[str] = Counter()
        self._scores = [0] * 101
        self._sum = 0.0
        self._random: list[tuple[str, AlignedRow]] = []
        self._lowest: list[tuple[float, str, AlignedRow]] = []

    def add(self, row: AlignedRow) -> None:
        """Count one row; its group, a digest, is the random draw."""
        for check, reason in row.verdicts.items():
            if check == "selection":
                self.selection[reason] += 1
            elif reason != OK:
                self.hints[f"{check}: {reason}"] += 1
        _keep_largest(self._random, (row.group, row))
        if row.quality is not None:
            self._scores[round(row.quality * 100)] += 1
            self._sum += row.quality
            _keep_largest(self._lowest, (-row.quality, row.group, row))

    @property
    def score_mean(self) -> float | None:
        """Mean score; None where no row has one."""
        scored = sum(self._scores)
        return round(self._sum / scored, 4) if scored else None

    @property
    def score_low(self) -> float | None:
        """The tenth percentile of the scores, to a hundredth."""
        wanted, seen = sum(self._scores) / 10, 0
        for hundredths, rows in enumerate(self._scores):
            seen += rows
            if seen and seen >= wanted:
                return hundredths / 100
        return None

    @property
    def random(self) -> list[AlignedRow]:
        """Rows drawn at random, the same for any order."""
        return [row for *_, row in sorted(self._random, key=lambda item: item[0])]

    @property
    def lowest(self) -> list[AlignedRow]:
        """The rows with the lowest scores, lowest first."""
        return [row for *_, row in sorted(self._lowest, key=lambda item: item[:2], reverse=True)]


def _keep_largest(heap: list[Any], item: tuple[Any, ...]) -> None:
    heapq.heappush(heap, item)
    if len(heap) > _EXAMPLES:
        heapq.heappop(heap)


def language_line(
    lang: str,
    *,
    rows: Tally,
    observed: Sequence[Mapping[str, Any]],
    seconds: float,
    statistics: RowStatistics,
    originals: Mapping[str, AlignedRow],
    drops: Iterable[Mapping[str, str]],
    quality: Iterable[Quality],
    cannot_tell: str,
) -> LanguageLine:
    """Put one language's line together.

    Args:
        lang: BCP-47 code.
        rows: of all shards.
        observed: the `Counts.observed` of each shard.
        seconds: wall time of the shards together.
        statistics: of the kept rows.
        originals: group to the row in the source language, of at least the examples.
        drops: rows of DROP_SCHEMA, of all shards.
        quality: what was measured.
        cannot_tell: why language identification is weak here, or empty.
    """
    return LanguageLine(
        lang=lang,
        rows=rows,
        engines=tuple(_engine_lines([shard.get("engines", []) for shard in observed])),
        escalated=_summed(shard.get("escalated", {}) for shard in observed),
        rescued=_summed(shard.get("rescued", {}) for shard in observed),
        seconds=round(seconds, 1),
        hints=_summed([statistics.hints]),
        selection=_summed([statistics.selection]),
        score_mean=statistics.score_mean,
        score_low=statistics.score_low,
        quality=tuple(quality),
        cannot_tell=cannot_tell,
        random=tuple(_example(row, originals[row.group]) for row in statistics.random),
        lowest=tuple(_example(row, originals[row.group]) for row in statistics.lowest),
        dropped=tuple(_one_of_each_reason(drops)),
    )


def _one_of_each_reason(drops: Iterable[Mapping[str, str]]) -> list[DroppedExample]:
    first: dict[str, Mapping[str, str]] = {}
    for drop in drops:
        # By group, a digest: at random, but the same however the rows were cut into shards.
        if drop["where"] < first.get(drop["reason"], {"where": "~"})["where"]:
            first[drop["reason"]] = drop
    return [
        DroppedExample(reason=reason, detail=_cut(drop["detail"]), text=_cut(drop["text"]))
        for reason, drop in sorted(first.items())
    ]


def _engine_lines(shards: Sequence[Sequence[Mapping[str, Any]]]) -> list[EngineLine]:
    positions = zip(*(shard for shard in shards if shard), strict=True)
    return [
        EngineLine(
            engine=of_all[0]["engine"], **{name: sum(one[name] for one in of_all) for name in _ENGINE_SUMS}
        )
        for of_all in positions
    ]


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _example(row: AlignedRow, original: AlignedRow) -> Example:
    return Example(source=_told(original), translated=_told(row), score=row.quality)


def _told(row: AlignedRow) -> str:
    parts = (part for part in (row.instruction, row.input, row.output) if part.strip())
    return "\n→ ".join(_cut(part) for part in parts)


def _cut(text: str) -> str:
    return text if len(text) <= _EXCERPT_CHARS else f"{text[:_EXCERPT_CHARS]}…"
