"""What a translation did, in numbers: for progress, for the manifest, for the report."""

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tongues.translation.engine import Outcome


@dataclass
class Counts:
    """Counters of one language.

    Args:
        rows: rows read.
        segments: segments in them, repeated ones counted each time.
        ledger_hits: segments answered from the ledger.
        shared: segments that waited for an equal one already on its way.
        sent: segments handed to the engine.
        requests: requests the engine made for them, repeated tries included.
        prompt_tokens: tokens in, where the engine counts tokens.
        completion_tokens: tokens out.
        failures: reason to segments that the engine could not translate.
    """

    rows: int = 0
    segments: int = 0
    ledger_hits: int = 0
    shared: int = 0
    sent: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def settle(self, outcome: Outcome) -> None:
        """Count an answer of the engine."""
        self.prompt_tokens += outcome.prompt_tokens
        self.completion_tokens += outcome.completion_tokens
        if outcome.text is None:
            self.failures[outcome.reason] += 1

    def observed(self) -> dict[str, Any]:
        """For the manifest's `observed`: what may differ between two equal runs."""
        return dataclasses.asdict(self) | {"failures": dict(sorted(self.failures.items()))}
