"""Reading a 200 answer: only whole, well-formed JSON is an answer, and only text is a translation."""

import json
from collections.abc import Callable
from typing import Any

from tongues.inference.engine import Outcome, encodable, failed

_EXCERPT_CHARS = 120


def read_json(body: str, content_type: str, pick: Callable[[Any], list[Outcome]]) -> list[Outcome]:
    """Read the body of a 200 answer.

    Args:
        body: what came back.
        content_type: its media type as the endpoint stated it.
        pick: takes the outcomes out of the document; a lookup that fails there means a wrong shape.

    Returns:
        What `pick` gave; or one failure: "error-page" (HTML with 200), "broken-json", "wrong-shape".
    """
    if "html" in content_type or body.lstrip()[:1] == "<":
        return [failed("error-page", excerpt(body))]
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        return [failed("broken-json", f"{error}: {excerpt(body)}")]
    try:
        return pick(document)
    except (KeyError, IndexError, TypeError, AttributeError):
        return [failed("wrong-shape", excerpt(body))]


def judged(text: str, answer: Any) -> Outcome:
    """The outcome of a segment, from what stands in the place of its translation.

    Args:
        text: the segment that was sent.
        answer: a text, or whatever came in its place.

    Returns:
        The translation without outer white space, or "wrong-shape", "empty-answer", "not-unicode",
        "added-lines".
    """
    if not isinstance(answer, str | None):
        return failed("wrong-shape", f"a {type(answer).__name__} in place of a text")
    said = (answer or "").strip()
    if not said:
        return failed("empty-answer", "no text came back")
    if not encodable(said):
        return failed("not-unicode", "lone surrogate in the answer")
    if len(said.splitlines()) > len(text.splitlines()):
        return failed("added-lines", excerpt(said))
    return Outcome(said)


def excerpt(text: str) -> str:
    """The first words of a text, on one line."""
    return " ".join(text[: 10 * _EXCERPT_CHARS].split())[:_EXCERPT_CHARS]
