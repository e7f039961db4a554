"""What a translation did, in numbers: for progress, for the manifest, for the report."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tongues.inference.counts import EngineCounts


@dataclass
class Counts:
    """Counters of one language.

    Args:
        rows: rows read.
        engines: of each engine of the chain, in order.
        escalated: reason to rows that an engine could not do and the next one was given.
        rescued: the same reasons, but only of rows that a later engine then did.
        lost_in_passing: rows dropped for a reason that may have passed by the next run.
    """

    rows: int = 0
    engines: list[EngineCounts] = field(default_factory=list)
    escalated: Counter[str] = field(default_factory=Counter)
    rescued: Counter[str] = field(default_factory=Counter)
    lost_in_passing: int = 0

    @property
    def ledger_hits(self) -> int:
        """Segments answered from the ledger, all engines together."""
        return sum(counts.ledger_hits for counts in self.engines)

    @property
    def sent(self) -> int:
        """Segments handed to engines."""
        return sum(counts.sent for counts in self.engines)

    @property
    def requests(self) -> int:
        """Requests that engines made."""
        return sum(counts.requests for counts in self.engines)

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return sum(counts.prompt_tokens + counts.completion_tokens for counts in self.engines)

    @property
    def cost(self) -> float:
        """Money spent."""
        return sum(counts.cost for counts in self.engines)

    @property
    def failures(self) -> Counter[str]:
        """Reason to segments that engines could not translate."""
        return sum((counts.failures for counts in self.engines), Counter[str]())

    def add_spending_of(self, earlier: "Counts") -> None:
        """Add what an earlier pass over the same rows has sent and spent; its rows are these rows."""
        for mine, its in zip(self.engines, earlier.engines, strict=True):
            for name in ("sent", "requests", "characters", "prompt_tokens", "completion_tokens", "cost"):
                setattr(mine, name, getattr(mine, name) + getattr(its, name))

    def observed(self) -> dict[str, Any]:
        """For the manifest's `observed`: what may differ between two equal runs."""
        sums = {name: getattr(self, name) for name in ("ledger_hits", "sent", "requests", "tokens", "cost")}
        engines = [engine.observed() for engine in self.engines]
        escalated, rescued = _plain(self.escalated), _plain(self.rescued)
        return vars(self) | sums | {"engines": engines, "escalated": escalated, "rescued": rescued}


def _plain(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items()))
