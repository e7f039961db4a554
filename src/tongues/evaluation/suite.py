"""The evaluation suite: files of items aligned by id across languages, checked as a whole.

``choices``: id, lang, question, choices, answer ("A", "B", ...). ``translation``: id, lang, text.
``open``: id, lang, prompt, optional category. ``qa``: id, lang, question, context, answers.
``math``: id, lang, question, answers. ``code``: id, lang, prompt, entry_point, test,
optional solution. One JSON object per line. Nothing is scored before every
line of every file is known to be sound.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from tongues.core.digests import digest_value
from tongues.core.errors import PreflightError
from tongues.evaluation.drawing import by_digest
from tongues.evaluation.items import (
    LETTERS,
    AnswerItem,
    ChoiceItem,
    CodeItem,
    Line,
    OpenItem,
    TranslationItem,
    answer_item,
    choice_item,
    code_item,
    number_item,
    open_item,
    read_lines,
    translation_item,
)
from tongues.evaluation.sets import MeasuredSet

__all__ = ["LETTERS", "Suite", "load_suite"]


Item = TypeVar("Item", ChoiceItem, TranslationItem, OpenItem, AnswerItem, CodeItem)
ByLanguage = Mapping[str, tuple[Item, ...]]


@dataclass(frozen=True, slots=True)
class Suite:
    """Items by language; within a task every language has the same ids in the same order.

    Args:
        name: as in the recipe.
        source_lang: language of the source.
        languages: taught languages.
        choices: multiple-choice items of the source and the taught languages; empty if not named.
        translation: parallel sentences of the same languages; empty if not named.
        open: open questions of the same languages; empty if not named.
        qa: questions about a text; empty if not named.
        math: word problems; empty if not named.
        code: programs to be written; empty if not named.
        sets: sets of a standard suite that have tasks of their own.
        unmeasured: set of the standard suite, or set/language, that cannot be asked, to the reason.

    A set in its published format may lack languages; then its task does.
    """

    name: str
    source_lang: str
    languages: tuple[str, ...]
    choices: ByLanguage[ChoiceItem] = field(default_factory=dict)
    translation: ByLanguage[TranslationItem] = field(default_factory=dict)
    open: ByLanguage[OpenItem] = field(default_factory=dict)
    qa: ByLanguage[AnswerItem] = field(default_factory=dict)
    math: ByLanguage[AnswerItem] = field(default_factory=dict)
    code: ByLanguage[CodeItem] = field(default_factory=dict)
    sets: tuple[MeasuredSet, ...] = ()
    unmeasured: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_languages(self) -> tuple[str, ...]:
        """The source language first, then the taught ones."""
        return (self.source_lang, *self.languages)

    @property
    def sha256(self) -> str:
        """Digest of the content used: languages that the recipe does not name do not count."""
        rows = [
            [asdict(item) for items in self.choices.values() for item in items],
            [asdict(item) for items in self.translation.values() for item in items],
            [asdict(item) for items in self.open.values() for item in items],
            [asdict(item) for items in self.qa.values() for item in items],
            [asdict(item) for items in self.math.values() for item in items],
        ]
        rows += [[asdict(item) for items in self.code.values() for item in items]] if self.code else []
        # Only where there are sets: suites without any keep their digest.
        own: list[object] = [self.source_lang, list(self.languages), rows]
        return digest_value(own + ([[one.sha256 for one in self.sets]] if self.sets else []))

    @property
    def work_items(self) -> int:
        """Items to be scored for one model: what progress counts up to."""
        translated = [self.translation[lang] for lang in self.languages if self.translation]
        others = (self.choices, self.open, self.qa, self.math, self.code)
        own = sum(map(len, [*translated, *(items for task in others for items in task.values())]))
        return own + sum(one.size for one in self.sets)

    def limited(self, items: int | None) -> "Suite":
        """The same suite with at most so many items per task and language; None takes all.

        Items are drawn by the digest of their ids, so that they are the same in every language and spread
        over the file, and keep the file's order.
        """
        if items is None:
            return self
        return replace(
            self,
            choices=_drawn(self.choices, items),
            translation=_drawn(self.translation, items),
            open=_drawn(self.open, items),
            qa=_drawn(self.qa, items),
            math=_drawn(self.math, items),
            code=_drawn(self.code, items),
            sets=tuple(one.limited(items) for one in self.sets),
        )


def _drawn(by_lang: ByLanguage[Item], size: int) -> dict[str, tuple[Item, ...]]:
    ids = [item.id for item in next(iter(by_lang.values()), ())]
    kept = set(by_digest(ids)[:size])
    return {lang: tuple(i for i in items if i.id in kept) for lang, items in by_lang.items()}


def load_suite(
    name: str,
    *,
    languages: Sequence[str],
    source_lang: str,
    choices: Path | None = None,
    translation: Path | None = None,
    open: Path | None = None,
    qa: Path | None = None,
    math: Path | None = None,
    code: Path | None = None,
    partial: Collection[str] = (),
) -> Suite:
    """Read and check the files of a suite.

    Rows in languages that the recipe does not name are passed over; their codes must still be
    known ones.

    Args:
        name: suite name.
        languages: taught languages, BCP-47.
        source_lang: language of the source, which every file must hold too.
        choices: multiple-choice file, or None.
        translation: parallel sentences, or None.
        open: open questions, or None.
        qa: questions about texts, or None.
        math: word problems, or None.
        code: programs to be written, or None.
        partial: tasks whose file may lack languages; the others must hold all.

    Raises:
        PreflightError: a file is missing or unreadable, a row is broken, or the languages are not
            aligned; lists every problem of all files with file and line.
    """
    problems: list[str] = []
    wanted = (source_lang, *languages)

    def load(
        path: Path | None, task: str, build: Callable[[Line, list[str]], Item | None]
    ) -> dict[str, tuple[Item, ...]]:
        return _load(path, wanted, build, problems, partial=task in partial)

    loaded = Suite(
        name,
        source_lang,
        tuple(languages),
        load(choices, "choices", choice_item),
        load(translation, "translation", translation_item),
        load(open, "open", open_item),
        load(qa, "qa", answer_item),
        load(math, "math", number_item),
        load(code, "code", code_item),
    )
    problems += _misaligned_options(loaded, choices)
    if problems:
        raise PreflightError(
            problems,
            where=f"evaluation suite {name!r}",
            fix="correct these lines; ids, options and answers must be the same in every language",
        )
    return loaded


def _load(
    path: Path | None,
    wanted: Sequence[str],
    build: Callable[[Line, list[str]], Item | None],
    problems: list[str],
    *,
    partial: bool,
) -> dict[str, tuple[Item, ...]]:
    """Items of one file by language, in the order of the first language's rows."""
    if path is None:
        return {}
    found: dict[str, dict[str, Item]] = {lang: {} for lang in wanted}
    broken: set[str] = set()  # ids already complained of: no second complaint that they are missing
    for line in read_lines(path, problems):
        before = len(problems)
        item = build(line, problems)
        if item is not None and item.lang in found and found[item.lang].setdefault(item.id, item) is not item:
            problems.append(f"{line.where}: id {item.id!r} stands twice in {item.lang!r}")
        if len(problems) > before:
            broken.add(str(line.row.get("id")))
    if partial:
        found = {lang: by_id for lang, by_id in found.items() if by_id} or found
    problems += _misaligned_ids(path, found, broken)
    order = list(next(iter(found.values())))
    return {lang: tuple(by_id[i] for i in order if i in by_id) for lang, by_id in found.items()}


