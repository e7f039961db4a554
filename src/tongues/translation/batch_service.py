"""What translation services over HTTP share: several segments in one request, one translation for each.

A batch that comes back with another number of translations, or that the service refuses or dies on, is sent
again segment by segment, so that one text cannot take others with it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from tongues.inference.engine import Outcome, failed
from tongues.inference.http_engine import HttpEngine, together
from tongues.inference.json_answer import judged, read_json
from tongues.inference.spending import Spent

_APART = frozenset({"wrong-count", "refused-by-endpoint", "wrong-shape", "http-500"})


class BatchService(HttpEngine, ABC):
    """A service; each one adds its path, its request and where the translations stand in its answer."""

    path: str
    request_characters: int
    """Characters that one request should not exceed, unless a single segment is longer."""

    @abstractmethod
    def body_of(self, texts: Sequence[str], source: str, target: str) -> dict[str, Any]:
        """The body of one request."""

    @abstractmethod
    def translations_in(self, document: Any) -> list[Any]:
        """The translations in a 200 answer; raises a lookup error where they are missing."""

    def at_most(self, texts: Sequence[str]) -> Spent:
        """Every part sent as often as is allowed, and then every segment alone."""
        requests = self.requests_at_most * (2 * len(texts) if len(texts) > 1 else 1)
        characters = self.requests_at_most * sum(map(len, texts)) * (2 if len(texts) > 1 else 1)
        return Spent(requests, characters, cost=self.price.cost(characters=characters))

    async def answer(self, texts: Sequence[str], source: str, target: str) -> list[Outcome]:
        """Translate segments; see `Engine.answer`."""
        parts = [(len(part), self._part(part, source, target)) for part in self._parts(texts)]
        return await together(parts)

    def _parts(self, texts: Sequence[str]) -> Iterator[list[str]]:
        part, characters = list[str](), 0
        for text in texts:
            if part and characters + len(text) > self.request_characters:
                yield part
                part, characters = [], 0
            part.append(text)
            characters += len(text)
        yield part

    async def _part(self, texts: list[str], source: str, target: str) -> list[Outcome]:
        outcomes = await self._ask(texts, source, target)
        if len(texts) == 1 or not all(outcome.reason in _APART for outcome in outcomes):
            return outcomes
        return await together([(1, self._ask([text], source, target)) for text in texts])

    async def _ask(self, texts: list[str], source: str, target: str) -> list[Outcome]:
        def pick(document: Any) -> list[Outcome]:
            answers = self.translations_in(document)
            if not isinstance(answers, list):
                raise TypeError("no list of translations")
            if len(answers) != len(texts):
                return [failed("wrong-count", f"{len(answers)} translations of {len(texts)}")] * len(texts)
            return [judged(text, answer) for text, answer in zip(texts, answers, strict=True)]

        def read(body: str, content_type: str) -> list[Outcome]:
            outcomes = read_json(body, content_type, pick)
            return outcomes if len(outcomes) == len(texts) else outcomes * len(texts)

        return await self.exchange(self.path, self.body_of(texts, source, target), read, len(texts))
