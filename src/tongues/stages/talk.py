"""Talk to endpoints: one question, or the same question to base and tuned."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tongues.core.errors import ServingError
from tongues.core.languages import UNDETERMINED, language
from tongues.core.recipe_file import load_recipe
from tongues.data.language_id import RestrictedIdentifier
from tongues.serving.chat import Answer, ask, ask_side_by_side
from tongues.serving.local import Endpoint, running
from tongues.stages.evaluate import QUESTIONS_NAME
from tongues.stages.follow import KEY_VARIABLE, followed
from tongues.stages.serve import BASE_NAME, find_version
from tongues.stages.workspace import RECIPE_NAME, Workspace

Partner = tuple[str, str]
"""Address of an endpoint and the model's name there."""

_SURE = 0.8
"""Probability among the candidates from which a short answer's language is worth a word."""

_FIX = "start one: tongues serve MODEL@champion --detach"


@dataclass(frozen=True)
class Said:
    """One answer with how it came about.

    Args:
        question: what was asked.
        lang: language it was asked in, if that was said.
        answered_in: language of the answer among those taught; "und" where it is not clear.
        text: the answer.
        tokens: tokens generated.
        seconds: from request to last token.
    """

    question: str
    lang: str | None
    answered_in: str
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
    here = [*((e.url, e.name) for e in running(workspace.local)), *followed(workspace)]
    fit = [one for one in here if (model is None and one[1] != BASE_NAME) or one[1] == model]
    if len(fit) != 1:
        names = [name for _, name in here]
        fix = "name one with --model" if len(fit) > 1 else _FIX
        raise ServingError(
            f"{len(fit)} endpoints fit; running: {names or 'none'}", where=workspace.uri, fix=fix
        )
    return fit[0]


@dataclass(frozen=True)
class Talker:
    """A talk with one endpoint.

    Args:
        workspace: that serves it, or any where the endpoint is elsewhere.
        partner: address and model.
        lang: language the user talks in (BCP-47), if that was said.
        max_tokens: length limit of an answer.
    """

    workspace: Workspace
    partner: Partner
    lang: str | None
    max_tokens: int

    def ask(self, question: str, on_text: Callable[[str], None] | None = None) -> Said:
        """Ask one question, wait for the answer, and see which language it came in."""
        key = os.environ.get(KEY_VARIABLE, "none")
        answer: Answer = ask(
            *self.partner, question, max_tokens=self.max_tokens, api_key=key, on_text=on_text
        )
        candidates = sorted({*_taught(self.workspace, self.partner), *([self.lang] if self.lang else [])})
        found = RestrictedIdentifier()(answer.text, candidates)
        answered_in = found.lang if found.confidence >= _SURE else UNDETERMINED
        return Said(question, self.lang, answered_in, answer.text, answer.tokens, answer.seconds)

    def remark(self, said: Said) -> str:
        """A word on an answer that came in another language than the user's; else nothing."""
        if self.lang is None or said.answered_in in (self.lang, UNDETERMINED):
            return ""
        return f"\n(this looks like {language(said.answered_in).name}, not {language(self.lang).name})"


def _taught(workspace: Workspace, partner: Partner) -> list[str]:
    """The languages of the recipe behind an endpoint of this workspace; English alone for a strange one."""
    for endpoint in running(workspace.local):
        recipe = Path(endpoint.folder).parent / RECIPE_NAME
        if endpoint.url == partner[0] and recipe.is_file():
            loaded = load_recipe(recipe)
            return [loaded.source.lang, *loaded.languages]
    return ["en"]


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
