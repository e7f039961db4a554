"""Talk to endpoints: one question, or the same question to base and tuned."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from tongues.core.errors import ServingError
from tongues.serving.chat import Answer, ask, ask_side_by_side
from tongues.serving.local import Endpoint, running
from tongues.stages.evaluate import QUESTIONS_NAME
from tongues.stages.serve import BASE_NAME, find_version
from tongues.stages.workspace import Workspace

Partner = tuple[str, str]
"""Address of an endpoint and the model's name there."""

_FIX = "start one: tongues serve MODEL@champion --detach"


@dataclass(frozen=True)
class Said:
    """One answer with how it came about."""

    question: str
    lang: str | None
    text: str
    tokens: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


@dataclass(frozen=True)
class Compared:
    """One question and what base and tuned answered."""

    lang: str
    question: str
    base: str
    tuned: str

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def find_partner(workspace: Workspace, url: str | None, model: str | None) -> Partner:
    """The endpoint to talk to: the one named, or the one this workspace serves.

    Raises:
        ServingError: none runs, or several do and none is named.
    """
    if url is not None:
        if model is None:
            raise ServingError("an address needs the model's name too", where=url, fix="add --model NAME")
        return url, model
    endpoints = [
        e for e in running(workspace.local) if (model is None and e.name != BASE_NAME) or e.name == model
    ]
    if len(endpoints) != 1:
        names = [e.name for e in running(workspace.local)]
        fix = "name one with --model" if len(endpoints) > 1 else _FIX
        raise ServingError(
            f"{len(endpoints)} endpoints fit; running: {names or 'none'}", where=workspace.uri, fix=fix
        )
    return endpoints[0].url, endpoints[0].name


def ask_once(
    partner: Partner,
    question: str,
    *,
    lang: str | None,
    max_tokens: int,
    on_text: Callable[[str], None] | None = None,
) -> Said:
    """Ask one question and wait for the answer."""
    answer: Answer = ask(*partner, question, max_tokens=max_tokens, on_text=on_text)
    return Said(question, lang, answer.text, answer.tokens, answer.seconds)


def compare(
    workspace: Workspace, *, lang: str | None, question: str | None, max_tokens: int
) -> list[Compared]:
    """Ask the base model and the tuned one the same: a question of the suite in each language.

    Args:
        workspace: serves both (`tongues serve MODEL@champion --beside-base`).
        lang: only this language; all of the suite when None.
        question: this question instead of the suite's.
        max_tokens: length limit of each answer.
    """
    by_name = {e.name: e for e in running(workspace.local)}
    base, tuned = by_name.pop(BASE_NAME, None), next(iter(by_name.values()), None)
    if base is None or tuned is None:
        fix = "start both: tongues serve MODEL@champion --beside-base --detach"
        raise ServingError(f"base and tuned must both run; running: {[*by_name] or 'none'}", fix=fix)
    questions = {lang or "-": question} if question else _questions(workspace, tuned, lang)
    endpoints = [(base.url, base.name), (tuned.url, tuned.name)]
    asked = ask_side_by_side(endpoints, list(questions.values()), max_tokens=max_tokens)
    return [
        Compared(code, a.question, a.answers[0].text.strip(), a.answers[1].text.strip())
        for code, a in zip(questions, asked, strict=True)
    ]


def _questions(workspace: Workspace, tuned: Endpoint, lang: str | None) -> dict[str, str]:
    """The first open question of the suite in each language, kept with the evaluation."""
    version = find_version(workspace, f"{tuned.name}@champion")
    evaluation = workspace.open(version.tags["tongues.evaluation_uri"])
    questions: dict[str, str] = json.loads((evaluation.folder / QUESTIONS_NAME).read_text(encoding="utf-8"))
    if lang is not None and lang not in questions:
        raise ServingError(
            f"the suite has no open question in {lang!r}; it has {sorted(questions)}", fix="use -q"
        )
    return {code: q for code, q in questions.items() if lang in (None, code)}
