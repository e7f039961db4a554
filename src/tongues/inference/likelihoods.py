"""How likely texts are to a served model: completions that repeat their prompt with log-likelihoods.

The prompt travels as token ids, so that the server scores the very tokens that were meant, whatever its
tokenizer would put before or between them; a text is the canonical JSON of one `Likelihood`. vLLM answers
this; an endpoint without `echo` and `logprobs` is told apart by what it leaves out.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from tongues.core.digests import canonical_json, digest_value
from tongues.core.recipe import OpenAIEngine
from tongues.core.records import Step
from tongues.inference.engine import Outcome, Unit, failed
from tongues.inference.http_engine import HttpEngine, together
from tongues.inference.json_answer import read_json
from tongues.inference.pressure import Opening
from tongues.inference.spending import Spent

UNSUPPORTED = "no-prompt-loglikelihoods"


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Token sequences to be scored from some token on, in one request.

    Args:
        ids: token ids of each sequence.
        starts: index of the first token that counts in each, at least 1.
    """

    ids: Sequence[Sequence[int]]
    starts: Sequence[int]

    def text(self) -> str:
        """The request as the engine is handed it."""
        return canonical_json(asdict(self)).decode()


def read_sums(answer: str) -> list[float]:
    """The log-likelihoods in an outcome's text, in nats, one for each sequence."""
    return [float(value) for value in json.loads(answer)]


class Likelihoods(HttpEngine):
    """The engine: one completions request for all sequences of a text.

    Args:
        section: the recipe's settings.
        first_wait_s: see `HttpEngine`.
    """

    name = "openai"
    unit: Unit = "prompt"
    batch_segments = 1
    opening = Opening(first=32, unproven=128)

    def __init__(self, section: OpenAIEngine, *, first_wait_s: float = 0.5) -> None:
        super().__init__(section, first_wait_s=first_wait_s)
        self._model = section.model

    def supports(self, source: str, target: str) -> bool:
        """Any language."""
        return True

    def pairs(self) -> list[tuple[str, str]]:
        """Empty: any pair."""
        return []

    def step(self, source: str, target: str) -> Step:
        """The model as the endpoint names it."""
        return Step("likelihood", self.name, self._model, prompt_sha256="", params_sha256=digest_value({}))

    def at_most(self, texts: Sequence[str]) -> Spent:
        """All tries; the tokens are known, and each sequence is followed by one more."""
        tries, asked = self.requests_at_most, [json.loads(text)["ids"] for text in texts]
        tokens_in = tries * sum(len(ids) for one in asked for ids in one)
        tokens_out = tries * sum(map(len, asked))
        cost = self.price.cost(prompt_tokens=tokens_in, completion_tokens=tokens_out)
        return Spent(tries * len(texts), 0, tokens_in, tokens_out, cost)

    async def answer(self, texts: Sequence[str], source: str, target: str) -> list[Outcome]:
        """Have the sequences scored; see `Engine.answer`."""
        return await together([(1, self._ask(json.loads(text))) for text in texts])

    async def _ask(self, asked: dict[str, Any]) -> list[Outcome]:
        # One token more than the prompt is the least that every server accepts; it is not looked at. No
        # alternatives to the tokens are asked for: to find and spell them out costs the server time.
        body = {"model": self._model, "prompt": asked["ids"], "max_tokens": 1, "temperature": 0}
        body |= {"echo": True, "logprobs": 0}

        def read(answered: str, content_type: str) -> list[Outcome]:
            return read_json(answered, content_type, lambda document: [_sums(document, asked)])

        return await self.exchange("/completions", body, read)


def _sums(document: Any, asked: dict[str, Any]) -> Outcome:
    choices = sorted(document["choices"], key=lambda choice: choice["index"])
    if len(choices) != len(asked["ids"]):
        return failed("wrong-shape", f"{len(choices)} choices for {len(asked['ids'])} prompts")
    sums = list[float]()
    for choice, ids, start in zip(choices, asked["ids"], asked["starts"], strict=True):
        per_token = (choice.get("logprobs") or {}).get("token_logprobs") or []
        if len(per_token) < len(ids):
            return failed(UNSUPPORTED, f"{len(per_token)} log-likelihoods for a prompt of {len(ids)} tokens")
        counted = per_token[start : len(ids)]
        if not all(isinstance(value, int | float) and isfinite(value) for value in counted):
            return failed(UNSUPPORTED, "a token has no finite log-likelihood")
        sums.append(float(sum(counted)))
    usage = document.get("usage") or {}
    tokens_in = usage.get("prompt_tokens")
    paid = tokens_in if isinstance(tokens_in, int) else 0
    return Outcome(json.dumps(sums), prompt_tokens=paid, completion_tokens=len(sums))
