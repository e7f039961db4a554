"""Apertium: rule-based translation on this machine, without a network and without a price.

Marks of protected spans: what survives all of eng-spa, eng-cat, en-gl and en-eo is an unknown word
in title case with a number and a closing letter, ``Xq17q``, put back without regard to case. Of
500 real sentences with three such marks each at random places, and of 2,400 variants (ALL CAPS,
quotes, brackets, backticks, genitive, glued to words, doubled, up to four digits), every mark came
back in all four pairs; in 23 of the 2,400 the first letter came back in lower case, where a mark
followed a full stop without a space. What does not survive: all capitals (en-gl tears
``XQ1`` apart), brackets (``{1}``, moved away from their content by 1 to 3 % of sentences),
superblanks (en-eo doubles 16 %), lower case (en-eo capitalises it). The order of marks changes.

A segment that the pipeline swallows, dies on or hangs on is found by its number or a deadline, tried
alone in a new pipeline, and if it fails there too, quarantined with that reason.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from tongues.core.digests import digest_value
from tongues.core.errors import EngineError, EngineUnavailableError
from tongues.core.recipe import ApertiumEngine, PriceSection
from tongues.core.records import Step
from tongues.inference.engine import Outcome, Unit, encodable, failed
from tongues.inference.spending import Spent
from tongues.translation.apertium_modes import (
    INSTALL,
    data_folder,
    data_version,
    installed_pairs,
    pipeline,
)
from tongues.translation.apertium_pipe import UNTRANSLATABLE, ApertiumPipe, PipeBrokenError

_PROBE = "The house is red."
# What changes the text of an answer; raise the revision when this module's own treatment of it changes.
_PARAMS = {"revision": 1, "unknown_marks": False, "tagger": "fresh"}
_SPACES = re.compile(r"(?<=\S) {2,}(?=\S)")
_GAPS = re.compile(r"(?<=\w) +(?=[.,;:!?](?:\s|$))")


def installed_modes() -> dict[tuple[str, str], Path]:
    """Installed translation directions: (source, target) in BCP-47 to the mode file.

    Raises:
        EngineUnavailableError: Apertium, or every pair, is missing; says how to install them.
    """
    folder = data_folder()
    modes = installed_pairs(folder) if folder else {}
    if not modes:
        what = "Apertium is installed without any language pair" if folder else "Apertium is not installed"
        raise EngineUnavailableError(what, where="apertium", fix=INSTALL)
    return modes


class Apertium:
    """The engine; one pipeline per pair, started when first needed.

    Args:
        section: the recipe's settings.
        folder: where the mode files lie; None looks for the installed ones.
    """

    name = "apertium"
    concurrency = 1
    unit: Unit = "segment"
    max_characters = None
    price = PriceSection()

    def __init__(self, section: ApertiumEngine, folder: Path | None = None) -> None:
        self._section = section
        self._folder = folder or data_folder()
        self._pipes: dict[tuple[str, str], ApertiumPipe] = {}
        self.requests_sent = 0

    @property
    def batch_segments(self) -> int:
        """Segments handed to the process at a time."""
        return self._section.batch_rows

    def pairs(self) -> list[tuple[str, str]]:
        """The pairs whose packages are installed."""
        return sorted(self._modes())

    def supports(self, source: str, target: str) -> bool:
        """Whether the packages of this pair are installed."""
        return (source, target) in self._modes()

    def step(self, source: str, target: str) -> Step:
        """The model is the package of the pair's data with its version."""
        return Step(
            op="translate",
            engine=self.name,
            model=data_version(self._mode(source, target)),
            prompt_sha256="",
            params_sha256=digest_value(_PARAMS),
        )

    def at_most(self, texts: Sequence[str]) -> Spent:
        """Free; each segment is computed once in its batch, and up to twice more when it breaks one."""
        return Spent(requests=3 * len(texts), characters=sum(map(len, texts)))

    async def answer(self, texts: Sequence[str], source: str, target: str) -> list[Outcome]:
        """Translate segments; see `Engine.answer`."""
        refused = {i: why for i, text in enumerate(texts) if (why := _refusal(text))}
        fit = [text for i, text in enumerate(texts) if i not in refused]
        answers = iter(await self._settle(fit, (source, target)) if fit else [])
        return [refused[i] if i in refused else next(answers) for i in range(len(texts))]

    async def aclose(self) -> None:
        """Kill the pipelines."""
        pipes, self._pipes = list(self._pipes.values()), {}
        for pipe in pipes:
            await pipe.stop()

    def _modes(self) -> dict[tuple[str, str], Path]:
        return installed_pairs(self._folder) if self._folder else {}

    def _mode(self, source: str, target: str) -> Path:
        try:
            return self._modes()[source, target]
        except KeyError:
            raise EngineUnavailableError(
                f"Apertium has no pair {source} to {target} here", where=self.name, fix=INSTALL
            ) from None

    async def _settle(self, texts: list[str], pair: tuple[str, str]) -> list[Outcome]:
        """Translate all; on a break, isolate the culprit and go on with the rest."""
        if not texts:
            return []
        try:
            return await self._exchange(texts, pair)
        except PipeBrokenError as broken:
            done = [_outcome(s, t) for s, t in zip(texts, broken.answered, strict=False)]
            rest = texts[len(done) :]
            if len(texts) == 1:
                return [await self._culprit(texts[0], pair, broken)]
        # Programs answer in order, so the first segment without an answer is the likely culprit. If it
        # is innocent, the rest is bisected.
        suspect = await self._settle(rest[:1], pair)
        middle = len(rest) if suspect[0].text is None else (len(rest) + 1) // 2
        return [
            *done,
            *suspect,
            *await self._settle(rest[1:middle], pair),
            *await self._settle(rest[middle:], pair),
        ]

    async def _exchange(self, texts: list[str], pair: tuple[str, str]) -> list[Outcome]:
        if pair not in self._pipes:
            self._pipes[pair] = ApertiumPipe(pipeline(self._mode(*pair)))
        self.requests_sent += len(texts)
        answers = await self._pipes[pair].exchange(texts, self._section.timeout_s)
        return [_outcome(s, t) for s, t in zip(texts, answers, strict=True)]

    async def _culprit(self, text: str, pair: tuple[str, str], broken: PipeBrokenError) -> Outcome:
        """Blame a segment that failed alone, unless the pipeline fails on a plain sentence too."""
        try:
            if text != _PROBE:
                await self._exchange([_PROBE], pair)
                # A machine under load may be slow once; a program that dies on a text always does.
                lasting = broken.reason == "swallowed"
                return failed(f"engine-{broken.reason}", broken.detail, permanent=lasting)
        except PipeBrokenError:
            pass  # a plain sentence fails too: the text is not to blame
        raise EngineError(
            f"the pipeline {pair[0]} to {pair[1]} does not work: {broken.detail}",
            where=self.name,
            fix=f"reinstall it: {INSTALL}",
        )


def _refusal(text: str) -> Outcome | None:
    if not encodable(text):
        return failed("not-unicode", "lone surrogate", permanent=True)
    if found := UNTRANSLATABLE.search(text):
        return failed("control-character", f"U+{ord(found[0]):04X}", permanent=True)
    return None


def _outcome(source: str, answer: str) -> Outcome:
    text = _tidy(source, answer)
    if not text.strip():
        return failed("empty-answer", "the pipeline gave no text", permanent=True)
    return Outcome(text)


def _tidy(source: str, answer: str) -> str:
    """Undo what transfer does to the edges: lost capitals, stray and doubled spaces."""
    core, inner = answer.strip(), source.strip()
    core = core if _SPACES.search(inner) else _SPACES.sub(" ", core)
    core = core if _GAPS.search(inner) else _GAPS.sub("", core)
    if inner[:1].isupper() and core[:1].islower():
        core = core[:1].upper() + core[1:]
    head = source[: len(source) - len(source.lstrip())]
    tail = source[len(source.rstrip()) :]
    return f"{head}{core}{tail}" if core else ""
