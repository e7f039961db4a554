"""The loopback endpoint as a chat model that writes dialogues, as a test says."""

import json
from collections.abc import Callable
from typing import Any

from openai_faults import Choose, FaultyEndpoint

Say = Callable[[int, list[dict[str, str]]], Any]
"""From the number of the request and its messages to what is answered: a text, or anything else as JSON."""


class Interviewee(FaultyEndpoint):
    """The server.

    Args:
        say: what the model answers.
        choose: which fault each request meets; none when absent.
    """

    def __init__(self, say: Say, choose: Choose | None = None, **settings: Any) -> None:
        super().__init__(choose, **settings)
        self.say = say

    @property
    def handler(self) -> type[Any]:
        """What answers."""

        def text_of(handler: Any, body: Any) -> str:
            handler.asked = body["messages"]
            return str(body["messages"][-1]["content"])

        def respond(handler: Any, text: str) -> None:
            with self.lock:
                number = len(self.requests)
            said = self.say(number, handler.asked)
            handler._answer(said if isinstance(said, str | None) else json.dumps(said))
            with self.lock:
                self.acknowledged[json.dumps(handler.asked)] += 1

        return type("InterviewHandler", (super().handler,), {"_ok": respond, "_text_of": text_of})
