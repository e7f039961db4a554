"""Published sets read as they are: one file per language, turned into rows of a suite.

Ids are made so that they agree across languages: XCOPA's own index, the line of MGSM, SQuAD's question
id, Vicuna's question id, HumanEval's task. XCOPA's premise becomes a sentence that each choice continues;
"cause" and "effect" are asked for with a word of the language, as the set's authors did it for English.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tongues.core.errors import PreflightError

FILE_CODES = {"zh-Hans": "zh"}
"""Codes by which these sets name a language, where it is not the BCP-47 code."""
_CONNECTORS = {
    "en": ("because", "so"),
    "et": ("sest", "seetõttu"),
    "ht": ("paske", "kidonk"),
    "id": ("karena", "maka"),
    "it": ("perché", "quindi"),
    "qu": ("imarayku", "chayrayku"),
    "sw": ("kwa sababu", "kwa hiyo"),
    "ta": ("ஏனெனில்", "ஆகவே"),
    "th": ("เพราะ", "ดังนั้น"),
    "tr": ("çünkü", "bu yüzden"),
    "vi": ("bởi vì", "vì vậy"),
    "zh-Hans": ("因为", "所以"),
}
"""Words for "because" and "so"; a language that is missing here cannot be read from XCOPA."""
Rows = Iterator[dict[str, Any]]


def read_published(format: str, files: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Rows of all languages, as the suite's own files have them.

    Args:
        format: "xcopa", "vicuna", "xquad", "mgsm", "humaneval" or "flores".
        files: BCP-47 code to the file of that language.

    Raises:
        PreflightError: a file is not of that format; lists every one.
    """
    rows, problems = list[dict[str, Any]](), list[str]()
    for lang, path in files.items():
        try:
            rows += [{"lang": lang, **row} for row in _READERS[format](path.read_text("utf-8-sig"), lang)]
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
            RecursionError,
        ) as error:
            problems.append(f"{path}: not a {format} file of {lang} ({type(error).__name__}: {error})")
    if problems:
        raise PreflightError(problems, where="evaluation.suite", fix="check the format and the files")
    return rows


def _xcopa(text: str, lang: str) -> Rows:
    because, so = _CONNECTORS[lang]
    for item in map(json.loads, text.splitlines()):
        connector = {"cause": because, "effect": so}[item["question"]]
        premise = item["premise"].strip().rstrip(".。")
        yield {
            "id": f"xcopa-{item['idx']}",
            "question": f"{premise} {connector} ...",
            "choices": [_within(item[name]) for name in ("choice1", "choice2")],
            "answer": "AB"[item["label"]],
        }


def _within(choice: str) -> str:
    """A choice as it stands inside a sentence: its first letter small."""
    said = choice.strip()
    return said[:1].lower() + said[1:]


def _vicuna(text: str, _: str) -> Rows:
    for item in map(json.loads, text.splitlines()):
        prompt = item["text"] if "text" in item else item["turns"][0]
        yield {"id": f"vicuna-{item['question_id']}", "prompt": prompt, "category": item.get("category", "")}


def _xquad(text: str, _: str) -> Rows:
    for article in json.loads(text)["data"]:
        for paragraph in article["paragraphs"]:
            for item in paragraph["qas"]:
                yield {
                    "id": f"xquad-{item['id']}",
                    "question": item["question"],
                    "context": paragraph["context"].lstrip("\ufeff"),
                    "answers": sorted({answer["text"] for answer in item["answers"]}),
                }


def _mgsm(text: str, _: str) -> Rows:
    for number, line in enumerate(text.split("\n")):
        if line.strip():
            question, answer = line.split("\t")
            # The answers are written as in English, whatever the language.
            yield {"id": f"mgsm-{number}", "question": question, "answers": [answer.strip().replace(",", "")]}


def _humaneval(text: str, _: str) -> Rows:
    for item in map(json.loads, text.splitlines()):
        yield {
            "id": item["task_id"].replace("/", "-").lower(),
            "prompt": item["prompt"],
            "entry_point": item["entry_point"],
            "test": item["test"],
            "solution": item.get("canonical_solution", ""),
        }


def _flores(text: str, _: str) -> Rows:
    for number, line in enumerate(text.rstrip("\n").split("\n")):
        yield {"id": f"flores-{number}", "text": line.strip()}


_READERS: dict[str, Callable[[str, str], Rows]] = {
    "xcopa": _xcopa,
    "vicuna": _vicuna,
    "xquad": _xquad,
    "mgsm": _mgsm,
    "humaneval": _humaneval,
    "flores": _flores,
}
