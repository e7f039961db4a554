"""The loopback endpoint as a model to be measured, or as a judge: what it says is a test's function."""

import json
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any

from openai_faults import Choose, FaultyEndpoint

Say = Callable[[list[dict[str, str]], int], str | None]
"""From the messages and the token limit to what is answered."""
Score = Callable[[Sequence[int]], list[float | None]]
"""From token ids to the log-likelihood of each, None for the first."""


class ScoringEndpoint(FaultyEndpoint):
    """The server: chat completions, and completions that repeat their prompts with log-likelihoods.

    Args:
        say: answers a chat.
        score: scores a prompt; without it, completions come back as from a server that cannot.
        choose: which fault each request meets; none when absent.
    """

    def __init__(
        self, say: Say | None = None, score: Score | None = None, choose: Choose | None = None
    ) -> None:
        super().__init__(choose)
        self.say, self.score = say or (lambda messages, limit: "yes"), score

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers."""

        def text_of(handler: Any, body: Any) -> str:
            handler.body = body
            return body["messages"][-1]["content"] if "messages" in body else json.dumps(body["prompt"])

        def respond(handler: Any, text: str) -> None:
            body = handler.body
            if "messages" in body:
                handler._answer(self.say(body["messages"], body["max_tokens"]))
            else:
                choices = [self._completed(number, ids) for number, ids in enumerate(body["prompt"])]
                handler._json(200, {"object": "text_completion", "choices": choices[::-1]})
            with self.lock:
                self.acknowledged[text] += 1

        return type("ScoringHandler", (super().handler,), {"_ok": respond, "_text_of": text_of})

    def _completed(self, number: int, ids: Sequence[int]) -> dict[str, Any]:
        if self.score is None:
            return {"index": number, "text": "x", "logprobs": None}
        per_token = [*self.score(ids), -0.5]  # the one token more that every request has
        return {"index": number, "text": "x", "logprobs": {"token_logprobs": per_token}}
