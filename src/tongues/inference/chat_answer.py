"""Reading a chat endpoint's answer: only a whole, well-formed one is a translation."""

import dataclasses
from typing import Any

from tongues.inference.engine import Outcome, failed
from tongues.inference.json_answer import excerpt, judged, read_json


def read_answer(text: str, body: str, content_type: str) -> Outcome:
    """Turn the body of a 200 answer into an outcome.

    Args:
        text: the segment that was sent.
        body: what came back.
        content_type: its media type as the endpoint stated it.

    Returns:
        The translation, or a failure: "error-page" (HTML with 200), "broken-json", "wrong-shape",
        "truncated" (the model ran into its token limit), "empty-answer", "added-lines", "not-unicode".
    """

    def pick(document: Any) -> list[Outcome]:
        content, finish = said_in(document)
        outcome = cut_off(content) if finish == "length" else judged(text, content)
        return [with_tokens(outcome, document)]

    return read_json(body, content_type, pick)[0]


def said_in(document: Any) -> tuple[Any, Any]:
    """Content and finish reason of a chat completion.

    Raises:
        KeyError, IndexError, TypeError, AttributeError: it is none.
    """
    choice = document["choices"][0]
    return choice["message"]["content"], choice.get("finish_reason")


def cut_off(content: Any) -> Outcome:
    """The failure for an answer that ran into the token limit.

    It was paid for, and the same request would be cut off at the same place again, so the ledger keeps it.
    """
    return failed("truncated", excerpt(str(content or "")), permanent=True)


def with_tokens(outcome: Outcome, document: dict[str, Any]) -> Outcome:
    """The outcome with the tokens that the endpoint counted; 0 where it does not say."""
    usage = document.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    tokens_in, tokens_out = (
        counted[name] if isinstance(counted.get(name), int) else 0
        for name in ("prompt_tokens", "completion_tokens")
    )
    return dataclasses.replace(outcome, prompt_tokens=tokens_in, completion_tokens=tokens_out)
