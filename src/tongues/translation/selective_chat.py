"""The chat engine that decides and translates: one request per row, structured output, verified answers.

Faults of the way there and back are those of `openai_chat`. Of what the model says:

    no JSON, another shape, a field that comes back empty or with dots in place of text
                                    asked once more, then a failed row
    every field kept                a failed row, kept in the ledger: it would be said again
    cut off at the token limit      the same
    "skip" with a reason            an answer: the row is dropped with the model's reason
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tongues.inference.chat import ChatMessage
from tongues.inference.chat_answer import cut_off, said_in, with_tokens
from tongues.inference.engine import Outcome, Unit
from tongues.inference.json_answer import read_json
from tongues.inference.spending import Spent
from tongues.translation.openai_chat import OpenAIChat
from tongues.translation.selective_answer import MALFORMED, read_row_answer, row_schema
from tongues.translation.selective_prompt import RULES_TOKENS, selective_digest, selective_messages


class SelectiveChat(OpenAIChat):
    """The engine: a text is a whole row, see `selective_answer.row_request`."""

    unit: Unit = "row"

    def at_most(self, texts: Sequence[str]) -> Spent:
        """As any chat engine's, with the longer rules, and all of it twice: see `answer`."""
        once = super().at_most(texts)
        tokens = once.requests * RULES_TOKENS
        rules = Spent(prompt_tokens=tokens, cost=self.price.cost(prompt_tokens=tokens))
        return once + rules + once + rules

    async def answer(self, texts: Sequence[str], source: str, target: str) -> list[Outcome]:
        """Decide on rows and translate them; see `Engine.answer`."""
        outcomes = await super().answer(texts, source, target)
        # The endpoint is well, so this is no try of its own; even at temperature 0 a batch of other
        # rows around it can change what a model says.
        malformed = [at for at, outcome in enumerate(outcomes) if outcome.reason == MALFORMED]
        again = await super().answer([texts[at] for at in malformed], source, target) if malformed else []
        for at, second in zip(malformed, again, strict=True):
            outcomes[at] = _paid_twice(outcomes[at], second)
        return outcomes

    def messages_of(self, text: str, source: str, target: str) -> list[ChatMessage]:
        """What the model is told; what never changes for a language pair stands first."""
        return selective_messages(text, source, target)

    def prompt_sha256(self, source: str, target: str) -> str:
        """Digest of the rules and of the schema of an answer."""
        return selective_digest(source, target)

    def response_format(self, text: str, source: str, target: str) -> dict[str, Any]:
        """The schema of an answer, which endpoints with structured output enforce while they generate."""
        schema = {"name": "translated_row", "strict": True, "schema": row_schema()}
        return {"type": "json_schema", "json_schema": schema}

    def read(self, text: str, body: str, content_type: str) -> Outcome:
        """Turn the body of a 200 answer into an outcome; see `selective_answer.read_row_answer`."""

        def pick(document: Any) -> list[Outcome]:
            content, finish = said_in(document)
            outcome = cut_off(content) if finish == "length" else read_row_answer(text, content)
            return [with_tokens(outcome, document)]

        return read_json(body, content_type, pick)[0]


def _paid_twice(first: Outcome, second: Outcome) -> Outcome:
    """The second outcome with the tokens of both."""
    return dataclasses.replace(
        second,
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
    )
