"""A model behind an OpenAI-compatible endpoint, asked the same as one on this machine.

Answers come from chat completions at temperature 0, with the endpoint's own chat template; options are
scored through completions that repeat their prompt, as the very tokens that `model` would score. Requests
go out as many at a time as the endpoint bears, and every answer is in a ledger before it counts, so a run
that was killed asks only what is missing.

What may differ from transformers, since the endpoint computes in its own way: near ties, in number formats
with fewer digits, and penalties that the endpoint adds of itself. `agreement` says how much it is.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tongues.core.errors import EvaluationError
from tongues.core.languages import UNDETERMINED
from tongues.core.recipe import BudgetSection, OpenAIEngine
from tongues.evaluation.likelihood import EncodedOptions, OptionScore
from tongues.evaluation.model import encode_all, load_tokenizer
from tongues.evaluation.runner import Done, trimmed
from tongues.inference.budget import Budget
from tongues.inference.chat import ChatMessage
from tongues.inference.chat_answer import said_in, with_tokens
from tongues.inference.engine import Engine, Outcome, encodable, failed
from tongues.inference.json_answer import read_json
from tongues.inference.ledger import Ledger
from tongues.inference.likelihoods import Likelihood, Likelihoods, read_sums
from tongues.inference.writer import Prompt, PromptedChat, Writer, write_all

_EMPTY = "empty-answer"
T = TypeVar("T")


class _Answers(PromptedChat):
    """Answers as they are: one that is cut off at its limit counts as far as it goes, as elsewhere."""

    op = "answer"

    def read(self, text: str, body: str, content_type: str) -> Outcome:
        """The answer; an empty one is a stored failure, because a greedy model would repeat it."""

        def pick(document: Any) -> list[Outcome]:
            content, _ = said_in(document)
            return [with_tokens(_kept(content), document)]

        return read_json(body, content_type, pick)[0]


def _kept(content: Any) -> Outcome:
    if not isinstance(content, str | None):
        return failed("wrong-shape", f"a {type(content).__name__} in place of a text")
    said = trimmed(content or "")
    if not said:
        return failed(_EMPTY, "no text came back", permanent=True)
    return Outcome(said) if encodable(said) else failed("not-unicode", "lone surrogate in the answer")


class ServedModel:
    """An endpoint, ready to be asked.

    Args:
        section: address, model name and limits.
        ledger: what was answered; it must be this very model's, since only names are compared.
        tokenizer: folder with the model's tokenizer, for multiple choice; None where there is none.
        first_wait_s: see `HttpEngine`.
    """

    def __init__(
        self, section: OpenAIEngine, ledger: Ledger, tokenizer: Path | None, *, first_wait_s: float = 0.5
    ) -> None:
        self._section, self._ledger, self._tokenizer = section, ledger, tokenizer
        self._first_wait_s = first_wait_s

    def describe(self) -> str:
        """Model and addresses."""
        where = ", ".join(endpoint.base_url for endpoint in self._section.endpoints)
        return f"{self._section.model} at {where}"

    def choice_loglikelihoods(
        self, prompts: Sequence[str], options: Sequence[Sequence[str]], *, done: Done = lambda _: None
    ) -> list[list[OptionScore]]:
        """Score every option of every prompt; see `Runner`.

        Raises:
            EvaluationError: there is no tokenizer, or the endpoint left something unanswered.
            EngineError: the endpoint is out of order, or cannot score prompts.
        """
        encoded = self._encoded(prompts, options)
        writer = self._writer(Likelihoods(self._section, first_wait_s=self._first_wait_s))
        asked = [Likelihood(one.ids, one.starts).text() for one in encoded]
        answered = self._all(asked, writer.ask, writer, done)
        return [
            _scores(one, read_sums(outcome.text or ""))
            for one, outcome in zip(encoded, answered, strict=True)
        ]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        systems: Sequence[str] = (),
        done: Done = lambda _: None,
    ) -> list[str]:
        """Answer each prompt; see `Runner`.

        Raises:
            EvaluationError: the endpoint left something unanswered.
            EngineError: the endpoint is out of order.
        """
        section = self._section.model_copy(update={"max_output_tokens": max_new_tokens, "temperature": 0.0})
        writer = self._writer(_Answers(section, first_wait_s=self._first_wait_s))
        told = zip(prompts, systems or [""] * len(prompts), strict=True)
        asked = [Prompt(_messages(prompt, system)) for prompt, system in told]
        return [outcome.text or "" for outcome in self._all(asked, writer.write, writer, done)]

    def _encoded(self, prompts: Sequence[str], options: Sequence[Sequence[str]]) -> list[EncodedOptions]:
        if self._tokenizer is None:
            raise EvaluationError(
                "multiple choice needs the served model's tokenizer, to know where an option begins",
                where=self.describe(),
                fix="give its folder",
            )
        tokenizer, opening = load_tokenizer(self._tokenizer)
        return encode_all(tokenizer, opening, prompts, options, where=str(self._tokenizer))

    def _writer(self, engine: Engine) -> Writer:
        return Writer(self._section, self._ledger, Budget(BudgetSection()), UNDETERMINED, engine=engine)

    def _all(
        self, asked: Sequence[T], ask: Callable[[T], Awaitable[Outcome]], writer: Writer, done: Done
    ) -> list[Outcome]:
        """Every answer; an empty one is an answer, anything else that is missing is an error."""
        outcomes = list[Outcome]()
        for outcome in write_all(asked, ask, writer):
            outcomes.append(outcome)
            done(1)
        missing = [outcome for outcome in outcomes if outcome.text is None and outcome.reason != _EMPTY]
        if missing:
            raise EvaluationError(
                f"{len(missing)} of {len(outcomes)} items were not answered, the first with "
                f"{missing[0].reason!r} ({missing[0].detail})",
                where=self.describe(),
                fix="see that the endpoint works and takes prompts this long, then run again: only what is "
                "missing will be asked",
            )
        return outcomes


def _messages(prompt: str, system: str) -> tuple[ChatMessage, ...]:
    user = ChatMessage(role="user", content=prompt)
    return (ChatMessage(role="system", content=system), user) if system else (user,)


def _scores(encoded: EncodedOptions, sums: Sequence[float]) -> list[OptionScore]:
    return [
        OptionScore(total, len(ids) - start, characters)
        for total, ids, start, characters in zip(
            sums, encoded.ids, encoded.starts, encoded.characters, strict=True
        )
    ]
