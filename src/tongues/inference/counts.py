"""What was asked of one engine, in numbers: for progress, for the manifest, for reports."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tongues.inference.engine import Outcome
from tongues.inference.spending import Spent


@dataclass
class EngineCounts:
    """Counters of one engine.

    Args:
        engine: its name.
        rows_tried: rows it was given.
        rows_kept: rows it answered well enough.
        segments: texts in them, repeated ones counted each time.
        ledger_hits: texts answered from the ledger.
        shared: texts that waited for an equal one already on its way.
        sent: texts handed to the engine.
        requests: requests the engine made for them, repeated tries included.
        characters: characters of what was sent.
        prompt_tokens: tokens in, where the engine counts tokens.
        completion_tokens: tokens out.
        cost: money, by the recipe's prices.
        failures: reason to texts that the engine could not answer.
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

    def observed(self) -> dict[str, Any]:
        """For the manifest's `observed`: what may differ between two equal runs."""
        # asdict would rebuild the Counter from its pairs, and so count the pairs.
        return vars(self) | {"failures": dict(sorted(self.failures.items()))}
