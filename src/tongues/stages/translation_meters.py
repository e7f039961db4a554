"""What a translation counts, shown to Prometheus as it goes."""

from collections.abc import Iterator
from typing import TypeVar

from tongues.core.manifest import Tally
from tongues.core.meters import METER
from tongues.inference.counts import EngineCounts
from tongues.stages.rows import Sorter
from tongues.translation.counts import Counts

T = TypeVar("T")
_NAME = "tongues_translation_"


def measured(rows: Iterator[T], lang: str, counts: Counts, sorter: Sorter) -> Iterator[T]:
    """Pass rows through and show the counts after each, and once more after the last.

    A second pass over the same rows counts from nothing; what was shown does not fall meanwhile.
    """
    for row in rows:
        _show(lang, counts, sorter)
        yield row
    _show(lang, counts, sorter)


def _show(lang: str, counts: Counts, sorter: Sorter) -> None:
    _show_rows(lang, sorter.tally(lang))
    for engine in counts.engines:
        _show_engine(lang, engine)


def _show_rows(lang: str, tally: Tally) -> None:
    dropped = sum(tally.dropped.values())
    for outcome, rows in (("kept", tally.rows_out), ("dropped", dropped)):
        METER.raise_to(_NAME + "rows_total", rows, lang=lang, outcome=outcome)
    for reason, rows in tally.dropped.items():
        METER.raise_to(_NAME + "dropped_rows_total", rows, lang=lang, reason=reason)


def _show_engine(lang: str, engine: EngineCounts) -> None:
    of = {"lang": lang, "engine": engine.engine}
    for kind, tokens in (("prompt", engine.prompt_tokens), ("completion", engine.completion_tokens)):
        METER.raise_to(_NAME + "tokens_total", tokens, **of, kind=kind)
    METER.raise_to(_NAME + "requests_total", engine.requests, **of)
    METER.raise_to(_NAME + "ledger_hits_total", engine.ledger_hits, **of)
    METER.raise_to(_NAME + "cost_total", engine.cost, **of)
    for reason, texts in engine.failures.items():
        METER.raise_to(_NAME + "errors_total", texts, **of, reason=reason)
