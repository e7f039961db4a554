"""Rows of a set's files, in the shape that lm-evaluation-harness knows from the hub."""

import json
from pathlib import Path
from typing import Any, Literal

from tongues.core.errors import DataError

Row = dict[str, Any]


def read_rows(path: Path, kind: Literal["hub", "squad", "mgsm"]) -> list[Row]:
    """The rows of one language.

    Args:
        path: Parquet, JSON Lines or a JSON list with the hub's columns; or the set's own published file.
        kind: what that published file is.

    Raises:
        DataError: the file holds no such rows.
    """
    try:
        rows = _parquet(path) if path.suffix == ".parquet" else _text(path, kind)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"no rows of this set ({type(error).__name__}: {error})", where=str(path)) from error
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError("no rows in this file", where=str(path))
    return rows


def _parquet(path: Path) -> list[Row]:
    import pyarrow.parquet as pq

    return list(pq.read_table(path).to_pylist())


def _text(path: Path, kind: Literal["hub", "squad", "mgsm"]) -> list[Row]:
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    if kind == "mgsm" and path.suffix == ".tsv":
        return _mgsm(text)
    document = json.loads(text)
    return _squad(document) if kind == "squad" and isinstance(document, dict) else list(document)


def _mgsm(text: str) -> list[Row]:
    pairs = [line.split("\t") for line in text.split("\n") if line.strip()]
    # Answers are written as in English, whatever the language.
    return [
        {"question": q, "answer": None, "answer_number": int(a.strip().replace(",", ""))} for q, a in pairs
    ]


def _squad(document: dict[str, Any]) -> list[Row]:
    return [
        {
            "id": item["id"],
            "context": paragraph["context"].lstrip("\ufeff"),
            "question": item["question"],
            "answers": {key: [a[key] for a in item["answers"]] for key in ("text", "answer_start")},
        }
        for article in document["data"]
        for paragraph in article["paragraphs"]
        for item in paragraph["qas"]
    ]
