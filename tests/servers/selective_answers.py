"""The loopback endpoint as a chat model that decides and translates whole rows, as a test says."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from openai_faults import Choose, FaultyEndpoint, translation_of

Say = Callable[[int, dict[str, str]], Any]
"""From the number of the answer (0 is the first) and the fields of the row to what is answered: a text as
it is, anything else as JSON."""


def all_translated(number: int, fields: dict[str, str]) -> dict[str, Any]:
    """Every field translated by the fixed rule."""
    return answer(**{name: translation_of(text) for name, text in fields.items()})


def answer(*, skip: str = "", kept: tuple[str, ...] = (), **translated: str) -> dict[str, Any]:
    """A well-formed answer; fields that are not given are kept."""
    fields = {
        name: {"action": "translate" if name in translated else "keep", "text": translated.get(name, "")}
        for name in ("instruction", "input", "output")
    }
    return {"skip": skip, "fields": fields, "kept": list(kept)}


class RowEndpoint(FaultyEndpoint):
    """The server.

    Args:
        say: what the model answers; all fields translated when absent.
        choose: which fault each request meets; none when absent.
    """

    def __init__(self, say: Say = all_translated, choose: Choose | None = None) -> None:
        super().__init__(choose)
        self.say = say
        self.answered = 0

    @property
    def rows(self) -> list[dict[str, str]]:
        """The fields of each row that was asked for, in order of arrival."""
        return [json.loads(text) for text in self.texts]

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers."""

        def respond(handler: Any, text: str) -> None:
            with self.lock:
                number, self.answered = self.answered, self.answered + 1
            said = self.say(number, json.loads(text))
            handler._answer(said if isinstance(said, str | None) else json.dumps(said))

        return type("RowHandler", (super().handler,), {"_ok": respond})