def _misaligned_ids(path: Path, found: Mapping[str, Mapping[str, Any]], broken: set[str]) -> list[str]:
    everywhere = {item_id for by_id in found.values() for item_id in by_id}
    problems = []
    for lang, by_id in found.items():
        missing = sorted(everywhere - by_id.keys() - broken)
        if not by_id and not broken:
            problems.append(f"{path}: no row in {lang!r}, a language of the recipe")
        elif missing:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            problems.append(f"{path}: {lang!r} lacks the ids {', '.join(missing[:5])}{more}")
    return problems


def _misaligned_options(suite: Suite, path: Path | None) -> list[str]:
    """Consistency compares letters, so a letter must mean the same option in every language."""
    problems = []
    first = next(iter(suite.choices), "")
    originals = {item.id: item for item in suite.choices.get(first, ())}
    for item in (i for lang, items in suite.choices.items() if lang != first for i in items):
        original = originals.get(item.id)
        if original is None:
            continue
        if len(item.choices) != len(original.choices):
            problems.append(
                f"{path}: id {item.id!r} has {len(item.choices)} choices in {item.lang!r} "
                f"and {len(original.choices)} in {first!r}"
            )
        elif item.answer != original.answer:
            problems.append(
                f"{path}: the answer of id {item.id!r} is {item.answer} in {item.lang!r} "
                f"and {original.answer} in {first!r}"
            )
    return problems
