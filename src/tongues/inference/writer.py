"""A chat model that writes by prompts: dialogues, instructions, answers, judgements.

A prompt is a text like any other: its canonical JSON is what the ledger keys on, so nothing is written or
paid for twice, and a budget holds over crashes. Different answers to the same prompt are different samples:
the sample's number is part of the prompt and the seed of the request.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tongues.core.digests import canonical_json
from tongues.core.progress import Progress
from tongues.core.recipe import OpenAIEngine
from tongues.core.records import Step
from tongues.inference.budget import Budget
from tongues.inference.chat import Chat, ChatMessage
from tongues.inference.chat_answer import cut_off, said_in, with_tokens
from tongues.inference.counts import EngineCounts
from tongues.inference.dispatch import Dispatcher
from tongues.inference.engine import Engine, Outcome, Unit, encodable, failed
from tongues.inference.json_answer import excerpt, read_json
from tongues.inference.ledger import Ledger

MALFORMED = "malformed-answer"
_ANY = "und"

T = TypeVar("T")
R = TypeVar("R")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Prompt:
    """What a model is to write by.

    Args:
        messages: the conversation so far; what many prompts share stands first, so that an endpoint with
            prefix caching computes it once.
        answer: the shape of a structured answer; None for free text.
        sample: number of the answer, where several are wanted of the same prompt; needs a temperature
            above 0 to differ.
        temperature: in place of the engine's.
        max_output_tokens: in place of the engine's, never above it.
    """

    messages: tuple[ChatMessage, ...]
    answer: type[BaseModel] | None = None
    sample: int = 0
    temperature: float | None = None
    max_output_tokens: int | None = None

    def text(self) -> str:
        """The prompt as the engine is handed it."""
        schema = self.answer.model_json_schema() if self.answer else None
        options = {
            "messages": self.messages,
            "schema": schema,
            "sample": self.sample or None,
            "temperature": self.temperature,
            "max_output_tokens": self.max_output_tokens,
        }
        return canonical_json({name: value for name, value in options.items() if value is not None}).decode()


class PromptedChat(Chat):
    """The engine: one chat request per prompt, the answer as the model gave it but for outer white space."""

    op = "write"
    unit: Unit = "prompt"

    def supports(self, source: str, target: str) -> bool:
        """Any language: what a model cannot do, the checks find."""
        return True

    def pairs(self) -> list[tuple[str, str]]:
        """Empty: any pair."""
        return []

    def prompt_sha256(self, source: str, target: str) -> str:
        """Empty: all of the prompt is the text."""
        return ""

    def messages_of(self, text: str, source: str, target: str) -> list[ChatMessage]:
        """The messages of a prompt."""
        messages: list[ChatMessage] = json.loads(text)["messages"]
        return messages

    def response_format(self, text: str, source: str, target: str) -> dict[str, Any] | None:
        """The schema of the answer, where the prompt has one."""
        schema = json.loads(text).get("schema")
        named = {"name": "answer", "strict": True, "schema": schema}
        return {"type": "json_schema", "json_schema": named} if schema else None

    def request(self, text: str, source: str, target: str) -> dict[str, Any]:
        """The body of one request, with what the prompt wants otherwise than the engine."""
        body, prompt = super().request(text, source, target), json.loads(text)
        if "temperature" in prompt:
            body["temperature"] = prompt["temperature"]
        if "max_output_tokens" in prompt:
            body["max_tokens"] = min(prompt["max_output_tokens"], body["max_tokens"])
        if "sample" in prompt:
            body["seed"] = prompt["sample"]
        return body

    def read(self, text: str, body: str, content_type: str) -> Outcome:
        """The model's answer, or "truncated", "empty-answer", "not-unicode", "wrong-shape"."""

        def pick(document: Any) -> list[Outcome]:
            content, finish = said_in(document)
            outcome = cut_off(content) if finish == "length" else _written(content)
            return [with_tokens(outcome, document)]

        return read_json(body, content_type, pick)[0]


