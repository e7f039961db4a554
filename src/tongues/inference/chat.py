"""Chat completions of any OpenAI-compatible endpoint: vLLM, KServe or a hosted one.

Faults of the way there and back are in `http_engine`. Of what the model says:

    empty answer                    a failed text, not tried again
    cut off at the token limit      the same, and kept in the ledger: it would be cut off there again
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from tongues.core.digests import digest_value
from tongues.core.progress import Say, say_on_stderr
from tongues.core.recipe import EndpointSection, OpenAIEngine
from tongues.core.records import Step
from tongues.inference.endpoint import key_of
from tongues.inference.endpoint_check import fetch_json, problems_of
from tongues.inference.engine import Outcome
from tongues.inference.http_engine import HttpEngine, together
from tongues.inference.pressure import Opening
from tongues.inference.spending import Spent


class ChatMessage(TypedDict):
    """One message as the chat API takes it."""

    role: Literal["system", "user", "assistant"]
    content: str


class Chat(HttpEngine, ABC):
    """An engine that makes one chat request of each text.

    What it says and how it reads the answer is its subclass's: `messages_of`, `prompt_sha256` and `read`,
    and `response_format` where the answer has a schema.

    Args:
        section: the recipe's settings.
        first_wait_s: see `HttpEngine`.
        say: takes a line when an endpoint is put out, is down, or answers again.

    Raises:
        EngineUnavailableError: the environment variable named for a key is not set.
    """

    name = "openai"
    op: str
    """What a record says was done to it, such as "translate"."""
    batch_segments = 1
    # A server that computes 64 requests at a time needs as many in line, so that no place stays empty.
    opening = Opening(first=32, unproven=128)
    fixed_tokens = 1_000
    """More than the fixed part and the chat template can have, in any tokenizer."""

    def __init__(self, section: OpenAIEngine, *, first_wait_s: float = 0.5, say: Say = say_on_stderr) -> None:
        super().__init__(section, first_wait_s=first_wait_s, say=say)
        self._section = section

    def step(self, source: str, target: str) -> Step:
        """The model as the endpoint names it; the address is left out, so that mirrors share a ledger."""
        section = self._section
        params = {"temperature": section.temperature, "max_output_tokens": section.max_output_tokens}
        return Step(
            op=self.op,
            engine=self.name,
            model=section.model,
            prompt_sha256=self.prompt_sha256(source, target),
            params_sha256=digest_value(params),
        )

    def at_most(self, texts: Sequence[str]) -> Spent:
        """All tries, each with as many tokens as it can have: no token is shorter than a byte."""
        tries, output = self.requests_at_most, self._section.max_output_tokens
        characters = tries * sum(map(len, texts))
        tokens_in = tries * sum(self.fixed_tokens + len(text.encode()) for text in texts)
        tokens_out = tries * len(texts) * output
        cost = self.price.cost(characters=characters, prompt_tokens=tokens_in, completion_tokens=tokens_out)
        return Spent(tries * len(texts), characters, tokens_in, tokens_out, cost)

    async def answer(self, texts: Sequence[str], source: str, target: str) -> list[Outcome]:
        """Have the model answer; see `Engine.answer`."""
        return await together([(1, self._ask(text, source, target)) for text in texts])

    @abstractmethod
    def messages_of(self, text: str, source: str, target: str) -> list[ChatMessage]:
        """What the model is told; what never changes for a language pair stands first."""

    @abstractmethod
    def prompt_sha256(self, source: str, target: str) -> str:
        """Digest of everything in `messages_of` and `response_format` that is not the text."""

    @abstractmethod
    def read(self, text: str, body: str, content_type: str) -> Outcome:
        """Turn the body of a 200 answer into an outcome."""

    def response_format(self, text: str, source: str, target: str) -> dict[str, Any] | None:
        """A JSON schema as the chat API takes it; None for free text."""
        return None

    def request(self, text: str, source: str, target: str) -> dict[str, Any]:
        """The body of one request."""
        body = {
            "model": self._section.model,
            "messages": self.messages_of(text, source, target),
            "temperature": self._section.temperature,
            "max_tokens": self._section.max_output_tokens,
        }
        wanted = self.response_format(text, source, target)
        return body if wanted is None else {**body, "response_format": wanted}

    async def _ask(self, text: str, source: str, target: str) -> list[Outcome]:
        def read(body: str, content_type: str) -> list[Outcome]:
            return [self.read(text, body, content_type)]

        return await self.exchange("/chat/completions", self.request(text, source, target), read)


def chat_problems(section: OpenAIEngine, where: str = "translation.engine") -> list[str]:
    """What is wrong with endpoints, keys and the model; asks each endpoint for its models only.

    Args:
        section: the recipe's settings.
        where: the section's key path, for messages.
    """

    def ask(endpoint: EndpointSection) -> list[str]:
        headers = {"Authorization": f"Bearer {key}"} if (key := key_of(endpoint)) else {}
        served = sorted(str(model["id"]) for model in fetch_json(endpoint, "/models", headers)["data"])
        if section.model in served:
            return []
        there = ", ".join(map(repr, served[:10])) or "none"
        return [
            f"{endpoint.base_url}: no model {section.model!r}; it serves {there}. "
            f"Fix: set {where}.model to one of these"
        ]

    return problems_of(section.endpoints, ask, "OpenAI-compatible endpoint (its address ends with /v1)")
