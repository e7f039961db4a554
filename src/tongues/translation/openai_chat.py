"""Translation by any OpenAI-compatible chat endpoint: vLLM, KServe or a hosted one.

Faults and what becomes of them:

    408, 409, 425, 429, 5xx     tried again after Retry-After, or after an exponential wait with jitter
    time-out, broken connection, half a JSON, an HTML page with 200, a wrong shape      the same
    empty answer, answer cut off at the token limit, added lines    a failed segment, not tried again
    400, 422                    a failed segment: the endpoint refuses this text
    401, 403, 404               the run stops: key, address or model name is wrong for every segment
"""

import asyncio
import email.utils
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tongues.core.digests import digest_value
from tongues.core.errors import EngineError, EngineUnavailableError
from tongues.core.recipe import OpenAIEngine
from tongues.core.records import Step
from tongues.translation.chat_answer import read_answer
from tongues.translation.engine import Outcome, failed
from tongues.translation.prompts import PROMPT_SHA256, chat_messages

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

_AGAIN_STATUS = frozenset({408, 409, 425, 429})
_HOPELESS_STATUS = frozenset({401, 403, 404})
_AGAIN_REASONS = frozenset({"error-page", "broken-json", "wrong-shape"})
_MAX_WAIT_S = 60.0
_MAX_RETRY_AFTER_S = 600.0


@dataclass(frozen=True, slots=True)
class _Tried:
    """One try: its outcome, whether another try makes sense, and how long the endpoint asked to wait."""

    outcome: Outcome
    again: bool = False
    retry_after_s: float = 0.0


class OpenAIChat:
    """The engine.

    Args:
        section: the recipe's settings.
        first_wait_s: mean wait before the second try; doubles with each further one, up to 60 s.

    Raises:
        EngineUnavailableError: the environment variable named for the key is not set.
    """

    name = "openai"
    batch_segments = 1

    def __init__(self, section: OpenAIEngine, *, first_wait_s: float = 0.5) -> None:
        self._section = section
        self._first_wait_s = first_wait_s
        self._key = api_key(section)
        self._client: AsyncOpenAI | None = None
        self._quiet_until = 0.0
        self.requests_sent = 0

    @property
    def concurrency(self) -> int:
        """Requests in flight at most."""
        return self._section.concurrency

    def supports(self, source: str, target: str) -> bool:
        """Any pair: what a model cannot do, the checks find."""
        return source != target

    def pairs(self) -> list[tuple[str, str]]:
        """Empty: any pair."""
        return []

    def step(self, source: str, target: str) -> Step:
        """The model as the endpoint names it; the address is left out, so that mirrors share a ledger."""
        section = self._section
        params = {"temperature": section.temperature, "max_output_tokens": section.max_output_tokens}
        return Step(
            op="translate",
            engine=self.name,
            model=section.model,
            prompt_sha256=PROMPT_SHA256,
            params_sha256=digest_value(params),
        )

    async def translate(self, texts: Sequence[str], source: str, target: str) -> list[Outcome]:
        """Translate segments; see `Engine.translate`."""
        return list(await asyncio.gather(*(self._ask(text, source, target) for text in texts)))

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _ask(self, text: str, source: str, target: str) -> Outcome:
        tried = await self._try(text, source, target)
        for number in range(self._section.retries):
            if not tried.again:
                break
            await self._wait(number, tried.retry_after_s)
            tried = await self._try(text, source, target)
        return tried.outcome

    async def _wait(self, number: int, retry_after_s: float) -> None:
        """Wait before try `number` + 2. What the endpoint asked for, all requests heed."""
        self._quiet_until = max(self._quiet_until, time.monotonic() + min(retry_after_s, _MAX_RETRY_AFTER_S))
        backoff = min(self._first_wait_s * 2**number, _MAX_WAIT_S)
        # Full range of jitter, so that requests that failed together do not return together.
        await asyncio.sleep(random.uniform(0.5, 1.5) * backoff)  # noqa: S311 (no secret)

    async def _try(self, text: str, source: str, target: str) -> _Tried:
        import openai

        if (quiet := self._quiet_until - time.monotonic()) > 0:
            await asyncio.sleep(quiet)
        self.requests_sent += 1
        try:
            async with asyncio.timeout(self._section.timeout_s):
                return await self._request(text, source, target)
        except (TimeoutError, openai.APITimeoutError):
            return _Tried(failed("timeout", f"no answer within {self._section.timeout_s:g} s"), again=True)
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            return _Tried(failed("connection", f"{type(cause).__name__}: {cause}"), again=True)
        except openai.APIStatusError as error:
            return self._refused(error)

    async def _request(self, text: str, source: str, target: str) -> _Tried:
        raw = await self._open().chat.completions.with_raw_response.create(
            model=self._section.model,
            messages=chat_messages(text, source, target),  # type: ignore[arg-type]
            temperature=self._section.temperature,
            max_tokens=self._section.max_output_tokens,
        )
        outcome = read_answer(text, raw.text, raw.headers.get("content-type", ""))
        return _Tried(outcome, again=outcome.reason in _AGAIN_REASONS)

    def _refused(self, error: "APIStatusError") -> _Tried:
        status = error.status_code
        detail = error.message
        if status in _HOPELESS_STATUS:
            raise EngineError(
                detail[:300],
                where=self._section.base_url,
                fix="check base_url, model and the variable that api_key_env names",
            )
        again = status in _AGAIN_STATUS or status >= 500
        reason = f"http-{status}" if again else "refused-by-endpoint"
        return _Tried(failed(reason, detail), again, retry_after_s(error.response.headers.get("retry-after")))

    def _open(self) -> "AsyncOpenAI":
        if self._client is None:
            from openai import AsyncOpenAI

            self._client = AsyncOpenAI(
                base_url=self._section.base_url,
                api_key=self._key,
                timeout=self._section.timeout_s,
                max_retries=0,
            )
        return self._client


def api_key(section: OpenAIEngine) -> str:
    """The key from the environment; a fixed word where the recipe names no variable.

    Raises:
        EngineUnavailableError: the variable is not set or empty.
    """
    if section.api_key_env is None:
        return "EMPTY"  # what servers without keys are given by convention; never a key of the environment
    key = os.environ.get(section.api_key_env, "")
    if not key:
        raise EngineUnavailableError(
            f"environment variable {section.api_key_env} is not set",
            where="translation.engine.api_key_env",
            fix=f"export {section.api_key_env}=... (in a cluster: from a Secret)",
        )
    return key


def retry_after_s(header: str | None) -> float:
    """Seconds that a Retry-After header asks for: a number, or the time until an HTTP date.

    Source: RFC 9110, section 10.2.3. Unreadable or absent: 0.
    """
    if not header:
        return 0.0
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except ValueError:
        return 0.0
