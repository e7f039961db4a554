"""What a translation did, in numbers: for progress, for the manifest, for the report."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tongues.translation.engine import Outcome
from tongues.translation.spending import Spent


@dataclass
class EngineCounts:
    """Counters of one engine of the chain.

    Args:
        engine: its name.
        rows_tried: rows it was given.
        rows_kept: rows it translated well enough.
        segments: segments in them, repeated ones counted each time.
        ledger_hits: segments answered from the ledger.
        shared: segments that waited for an equal one already on its way.
        sent: segments handed to the engine.
        requests: requests the engine made for them, repeated tries included.
        characters: source characters of what was sent.
        prompt_tokens: tokens in, where the engine counts tokens.
        completion_tokens: tokens out.
        cost: money, by the recipe's prices.
        failures: reason to segments that the engine could not translate.
    """

    engine: str = ""
    rows_tried: int = 0
    rows_kept: int = 0
    segments: int = 0
    ledger_hits: int = 0
    shared: int = 0
    sent: int = 0
    requests: int = 0
    characters: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)

    def settle(self, outcome: Outcome) -> None:
        """Count an answer of the engine."""
        if outcome.text is None:
            self.failures[outcome.reason] += 1

    def spend(self, spent: Spent) -> None:
        """Count what a call cost."""
        self.requests += spent.requests
        self.characters += spent.characters
        self.prompt_tokens += spent.prompt_tokens
        self.completion_tokens += spent.completion_tokens
        self.cost += spent.cost


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
        # asdict would rebuild each Counter from its pairs, and so count the pairs.
        engines = [vars(engine) | {"failures": _plain(engine.failures)} for engine in self.engines]
        escalated, rescued = _plain(self.escalated), _plain(self.rescued)
        return vars(self) | sums | {"engines": engines, "escalated": escalated, "rescued": rescued}


def _plain(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items()))
