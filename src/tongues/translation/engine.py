"""What every translation engine is: it says what it can do, and answers each segment or says why not.

An engine is handed segments (one line of text each, protected spans already replaced by marks)
and returns one `Outcome` per segment. A failure is an outcome with a reason, never an empty text.
An engine states how it likes to be fed: `batch_segments` at a time, `concurrency` batches at once;
`tongues.translation.translate` feeds it so. Resources (processes, connections) are opened on the
first call and live on one event loop until `aclose`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tongues.core.recipe import PriceSection
from tongues.core.records import Step
from tongues.translation.spending import Spent

OK = "ok"

Unit = Literal["segment", "row"]
"""What one text of a request is: a line of a field, or a whole row as JSON (see `selective`)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one segment.

    Args:
        text: the translation, never empty; None if the segment failed.
        reason: "ok", or a short stable word that tallies count by, such as "timeout".
        detail: what was seen, for a reader.
        permanent: the same request would fail in the same way again, so it is not to be repeated.
        prompt_tokens: tokens paid for on the way in; 0 where the engine has no tokens.
        completion_tokens: tokens paid for on the way out.
    """

    text: str | None
    reason: str = OK
    detail: str = ""
    permanent: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def keeps(self) -> bool:
        """Whether the ledger holds it: answers, and failures that would only repeat themselves."""
        return self.text is not None or self.permanent


def failed(reason: str, detail: str = "", *, permanent: bool = False) -> Outcome:
    """An outcome without a text; see `Outcome`. The detail is cut at 500 characters."""
    return Outcome(None, reason, detail[:500], permanent)


def encodable(text: str) -> bool:
    """Whether a text is valid Unicode: lone surrogates fit neither UTF-8 nor Parquet."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Engine(Protocol):
    """A translator; see the module docstring for the contract."""

    @property
    def name(self) -> str:
        """Engine name, such as "apertium"."""

    @property
    def batch_segments(self) -> int:
        """Segments that one call of `translate` takes best."""

    @property
    def concurrency(self) -> int:
        """Calls of `translate` that may run at the same time."""

    @property
    def unit(self) -> Unit:
        """What a text is: "segment", or "row" for an engine that is given whole rows as JSON."""

    @property
    def max_characters(self) -> int | None:
        """Longest text it takes; None where it states no limit."""

    @property
    def price(self) -> PriceSection:
        """What it costs, as the recipe says."""

    @property
    def requests_sent(self) -> int:
        """Requests made so far, repeated tries included: what an endpoint bills or a process computes."""

    def supports(self, source: str, target: str) -> bool:
        """Whether it translates between two BCP-47 codes, on this machine, now."""

    def pairs(self) -> list[tuple[str, str]]:
        """The pairs it can do, for messages; empty means any pair."""

    def step(self, source: str, target: str) -> Step:
        """Name, model with version, prompt and parameter digests: what the ledger keys on.

        Two steps are equal only if equal text gives an equally good answer, so parameters that
        change speed but not text (batch size, time-outs, the address) are left out.
        """

    def at_most(self, texts: Sequence[str]) -> Spent:
        """What one call of `translate` with these texts may cost at the very worst, all tries included.

        A budget is hard because no call is begun that could overstep it.
        """

    async def translate(self, texts: Sequence[str], source: str, target: str) -> list[Outcome]:
        """Translate segments.

        Args:
            texts: not empty, each with at least one letter.
            source: BCP-47 code.
            target: BCP-47 code.

        Returns:
            Exactly one outcome per text, in the same order.

        Raises:
            EngineError: the engine as a whole is out of order; no segment is to blame.
        """

    async def aclose(self) -> None:
        """End processes and connections; the engine may be used again, also on another loop."""