class Writer:
    """Has prompts written for one language: the ledger first, within the budget.

    Used on one event loop; `write_all` opens and closes it.

    Args:
        section: the chat engine.
        ledger: asked before the engine, told before anyone else.
        budget: what may be spent.
        lang: BCP-47 code of the language that is written for. The ledger does not go by it: all that
            matters stands in the prompt, and what two languages ask alike is paid for once.
        replay_only: never ask the engine; what the ledger does not hold is an error.
        first_wait_s: see `HttpEngine`.
        engine: in place of a `PromptedChat` of the section.
    """

    def __init__(
        self,
        section: OpenAIEngine,
        ledger: Ledger,
        budget: Budget,
        lang: str,
        *,
        replay_only: bool = False,
        first_wait_s: float = 0.5,
        engine: Engine | None = None,
    ) -> None:
        self.engine: Engine = engine or PromptedChat(section, first_wait_s=first_wait_s)
        self.counts = EngineCounts(self.engine.name)
        self.lang = lang
        self._ledger, self._budget, self._replay_only = ledger, budget, replay_only
        self._dispatcher: Dispatcher | None = None

    @property
    def step(self) -> Step:
        """What a record made from its answers says was done."""
        return self.engine.step(_ANY, _ANY)

    async def write(self, prompt: Prompt) -> Outcome:
        """One answer.

        Raises:
            EngineError: the engine is out of order.
            BudgetError: nothing more may be spent.
        """
        if not all(encodable(message["content"]) for message in prompt.messages):
            return failed("not-unicode", "lone surrogate in the prompt")
        return await self.ask(prompt.text())

    async def ask(self, text: str) -> Outcome:
        """The answer to a text as the engine is handed it; raises what `write` does."""
        self._dispatcher = self._dispatcher or self._opened()
        return await self._dispatcher.ask([text])[0]

    async def aclose(self) -> None:
        """Stop what is under way; answers that arrive within some seconds are kept."""
        if self._dispatcher is not None:
            dispatcher, self._dispatcher = self._dispatcher, None
            await dispatcher.close()

    def require_answers(self) -> None:
        """Raise if the engine was asked and never answered: dropping all, one by one, would hide that.

        Raises:
            EngineError: what the engine said last.
        """
        # Answers of the ledger are the engine's too: a rerun may have nothing but hopeless prompts left.
        if self._dispatcher is None or self.counts.ledger_hits:
            return
        if error := self._dispatcher.silence():
            raise error

    def _opened(self) -> Dispatcher:
        """Made on the loop that it lives on."""
        return Dispatcher(
            self.engine,
            _ANY,
            _ANY,
            self._ledger,
            self._budget,
            self.counts,
            replay_only=self._replay_only,
        )


def parsed(outcome: Outcome, shape: type[M]) -> M | Outcome:
    """The structured answer in an outcome; the outcome itself, or "malformed-answer", if there is none."""
    if outcome.text is None:
        return outcome
    try:
        return shape.model_validate_json(outcome.text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "answer"
        return failed(MALFORMED, f"{place}: {first['msg']}: {excerpt(outcome.text)}")


def write_all(
    items: Iterable[T],
    work: Callable[[T], Awaitable[R]],
    writer: Writer,
    *,
    progress: Progress | None = None,
) -> Iterator[R]:
    """Have a coroutine write something for each item, many at a time, results in the order of the items.

    Args:
        items: read as they are needed, so memory does not grow with their number.
        work: asks the writer as often as it likes.
        writer: closed at the end.
        progress: counted up by one for each result.

    Raises:
        EngineError, BudgetError: the writer's; what was answered is in the ledger.
    """
    source = iter(items)
    with asyncio.Runner() as runner:
        window = deque[asyncio.Task[R]]()
        try:
            while result := runner.run(_next(source, work, window, 2 * writer.engine.concurrency)):
                if progress is not None:
                    progress.advance(1, sent=writer.counts.sent, ledger=writer.counts.ledger_hits)
                yield result[0]
            writer.require_answers()
        finally:
            runner.run(_close(window, writer))


async def _next(
    source: Iterator[T], work: Callable[[T], Awaitable[R]], window: deque[asyncio.Task[R]], width: int
) -> list[R]:
    """The first result of the window, which is filled up before; none after the last."""
    while len(window) < width and (item := next(((one,) for one in source), None)):
        window.append(asyncio.ensure_future(_awaited(work, item[0])))
    return [await window.popleft()] if window else []


async def _awaited(work: Callable[[T], Awaitable[R]], item: T) -> R:
    return await work(item)


async def _close(window: deque[asyncio.Task[R]], writer: Writer) -> None:
    for task in window:
        task.cancel()
    await asyncio.gather(*window, return_exceptions=True)
    await writer.aclose()


def _written(content: Any) -> Outcome:
    if not isinstance(content, str | None):
        return failed("wrong-shape", f"a {type(content).__name__} in place of a text")
    said = (content or "").strip()
    if not said:
        return failed("empty-answer", "no text came back")
    return Outcome(said) if encodable(said) else failed("not-unicode", "lone surrogate in the answer")
