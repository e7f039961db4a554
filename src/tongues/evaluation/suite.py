"""The evaluation suite: files of items aligned by id across languages, checked as a whole.

``choices``: id, lang, question, choices, answer ("A", "B", ...). ``translation``: id, lang, text.
``open``: id, lang, prompt, optional category. ``qa``: id, lang, question, context, answers.
``math``: id, lang, question, answers. One JSON object per line. Nothing is scored before every
line of every file is known to be sound.
"""

import hashlib
import json
import string
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from tongues.core.digests import digest_value
from tongues.core.errors import PreflightError
from tongues.core.languages import languages as known_languages
from tongues.core.languages import unknown_language
from tongues.evaluation.answers import last_number

LETTERS = string.ascii_uppercase


@dataclass(frozen=True, slots=True)
class ChoiceItem:
    """One multiple-choice question.

    Args:
        id: the question's identity, the same in every language.
        lang: BCP-47 code.
        question: a question, or the beginning of a sentence that ends in "...".
        choices: the options, at least two, in the same order in every language.
        answer: letter of the right option.
    """

    id: str
    lang: str
    question: str
    choices: tuple[str, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class TranslationItem:
    """One sentence of a parallel set: id, BCP-47 code, text."""

    id: str
    lang: str
    text: str


@dataclass(frozen=True, slots=True)
class OpenItem:
    """One open question, to be answered in its own language: id, BCP-47 code, prompt, kind of question."""

    id: str
    lang: str
    prompt: str
    category: str = ""


@dataclass(frozen=True, slots=True)
class AnswerItem:
    """One question with known answers.

    Args:
        id: the question's identity, the same in every language.
        lang: BCP-47 code.
        question: what is asked.
        answers: all that count as right, at least one.
        context: the text it is asked about; empty for a word problem.
    """

    id: str
    lang: str
    question: str
    answers: tuple[str, ...]
    context: str = ""


Item = TypeVar("Item", ChoiceItem, TranslationItem, OpenItem, AnswerItem)
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
        return digest_value([self.source_lang, list(self.languages), rows])

    @property
    def work_items(self) -> int:
        """Items to be scored for one model: what progress counts up to."""
        translated = [self.translation[lang] for lang in self.languages if self.translation]
        others = (self.choices, self.open, self.qa, self.math)
        return sum(map(len, [*translated, *(items for task in others for items in task.values())]))

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
        )


def _drawn(by_lang: ByLanguage[Item], size: int) -> dict[str, tuple[Item, ...]]:
    ids = [item.id for item in next(iter(by_lang.values()), ())]
    kept = set(sorted(ids, key=lambda id: hashlib.sha256(id.encode()).digest())[:size])
    return {lang: tuple(i for i in items if i.id in kept) for lang, items in by_lang.items()}


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a file with its address for messages."""

    where: str
    row: dict[str, Any]


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
        partial: tasks whose file may lack languages; the others must hold all.

    Raises:
        PreflightError: a file is missing or unreadable, a row is broken, or the languages are not
            aligned; lists every problem of all files with file and line.
    """
    problems: list[str] = []
    wanted = (source_lang, *languages)

    def load(
        path: Path | None, task: str, build: Callable[[_Line, list[str]], Item | None]
    ) -> dict[str, tuple[Item, ...]]:
        return _load(path, wanted, build, problems, partial=task in partial)

    loaded = Suite(
        name,
        source_lang,
        tuple(languages),
        load(choices, "choices", _choice_item),
        load(translation, "translation", _translation_item),
        load(open, "open", _open_item),
        load(qa, "qa", _answer_item),
        load(math, "math", _number_item),
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
    build: Callable[[_Line, list[str]], Item | None],
    problems: list[str],
    *,
    partial: bool,
) -> dict[str, tuple[Item, ...]]:
    """Items of one file by language, in the order of the first language's rows."""
    if path is None:
        return {}
    found: dict[str, dict[str, Item]] = {lang: {} for lang in wanted}
    broken: set[str] = set()  # ids already complained of: no second complaint that they are missing
    for line in _read_lines(path, problems):
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


