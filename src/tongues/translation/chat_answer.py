"""Reading a chat endpoint's answer: only a whole, well-formed one is a translation."""

import dataclasses
import json
from typing import Any

from tongues.translation.engine import Outcome, encodable, failed

_EXCERPT_CHARS = 120


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
    if "html" in content_type or body.lstrip()[:1] == "<":
        return failed("error-page", _excerpt(body))
    try:
        document = json.loads(body)
    except ValueError as error:
        return failed("broken-json", f"{error}: {_excerpt(body)}")
    try:
        choice = document["choices"][0]
        content, finish = choice["message"]["content"], choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        return failed("wrong-shape", _excerpt(body))
    return dataclasses.replace(_judge(text, content, finish), **_tokens(document))


def _judge(text: str, content: Any, finish: Any) -> Outcome:
    if not isinstance(content, str | None):
        return failed("wrong-shape", f"content is {type(content).__name__}")
    answer = (content or "").strip()
    if finish == "length":
        # It was paid for, and the same request would be cut off at the same place again.
        return failed("truncated", _excerpt(answer), permanent=True)
    if not answer:
        return failed("empty-answer", f"finish_reason {finish!r}")
    if not encodable(answer):
        return failed("not-unicode", "lone surrogate in the answer")
    if len(answer.splitlines()) > len(text.splitlines()):
        return failed("added-lines", _excerpt(answer))
    return Outcome(answer)


def _tokens(document: dict[str, Any]) -> dict[str, Any]:
    usage = document.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    names = ("prompt_tokens", "completion_tokens")
    return {name: counted[name] if isinstance(counted.get(name), int) else 0 for name in names}


def _excerpt(text: str) -> str:
    return " ".join(text.split())[:_EXCERPT_CHARS]
