"""The items of a suite, and the lines of its files that they are read from."""

import json
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
    """One open question, to be answered in its own language.

    Args:
        id: the question's identity, the same in every language.
        lang: BCP-47 code.
        prompt: the question.
        category: kind of question.
        reference: a reference model's answer, which a judge compares others with; empty where there is none.
    """

    id: str
    lang: str
    prompt: str
    category: str = ""
    reference: str = ""


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


@dataclass(frozen=True, slots=True)
class CodeItem:
    """One program to be written.

    Args:
        id: the task's identity, the same in every language.
        lang: BCP-47 code of the words in the prompt.
        prompt: the beginning of a program: imports, helpers, signature and docstring.
        entry_point: name of the function that is asked for.
        test: Python that defines ``check(candidate)``.
        solution: the set's own body of the function; empty where it has none.
    """

    id: str
    lang: str
    prompt: str
    entry_point: str
    test: str
    solution: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file with its address for messages."""

    where: str
    row: dict[str, Any]


def read_lines(path: Path, problems: list[str]) -> list[Line]:
    """The rows of a JSONL file; lines that are none are noted."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: cannot be read as UTF-8 text ({error})")
        return []
    lines = []
    for number, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            try:
                lines.append(Line(f"{path}:{number}", _object(content)))
            except ValueError as error:
                problems.append(f"{path}:{number}: not a JSON object ({error})")
    return lines


def _object(content: str) -> dict[str, Any]:
    row = json.loads(content)
    if not isinstance(row, dict):
        raise ValueError(f"it is a {type(row).__name__}")
    return row


def choice_item(line: Line, problems: list[str]) -> ChoiceItem | None:
    """One row of "choices"; None, with the reasons noted, where it is broken."""
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


def translation_item(line: Line, problems: list[str]) -> TranslationItem | None:
    """One row of "translation"; None, with the reasons noted, where it is broken."""
    texts = _texts(line, ("id", "lang", "text"), problems)
    return TranslationItem(**texts) if texts else None


def open_item(line: Line, problems: list[str]) -> OpenItem | None:
    """One row of "open"; None, with the reasons noted, where it is broken."""
    texts = _texts(line, ("id", "lang", "prompt"), problems)
    more = {key: line.row.get(key, "") for key in ("category", "reference")}
    if wrong := [key for key, value in more.items() if not isinstance(value, str)]:
        problems += [f"{line.where}: {key!r} is not a text" for key in wrong]
        return None
    return OpenItem(**texts, **more) if texts else None


def answer_item(line: Line, problems: list[str]) -> AnswerItem | None:
    """One row of "qa"; None, with the reasons noted, where it is broken."""
    texts = _texts(line, ("id", "lang", "question", "context"), problems)
    answers = line.row.get("answers")
    sound = isinstance(answers, list) and all(isinstance(a, str) and a.strip() for a in answers)
    if not sound or not answers:
        problems.append(f"{line.where}: 'answers' must be a list of at least one text")
        return None
    return AnswerItem(**texts, answers=tuple(answers)) if texts else None


def number_item(line: Line, problems: list[str]) -> AnswerItem | None:
    """One row of "math"; None, with the reasons noted, where it is broken."""
    item = answer_item(replace(line, row={"context": "-", **line.row}), problems)
    if item is not None and (len(item.answers) != 1 or last_number(item.answers[0], item.lang) is None):
        problems.append(f"{line.where}: 'answers' must hold one number, found {list(item.answers)}")
        return None
    return None if item is None else replace(item, context=line.row.get("context", ""))


def code_item(line: Line, problems: list[str]) -> CodeItem | None:
    """One row of "code"; None, with the reasons noted, where it is broken."""
    texts = _texts(line, ("id", "lang", "prompt", "entry_point", "test"), problems)
    solution = line.row.get("solution", "")
    if not isinstance(solution, str):
        problems.append(f"{line.where}: 'solution' is not a text")
        return None
    if texts and not texts["entry_point"].isidentifier():
        problems.append(f"{line.where}: 'entry_point' {texts['entry_point']!r} is no name of a function")
        return None
    return CodeItem(**texts, solution=solution) if texts else None


def _texts(line: Line, keys: Sequence[str], problems: list[str]) -> dict[str, str] | None:
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
