"""What every engine is: it says what it can do, and answers each text or says why not.

A text is a segment to translate (one line, protected spans already replaced by marks), a whole row, or a
prompt to write by; the engine returns one `Outcome` for each. A failure is an outcome with a reason, never
an empty text. An engine states how it likes to be fed: `batch_segments` at a time, `concurrency` batches
at once; `tongues.inference.dispatch` feeds it so. Resources (processes, connections) are opened on the
first call and live on one event loop until `aclose`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tongues.core.recipe import PriceSection
from tongues.core.records import Step
from tongues.inference.spending import Spent

OK = "ok"

Unit = Literal["segment", "row", "prompt"]
"""What one text is: a line of a field, a whole row as JSON, or what a model is to write by."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one text.

    Args:
        text: the answer, never empty; None if there is none.
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
    """Something that answers texts; see the module docstring for the contract."""

    @property
    def name(self) -> str:
        """Engine name, such as "apertium"."""

    @property
    def batch_segments(self) -> int:
        """Segments that one call of `answer` takes best."""

    @property
    def concurrency(self) -> int:
        """Calls of `answer` that may run at the same time."""

    @property
    def unit(self) -> Unit:
        """What a text is."""

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
        """Whether it can do two BCP-47 codes, on this machine, now."""

    def pairs(self) -> list[tuple[str, str]]:
        """The pairs it can do, for messages; empty means any pair."""

    def step(self, source: str, target: str) -> Step:
        """Name, model with version, prompt and parameter digests: what the ledger keys on.

        Two steps are equal only if equal text gives an equally good answer, so parameters that
        change speed but not text (batch size, time-outs, the address) are left out.
        """

    def at_most(self, texts: Sequence[str]) -> Spent:
        """What one call of `answer` with these texts may cost at the very worst, all tries included.

        A budget is hard because no call is begun that could overstep it.
        """

    async def answer(self, texts: Sequence[str], source: str, target: str) -> list[Outcome]:
        """Answer texts.

        Args:
            texts: not empty, each with at least one letter.
            source: BCP-47 code of the texts.
            target: BCP-47 code of the answers.

        Returns:
            Exactly one outcome per text, in the same order.

        Raises:
            EngineError: the engine as a whole is out of order; no segment is to blame.
        """

    async def aclose(self) -> None:
        """End processes and connections; the engine may be used again, also on another loop."""
