"""Ask an OpenAI-compatible endpoint, one model or several side by side."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
from openai import APIConnectionError, APIStatusError, NotFoundError, OpenAI, OpenAIError
from openai.types.chat import ChatCompletionChunk

from tongues.core.errors import ServingError

OnText = Callable[[str], None]
_FIX_BROKEN = "look at the server's log; it may have stopped"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said.

    Args:
        text: the answer; may be empty, when the model ended at once.
        tokens: tokens generated, as the server counted them.
        seconds: from request to last token.
    """

    text: str
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    """One question and what each model said, in the order the models were named."""

    question: str
    answers: tuple[Answer, ...]


def ask(
    endpoint_url: str,
    model: str,
    question: str,
    *,
    max_tokens: int = 256,
    temperature: float = 0.0,
    api_key: str = "none",
    timeout_s: float = 120.0,
    on_text: OnText | None = None,
) -> Answer:
    """Ask one question and read the answer as it comes.

    Args:
        endpoint_url: address up to and with /v1.
        model: name the endpoint serves it under.
        question: the user's turn; the endpoint applies the model's chat template.
        max_tokens: length limit of the answer, at least 1.
        temperature: 0 for the most likely answer, up to 2.
        api_key: sent as bearer token; a local server ignores it.
        timeout_s: longest silence of the endpoint, in seconds.
        on_text: called with each piece of text as it arrives, for a terminal.

    Raises:
        ServingError: the endpoint is not there, refuses, or breaks off.
    """
    started = time.monotonic()
    answer = _Partial(on_text)
    with OpenAI(base_url=endpoint_url, api_key=api_key, timeout=timeout_s, max_retries=1) as client:
        try:
            for chunk in client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": question}],
                max_tokens=max_tokens,
                temperature=temperature,
                stream=True,
                stream_options={"include_usage": True},
            ):
                answer.take(chunk)
        except (OpenAIError, httpx.HTTPError, ValueError) as error:
            raise _explained(client, endpoint_url, model, error) from error
    if not answer.ended:
        raise ServingError("broke off in the middle of an answer", where=endpoint_url, fix=_FIX_BROKEN)
    return Answer("".join(answer.pieces), answer.tokens, time.monotonic() - started)


class _Partial:
    """An answer as far as it has come; only a reason to finish makes it whole."""

    def __init__(self, on_text: OnText | None) -> None:
        self.on_text = on_text
        self.pieces: list[str] = []
        self.tokens = 0
        self.ended = False

    def take(self, chunk: ChatCompletionChunk) -> None:
        if chunk.usage:
            self.tokens = chunk.usage.completion_tokens
        for choice in chunk.choices:
            self.ended = self.ended or choice.finish_reason is not None
            if choice.delta.content:
                self.pieces.append(choice.delta.content)
                if self.on_text:
                    self.on_text(choice.delta.content)


def ask_side_by_side(
    endpoints: Sequence[tuple[str, str]],
    questions: Sequence[str],
    *,
    max_tokens: int = 256,
    temperature: float = 0.0,
) -> list[Asked]:
    """Ask each question of each endpoint, all endpoints at the same time.

    Args:
        endpoints: (URL, model name) pairs.
        questions: asked one after the other.
        max_tokens: length limit of each answer.
        temperature: 0 for the most likely answer.

    Raises:
        ServingError: one of them fails.
    """

    def of_all(question: str) -> Asked:
        waiting = [
            pool.submit(ask, url, model, question, max_tokens=max_tokens, temperature=temperature)
            for url, model in endpoints
        ]
        return Asked(question, tuple(answer.result() for answer in waiting))

    with ThreadPoolExecutor(max_workers=max(1, len(endpoints))) as pool:
        return [of_all(question) for question in questions]


def _explained(client: OpenAI, url: str, model: str, error: Exception) -> ServingError:
    if isinstance(error, NotFoundError):
        return ServingError(f"no model {model!r} here", where=url, fix=f"ask for one of {_served(client)}")
    if isinstance(error, APIStatusError):
        return ServingError(f"refused the question: {error.message}", where=url)
    if isinstance(error, APIConnectionError):
        fix = "start it with `tongues serve MODEL@ALIAS --detach`, or correct the address"
        return ServingError(f"does not answer ({error.message})", where=url, fix=fix)
    return ServingError(f"broke off in the middle of an answer ({error})", where=url, fix=_FIX_BROKEN)


def _served(client: OpenAI) -> str:
    try:
        return ", ".join(model.id for model in client.models.list())
    except OpenAIError:
        return "those that its /models lists"
