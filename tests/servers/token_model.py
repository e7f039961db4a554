"""vLLM's completions and tokenize over a model of arithmetic, with faults to order.

The next token is a function of the tokens before it, and its log-probability too, so that what is recorded
without the server and what the server says can be compared, place by place.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tongues.tuning.parity import Answer, Score

VOCABULARY, ANSWER_TOKENS = 97, 24


@dataclass
class TokenModel:
    """The model, as it answers.

    Args:
        other: places of an answer, counted from the prompt's end, at which another token is preferred.
        shift: added to every log-probability, nats.
        unlikely: places whose expected token is not among the alternatives.
        ending: token ids added to a rendered prompt.
        status: of its answers.
        body: in place of each answer to a completion; None answers.
        asked: prompts of all completions.
    """

    other: frozenset[int] = frozenset()
    shift: float = 0.0
    unlikely: frozenset[int] = frozenset()
    ending: tuple[int, ...] = ()
    status: int = 200
    body: dict[str, Any] | None = None
    asked: list[list[int]] = field(default_factory=list)

    def render(self, prompt: str) -> list[int]:
        """A user's turn as tokens; they begin with its length, so that a place can be told."""
        return [len(prompt), *(ord(letter) % VOCABULARY for letter in prompt), *self.ending]

    def likeliest(self, ids: list[int]) -> tuple[int, float]:
        """The right next token and its log-probability."""
        return (31 * sum(ids) + len(ids)) % VOCABULARY, -0.1 - (sum(ids) % 50) / 100

    def step(self, ids: list[int]) -> tuple[int, dict[str, float]]:
        """The token it takes, and alternatives by name, the likeliest first."""
        right, value = self.likeliest(ids)
        at = len(ids) - ids[0] - 1
        tops = {} if at in self.unlikely else {right: value + self.shift}
        wrong = (right + 1) % VOCABULARY
        tops[wrong] = value + 0.01 if at in self.other or at in self.unlikely else value - 3
        taken = max(tops, key=tops.__getitem__)
        return taken, {f"token_id:{token}": value for token, value in tops.items()}

    def complete(self, asked: dict[str, Any]) -> dict[str, Any]:
        """As vLLM answers a completion of token ids."""
        ids = list(asked["prompt"])
        self.asked.append(list(ids))
        tokens, tops = [], []
        for _ in range(asked["max_tokens"]):
            taken, alternatives = self.step(ids)
            ids.append(taken)
            tokens.append(f"token_id:{taken}")
            tops.append(alternatives)
        return {"choices": [{"logprobs": {"tokens": tokens, "top_logprobs": tops}}]}

    def recorded(self, prompt: str) -> Answer:
        """The right answer, as another engine would have recorded it."""
        ids = TokenModel().render(prompt)
        opened, scores = len(ids), list[Score]()
        for _ in range(ANSWER_TOKENS):
            scores.append(self.likeliest(ids))
            ids = [*ids, scores[-1][0]]
        return Answer(prompt, tuple(ids[:opened]), tuple(ids[opened:]), tuple(scores))


@contextmanager
def serving_tokens(model: TokenModel) -> Iterator[str]:
    """Its address, up to and with /v1."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/tokenize":
                answer: dict[str, Any] = {"tokens": model.render(asked["messages"][0]["content"])}
            else:
                answer = model.complete(asked) if model.body is None else model.body
            body = json.dumps(answer).encode()
            self.send_response(model.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
