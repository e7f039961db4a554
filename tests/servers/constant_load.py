"""Clients that never stop asking: several official OpenAI clients, each one question after another."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from openai import OpenAI, OpenAIError


@dataclass(frozen=True)
class Answered:
    """One answer: when it was asked for, when it was there, who gave it, and what it says."""

    asked_at: float
    at: float
    revision: str
    text: str


@dataclass
class Client:
    """One client of one model, with its own connection; it does not repeat what fails."""

    url: str
    model: str
    stream: bool
    answers: list[Answered] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def ask_until(self, stop: threading.Event) -> None:
        """Ask the same again and again."""
        with OpenAI(base_url=self.url, api_key="none", max_retries=0, timeout=180) as client:
            while not stop.is_set():
                try:
                    self.answers.append(self._asked(client))
                except (OpenAIError, OSError) as error:
                    self.failures.append(f"{self.model}: {error}")
                    time.sleep(0.05)  # not to spin on an endpoint that refuses

    def _asked(self, client: OpenAI) -> Answered:
        turn = [{"role": "user", "content": "one two three"}]
        started = time.monotonic()
        reply = client.chat.completions.create(
            model=self.model, messages=turn, max_tokens=4, temperature=0, stream=self.stream
        )
        chunks = list(reply) if self.stream else []
        if self.stream:
            assert chunks[-1].choices[0].finish_reason, "an answer without an end"
        texts = [c.choices[0].delta.content or "" for c in chunks] or [reply.choices[0].message.content or ""]
        revisions = {c.model for c in chunks} or {reply.model}
        assert len(revisions) == 1, f"one answer by {revisions}"
        return Answered(started, time.monotonic(), revisions.pop(), "".join(texts))

    @property
    def revisions(self) -> list[str]:
        """Who answered, one after the other, without repetitions."""
        return [revision for revision, _ in groupby(self.answers, key=lambda one: one.revision)]


@contextmanager
def constant_load(
    url: str, models: Sequence[str], *, each: int = 2, key: str = "none"
) -> Iterator[list[Client]]:
    """Clients that ask for the length of a block; every other one of them streams."""
    clients = [Client(url, model, stream=n % 2 == 1) for model in models for n in range(each)]
    stop = threading.Event()
    threads = [threading.Thread(target=client.ask_until, args=(stop,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        stop.set()
        for thread in threads:
            thread.join(200)
