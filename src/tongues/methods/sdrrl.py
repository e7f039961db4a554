"""SDRRL: self-distillation from resource-rich languages (arXiv 2402.12204).

    mode             question                      answer
    source-source    source language               the model's own
    source-target    source language               its translation
    target-source    the language                  the model's own
    target-target    the language                  its translation
    switched         sentences of both             one of the two, drawn
    translation      question to translate         the same question in the other language, either way

The teacher is the model that is to learn: it answers the question in the source language, which it knows
best, and what it says takes the place of the dataset's answer. So `generation.engine` of the recipe serves
the base model itself. Questions in the language are those of the aligned store.

The paper has the answers translated by a translation system and switches languages with a tool of its own.
Here the chat model translates its own answer, and whole sentences are switched (defaults).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from tongues.core.drops import Drop
from tongues.core.languages import language
from tongues.core.recipe import SdrrlMethod
from tongues.core.records import AlignedRow, Message, Record, Step
from tongues.core.store import AlignedStore
from tongues.inference.writer import write_all
from tongues.methods.asking import (
    Unwritten,
    check_language,
    prompt,
    said,
    step,
    translated,
    translation_step,
)
from tongues.methods.demand import refuse
from tongues.methods.draws import draw, draw_without_replacement
from tongues.methods.prompts import user_turn
from tongues.methods.switching import switched
from tongues.methods.writing import Desk

_MODES = ("source_source", "source_target", "target_source", "target_target", "switched", "translation")


def build(
    store: AlignedStore, section: SdrrlMethod, *, languages: Sequence[str], source_lang: str, seed: int
) -> Iterator[Record]:
    """Emit what needs no model: everything with ``answers: given``, else nothing; see `write`.

    Args:
        store: every item in every language.
        section: rows per mode, and whose answers.
        languages: BCP-47 codes to teach.
        source_lang: BCP-47 code of the originals.
        seed: the recipe's seed.

    Raises:
        PreflightError: a language has fewer groups than a mode asks for, or none.
    """
    if section.writes:
        return iter(())
    plans = [_Plan(store, section, lang, source_lang, seed) for lang in sorted(languages)]
    refuse((problem for plan in plans for problem in plan.problems()), "sdrrl")
    made = (made for plan in plans for item in plan.items() for made in item.made(item.given()))
    return (one for one in made if isinstance(one, Record))


def write(section: SdrrlMethod, desk: Desk) -> Iterator[Record | Drop]:
    """Have the questions answered in the source language and the answers translated; all modes of an item.

    Records are named "sdrrl/MODE". Each mode of an item is a record or a drop. Nothing is written at the
    source language's own turn.

    Args:
        section: rows per mode.
        desk: what to work with; its writer asks the base model.

    Raises:
        PreflightError: a language of the recipe has fewer groups than a mode asks for, or none.
    """
    plans = {
        lang: _Plan(desk.store, section, lang, desk.source_lang, desk.seed) for lang in sorted(desk.languages)
    }
    refuse((problem for plan in plans.values() for problem in plan.problems()), "sdrrl")
    return _written(plans[desk.lang], desk) if desk.lang in plans else iter(())


@dataclass(frozen=True)
class _Answer:
    """An answer in one language, and what was done to get it."""

    text: str
    steps: tuple[Step, ...]


_Answers = Mapping[str, _Answer | Unwritten]
"""By language."""


@dataclass(frozen=True)
class _Plan:
    """Which items of one language are wanted in which modes."""

    store: AlignedStore
    section: SdrrlMethod
    lang: str
    source_lang: str
    seed: int

    @cached_property
    def order(self) -> list[str]:
        """All groups, as they are drawn: every mode takes the first it can use."""
        groups = self.store.groups(self.lang, self.source_lang)
        return draw_without_replacement(groups, len(groups), self.seed, "sdrrl", self.lang)

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The groups of each mode."""
        return {mode: list(islice(self._fit(mode), getattr(self.section, mode))) for mode in _MODES}

    def problems(self) -> Iterable[str]:
        """By how much the store falls short, mode by mode."""
        if not self.order:
            yield f"{self.lang}: the store has 0 items in it and in {self.source_lang}: at least 1 too few"
            return
        for mode, groups in self.groups.items():
            asked, there = getattr(self.section, mode), len(groups)
            if asked is not None and there < asked:
                asks = f"{self.lang}: {mode} asks for {asked} rows"
                yield f"{asks}, the store has {there} that it can use: {asked - there} too few"

    def items(self) -> Iterator["_Item"]:
        """Every group that is wanted, with its modes."""
        wanted = {mode: frozenset(groups) for mode, groups in self.groups.items()}
        for group in self.order:
            if modes := tuple(mode for mode in _MODES if group in wanted[mode]):
                yield self._item(group, modes)

    def _item(self, group: str, modes: tuple[str, ...] = ()) -> "_Item":
        row, original = self.store.get(group, self.lang), self.store.get(group, self.source_lang)
        return _Item(row, original, modes, self.section.switch_share, self.seed)

    def _fit(self, mode: str) -> Iterator[str]:
        if mode == "switched":
            return (group for group in self.order if self._item(group).switched is not None)
        if mode == "translation":
            return (group for group in self.order if self._item(group).is_translated)
        return iter(self.order)


