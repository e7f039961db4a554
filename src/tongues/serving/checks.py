"""Checks of a revision: before clients get it, and while they do.

Smoke, on every server that holds it: health, and per language one question whose answer evaluation kept,
asked at temperature 0. Its beginning must come out letter by letter: the endpoint serves what was evaluated.
Live, through the door: errors, latency, and how often an answer is in another language than evaluation saw.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from tongues.core.errors import ServingError, TonguesError
from tongues.core.ports import Identify
from tongues.core.taco_format import read_answer
from tongues.serving.http_client import http
from tongues.serving.revision import Recorded

_ANYTHING = Recorded("", "1", "", "")
"""What is asked where evaluation recorded nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a revision must keep to.

    Args:
        smoke_tokens: tokens of an answer that must begin the recorded one.
        live_tokens: tokens of a plain answer whose language is looked at; a chain is asked for whole.
        latency_s: longest answer to a check, in seconds.
        error_rate: highest share of requests that may fail, 0 to 1.
        language_drop: how far the share of answers in the language asked may fall below evaluation's, 0 to 1.
        watch_s: how long a revision is watched before the one before it is let go; 0 for not at all.
        every_s: pause between two rounds of live questions.
    """

    smoke_tokens: int = 8
    live_tokens: int = 40
    latency_s: float = 60.0
    error_rate: float = 0.02
    language_drop: float = 0.25
    watch_s: float = 30.0
    every_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one language.

    Args:
        check: "health", "answer", "latency" or "reachable".
        lang: BCP-47; empty where it is not about one.
        ok: whether it passed.
        detail: what was seen.
        seconds: that the answer took; 0 where none was asked for.
    """

    check: str
    lang: str
    ok: bool
    detail: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.check}{f' {self.lang}' if self.lang else ''}: {self.detail}"


def smoke(url: str, name: str, recorded: Sequence[Recorded], limits: Limits, key: str = "") -> list[Finding]:
    """Check one server that holds a revision; never raises for what the server does.

    Args:
        url: of the server, without /v1.
        name: of the revision there.
        recorded: the first of each language is asked; where there is none, one word is asked for.
        limits: what to keep to.
        key: API key; empty where none is needed.
    """
    findings = [_health(url)]
    if not findings[0].ok:
        return findings
    firsts = {one.lang: one for one in reversed(recorded)}
    for one in firsts.values():
        findings += _answers(url, name, one, limits, key)
    return findings if recorded else [*findings, *_answers(url, name, None, limits, key)]


def _health(url: str) -> Finding:
    try:
        status = http().get(f"{url}/health", timeout=10).status_code
    except httpx.HTTPError as error:
        return Finding("health", "", False, f"{url} does not answer ({error or type(error).__name__})")
    return Finding("health", "", status == httpx.codes.OK, f"{url} says {status}")


def _answers(url: str, name: str, one: Recorded | None, limits: Limits, key: str) -> list[Finding]:
    lang = one.lang if one else ""
    try:
        said, seconds = ask(url, name, one or _ANYTHING, limits.smoke_tokens, limits.latency_s * 2, key)
    except ServingError as error:
        return [Finding("reachable", lang, False, str(error))]
    findings = [Finding("latency", lang, seconds <= limits.latency_s, f"{seconds:.2f} s", seconds)]
    if one is not None:
        same = one.answer.startswith(said) if said else not one.answer
        detail = "as evaluated" if same else f"{said!r}, evaluation got {one.answer[: len(said) + 20]!r}"
        findings.append(Finding("answer", lang, same, detail, seconds))
    return findings


def ask(
    url: str, name: str, one: Recorded, max_tokens: int, timeout_s: float, key: str = ""
) -> tuple[str, float]:
    """Ask one question at temperature 0, as evaluation did.

    Returns:
        The answer, without outer white space and without half a letter at its end, and seconds.

    Raises:
        ServingError: no answer, or none that is one.
    """
    told = [{"role": "system", "content": one.system}] if one.system else []
    body = {
        "model": name,
        "messages": [*told, {"role": "user", "content": one.prompt}],
        "max_tokens": max_tokens,
        "temperature": 0,
    }
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    started = time.monotonic()
    try:
        reply = http().post(f"{url}/v1/chat/completions", json=body, timeout=timeout_s, headers=headers)
        reply.raise_for_status()
        said = reply.json()["choices"][0]["message"]["content"] or ""
    except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ServingError(
            f"no answer ({error or type(error).__name__})", where=f"{name} at {url}"
        ) from error
    return said.strip().rstrip("\ufffd").strip(), time.monotonic() - started


@dataclass(slots=True)
class Watch:
    """What live checks have seen of one revision so far.

    Args:
        recorded: questions to ask, all of them each round.
        limits: what to keep to.
        identify: guesses the language of an answer.
    """

    recorded: Sequence[Recorded]
    limits: Limits
    identify: Identify
    rounds: int = 0
    asked: int = 0
    failed: int = 0
    slowest_s: float = 0.0
    away: list[bool] = field(default_factory=list)
    was_away: list[bool] = field(default_factory=list)

    def round(self, url: str, model: str, key: str) -> None:
        """Ask every question once through the door.

        Args:
            url: of the door, without /v1.
            model: as clients call it.
            key: API key; empty where none is needed.
        """
        for one in self.recorded:
            self.asked += 1
            tokens = one.chain_tokens or self.limits.live_tokens
            try:
                said, seconds = ask(url, model, one, tokens, self.limits.latency_s * 2, key)
            except TonguesError:
                self.failed += 1
                continue
            self.slowest_s = max(self.slowest_s, seconds)
            self.away.append(self._away(one, said))
            self.was_away.append(one.answered_in != one.lang)
        self.rounds += 1

    def _away(self, one: Recorded, said: str) -> bool:
        """Whether an answer is in another language; a chain without its last segment is in none."""
        answer = read_answer(said, one.lang) if one.chain_tokens else said
        candidates = sorted({each.lang for each in self.recorded})
        return answer is None or self.identify(answer, candidates).lang != one.lang

    def complaint(self, *, answered: int, failed: int) -> str:
        """Why the revision must not go on serving; empty while there is no reason.

        Args:
            answered: requests of clients that the door answered with it.
            failed: those of them that failed.
        """
        every, lost = self.asked + answered, self.failed + failed
        if lost > self.limits.error_rate * every:
            return f"{lost} of {every} requests failed (limit {self.limits.error_rate:.0%})"
        if self.slowest_s > self.limits.latency_s:
            return f"an answer took {self.slowest_s:.1f} s (limit {self.limits.latency_s:g} s)"
        return self._language()

    def _language(self) -> str:
        if not self.away:
            return ""
        now, then = (sum(each) / len(each) for each in (self.away, self.was_away))
        if now - then <= self.limits.language_drop:
            return ""
        return f"{now:.0%} of its answers are in another language, {then:.0%} at evaluation"
