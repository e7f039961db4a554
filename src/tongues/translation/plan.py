"""What a translation will take, before anything is spent: counted from the rows, measured on a sample."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

from tongues.core.ports import Protector
from tongues.core.records import SourceRow
from tongues.inference.engine import Engine, Outcome
from tongues.inference.ledger import Ledger, ledger_key
from tongues.translation.one_engine import requests_for
from tongues.translation.selection import EVERYTHING, Decision

Decide = Callable[[SourceRow], Decision]


class Estimate(BaseModel):
    """The work of one language by its first engine.

    Args:
        lang: BCP-47 code of the target.
        rows: rows to translate.
        skipped: rows that selection leaves out.
        segments: requests in them, repeated ones counted each time.
        characters: characters of all segments.
        in_ledger: distinct segments that are paid for already.
        requests: distinct segments to send; a failing endpoint adds repeated tries.
        characters_to_send: characters of those.
    """

    model_config = ConfigDict(frozen=True)
    lang: str
    rows: int = Field(ge=0)
    skipped: int = Field(ge=0)
    segments: int = Field(ge=0)
    characters: int = Field(ge=0)
    in_ledger: int = Field(ge=0)
    requests: int = Field(ge=0)
    characters_to_send: int = Field(ge=0)

    def seconds(self, rate: "Rate") -> float:
        """Time to expect at a measured rate; by characters, which vary less than segments do."""
        return self.characters_to_send / rate.characters_per_s if self.requests else 0.0

    def tokens(self, rate: "Rate") -> tuple[int, int]:
        """Tokens in and out to expect: a fixed part per request, and a part per character."""
        tokens_in = self.requests * rate.prompt_tokens / rate.segments
        tokens_out = self.characters_to_send * rate.completion_tokens / rate.characters
        return round(tokens_in), round(tokens_out)


class Rate(BaseModel):
    """What was measured on a sample.

    Args:
        segments_per_s: segments answered per second.
        characters_per_s: their source characters per second.
        segments: segments in the sample.
        characters: their source characters.
        prompt_tokens: tokens in for them.
        completion_tokens: tokens out.
        failed: how many of them failed.
        seconds: wall time of the sample, without the engine's start.
    """

    model_config = ConfigDict(frozen=True)
    segments_per_s: float = Field(gt=0)
    characters_per_s: float = Field(gt=0)
    segments: int = Field(ge=1)
    characters: int = Field(ge=1)
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    failed: int = Field(ge=0)
    seconds: float = Field(gt=0)


def estimate(
    rows: Iterable[SourceRow],
    *,
    engine: Engine,
    source_lang: str,
    target_lang: str,
    ledger: Ledger,
    protector: Protector,
    decide: Decide = lambda _: EVERYTHING,
) -> Estimate:
    """Count what is to be sent, exactly: the rows are masked and cut as translation will do it.

    Args:
        rows: read once; memory holds 32 bytes per distinct segment.
        engine: the first of the chain, only asked for its `step` and its unit.
        source_lang: BCP-47 code of the rows.
        target_lang: BCP-47 code to translate into.
        ledger: looked up, not changed.
        protector: the one translation will use.
        decide: the one translation will use.
    """
    step = engine.step(source_lang, target_lang)
    names = ("rows", "skipped", "segments", "characters", "in_ledger", "requests", "characters_to_send")
    total = dict.fromkeys(names, 0)
    seen: set[bytes] = set()
    for row in rows:
        decision = decide(row)
        texts = [] if decision.skip else requests_for(row, decision, engine.unit, protector)
        total["rows"] += 1
        total["skipped"] += bool(decision.skip)
        total["segments"] += len(texts)
        total["characters"] += sum(map(len, texts))
        keys = {ledger_key(text, step, source_lang, target_lang): len(text) for text in texts}
        new = {key: chars for key, chars in keys.items() if key not in seen}
        seen.update(new)
        known = ledger.get_many(new)
        total["in_ledger"] += len(known)
        total["requests"] += len(new) - len(known)
        total["characters_to_send"] += sum(chars for key, chars in new.items() if key not in known)
    return Estimate(lang=target_lang, **total)


def sample_requests(
    rows: Iterable[SourceRow],
    *,
    engine: Engine,
    protector: Protector,
    count: int,
    decide: Decide = lambda _: EVERYTHING,
) -> list[str]:
    """The first distinct requests of some rows: a sample for `measure_rate`.

    Args:
        rows: read until there are enough.
        engine: asked for its unit.
        protector: the one translation will use.
        count: requests wanted, at least 1.
        decide: the one translation will use.
    """
    found: dict[str, None] = {}
    for row in rows:
        decision = decide(row)
        if not decision.skip:
            found.update(dict.fromkeys(requests_for(row, decision, engine.unit, protector)))
        if len(found) >= count:
            break
    return list(found)[:count]


def measure_rate(
    engine: Engine,
    sample: Sequence[str],
    *,
    source_lang: str,
    target_lang: str,
    ledger: Ledger | None = None,
) -> Rate:
    """Translate a sample, fed as translation will feed the engine, and time it.

    All of it is sent, known or not.

    Args:
        engine: measured, then closed.
        sample: at least two distinct segments; the first starts the engine, outside the measured time.
        source_lang: BCP-47 code.
        target_lang: BCP-47 code.
        ledger: keeps the answers, so that the sample is not paid for twice.

    Raises:
        EngineError: the engine is out of order.
        ValueError: the sample is too small to time.
    """
    if len(sample) < 2:
        raise ValueError("a rate needs a sample of at least two segments")
    return asyncio.run(_measure(engine, list(sample), (source_lang, target_lang), ledger))


async def _measure(engine: Engine, sample: list[str], pair: tuple[str, str], ledger: Ledger | None) -> Rate:
    step, gate = engine.step(*pair), asyncio.Semaphore(engine.concurrency)

    async def run(texts: list[str]) -> list[Outcome]:
        async with gate:
            outcomes = await engine.answer(texts, *pair)
        if ledger is not None:
            ledger.put_many({ledger_key(t, step, *pair): o for t, o in zip(texts, outcomes, strict=True)})
        return outcomes

    try:
        await run(sample[:1])
        timed, started = sample[1:], time.perf_counter()
        answered = await asyncio.gather(*map(run, _batches(timed, engine.batch_segments)))
        seconds = time.perf_counter() - started
    finally:
        await engine.aclose()
    return _rate(timed, [outcome for outcomes in answered for outcome in outcomes], seconds)


def _batches(texts: list[str], size: int) -> Iterator[list[str]]:
    return (texts[i : i + size] for i in range(0, len(texts), size))


def _rate(texts: list[str], outcomes: list[Outcome], seconds: float) -> Rate:
    characters = sum(map(len, texts))
    return Rate(
        segments_per_s=len(texts) / seconds,
        characters_per_s=characters / seconds,
        segments=len(texts),
        characters=characters,
        prompt_tokens=sum(outcome.prompt_tokens for outcome in outcomes),
        completion_tokens=sum(outcome.completion_tokens for outcome in outcomes),
        failed=sum(outcome.text is None for outcome in outcomes),
        seconds=seconds,
    )