@dataclass(frozen=True)
class _Item:
    """One item in two languages: everything about it but the answers."""

    row: AlignedRow
    original: AlignedRow
    modes: tuple[str, ...]
    share: float
    seed: int

    @property
    def is_translated(self) -> bool:
        """Whether the question reads differently in the two languages."""
        return _question(self.row) != _question(self.original)

    @cached_property
    def switched(self) -> tuple[str, str] | None:
        """The question in both languages."""
        row, original = self.row, self.original
        texts = (row.instruction, row.input), (original.instruction, original.input)
        name = (self.seed, "sdrrl/switched", row.lang, row.group)
        return switched(*texts, (row.lang, original.lang), self.share, *name)

    def answer_lang(self, mode: str) -> str:
        """The language that a mode is answered in."""
        if mode in ("switched", "translation"):
            return draw(self.langs, self.seed, f"sdrrl/{mode}", self.row.lang, self.row.group, "answer")
        return self.langs[mode.endswith("target")]

    @property
    def langs(self) -> tuple[str, str]:
        """Source and target."""
        return self.original.lang, self.row.lang

    @property
    def asked(self) -> set[str]:
        """Languages in which an answer is needed."""
        return {self.answer_lang(mode) for mode in self.modes if mode != "translation"}

    def given(self) -> _Answers:
        """The answers of the store."""
        return {row.lang: _Answer(row.output, row.steps) for row in (self.original, self.row)}

    def made(self, answers: _Answers) -> list[Record | Drop]:
        """A record for each mode, or a drop where its answer was not written."""
        made = list[Record | Drop]()
        for mode in self.modes:
            lang = self.answer_lang(mode)
            answer = self._translation(lang) if mode == "translation" else answers[lang]
            if isinstance(answer, Unwritten):
                made.append(answer.drop(lang, self.row.group))
            else:
                made.append(self._record(mode, answer, lang))
        return made

    def _translation(self, lang: str) -> _Answer:
        """The question in one of the languages, as the answer to the other."""
        return _Answer(_question(self.row if lang == self.row.lang else self.original), ())

    def _record(self, mode: str, answer: _Answer, lang: str) -> Record:
        user = self._user(mode, lang)
        steps = (() if user.lang == lang == self.original.lang else self.row.steps) + answer.steps
        return Record.create(
            messages=(user, Message("assistant", answer.text, lang)),
            group=self.row.group,
            method=f"sdrrl/{mode.replace('_', '-')}",
            source=self.row.source,
            steps=tuple(dict.fromkeys(steps)),
            meta={"category": self.row.category},
        )

    def _user(self, mode: str, answer_lang: str) -> Message:
        if mode == "switched" and self.switched is not None:
            return Message("user", user_turn(*self.switched), self.row.lang)
        if mode == "translation":
            asked = self.original if answer_lang == self.row.lang else self.row
            names = f"from {language(asked.lang).name} to {language(answer_lang).name}"
            return Message("user", f"Translate the following text {names}.\n{_question(asked)}", asked.lang)
        asked = self.row if mode.startswith("target") else self.original
        return Message("user", _question(asked), asked.lang)


def _question(row: AlignedRow) -> str:
    return user_turn(row.instruction, row.input)


def _written(plan: _Plan, desk: Desk) -> Iterator[Record | Drop]:
    async def work(item: _Item) -> list[Record | Drop]:
        return item.made(await _own(item, desk))

    for made in write_all(plan.items(), work, desk.writer, progress=desk.progress):
        yield from made


async def _own(item: _Item, desk: Desk) -> _Answers:
    """The model's answer in the source language, and its translation if a mode needs that."""
    source, target = item.langs
    if not item.asked:
        return {}
    try:
        own = await said(desk, prompt("", _question(item.original)), "own answer")
        check_language(desk, own, source, "own answer")
    except Unwritten as unwritten:
        return {source: unwritten, target: unwritten}
    steps = (step(desk, "answer"),)
    answers = {source: _Answer(own, steps)}
    return answers | ({target: await _moved(own, steps, item, desk)} if target in item.asked else {})


async def _moved(own: str, steps: tuple[Step, ...], item: _Item, desk: Desk) -> _Answer | Unwritten:
    source, target = item.langs
    try:
        text = await translated(desk, own, source, target, "own answer")
    except Unwritten as unwritten:
        return unwritten
    return _Answer(text, (*steps, translation_step(desk, source, target)))