def _read_lines(path: Path, problems: list[str]) -> list[_Line]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read as UTF-8 text ({error})")
        return []
    lines = []
    for number, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            try:
                lines.append(_Line(f"{path}:{number}", _object(content)))
            except ValueError as error:
                problems.append(f"{path}:{number}: not a JSON object ({error})")
    return lines


def _object(content: str) -> dict[str, Any]:
    row = json.loads(content)
    if not isinstance(row, dict):
        raise ValueError(f"it is a {type(row).__name__}")
    return row


def _choice_item(line: _Line, problems: list[str]) -> ChoiceItem | None:
    texts = _texts(line, ("id", "lang", "question", "answer"), problems)
    options = line.row.get("choices")
    if not isinstance(options, list) or not 2 <= len(options) <= len(LETTERS):
        problems.append(f"{line.where}: 'choices' must be a list of 2 to {len(LETTERS)} texts")
        return None
    if not all(isinstance(option, str) and option.strip() for option in options):
        problems.append(f"{line.where}: an option of 'choices' is empty or not a text")
        return None
    if len(set(options)) < len(options):
        problems.append(f"{line.where}: two options of 'choices' are the same")
    if texts and texts["answer"] not in LETTERS[: len(options)]:
        allowed = ", ".join(LETTERS[: len(options)])
        problems.append(f"{line.where}: 'answer' is {texts['answer']!r}; allowed: {allowed}")
    return ChoiceItem(**texts, choices=tuple(options)) if texts else None


def _translation_item(line: _Line, problems: list[str]) -> TranslationItem | None:
    texts = _texts(line, ("id", "lang", "text"), problems)
    return TranslationItem(**texts) if texts else None


def _open_item(line: _Line, problems: list[str]) -> OpenItem | None:
    texts = _texts(line, ("id", "lang", "prompt"), problems)
    category = line.row.get("category", "")
    if not isinstance(category, str):
        problems.append(f"{line.where}: 'category' is not a text")
        return None
    return OpenItem(**texts, category=category) if texts else None


def _answer_item(line: _Line, problems: list[str]) -> AnswerItem | None:
    texts = _texts(line, ("id", "lang", "question", "context"), problems)
    answers = line.row.get("answers")
    sound = isinstance(answers, list) and all(isinstance(a, str) and a.strip() for a in answers)
    if not sound or not answers:
        problems.append(f"{line.where}: 'answers' must be a list of at least one text")
        return None
    return AnswerItem(**texts, answers=tuple(answers)) if texts else None


def _number_item(line: _Line, problems: list[str]) -> AnswerItem | None:
    item = _answer_item(replace(line, row={"context": "-", **line.row}), problems)
    if item is not None and (len(item.answers) != 1 or last_number(item.answers[0], item.lang) is None):
        problems.append(f"{line.where}: 'answers' must hold one number, found {list(item.answers)}")
        return None
    return None if item is None else replace(item, context=line.row.get("context", ""))


def _texts(line: _Line, keys: Sequence[str], problems: list[str]) -> dict[str, str] | None:
    """The named texts of a row; None, with every reason noted, where one is missing or empty."""
    before = len(problems)
    for key in keys:
        value = line.row.get(key)
        if not isinstance(value, str) or not value.strip():
            problems.append(f"{line.where}: {key!r} is missing, empty or not a text")
        elif any("\ud800" <= char <= "\udfff" for char in value):
            problems.append(f"{line.where}: {key!r} holds half of a surrogate pair, which is no character")
    lang = line.row.get("lang")
    if isinstance(lang, str) and lang.strip() and lang not in known_languages():
        problems.append(f"{line.where}: {unknown_language(lang)}")
    return {key: line.row[key] for key in keys} if len(problems) == before else None


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
