"""Released judgements of answers: the mean rating, read from the judge's own prose.

A released file is a JSON list of records with the keys id, question, answer, judgement,
rating_in_number, got_rating, category and turns. ``judgement`` is prose that ends in
``Rating: [[9]]``; the number stored beside it is not trusted, because it can differ from what
the judge wrote.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from tongues.core.errors import DataError

_RATING = re.compile(r"\[\[\s*(\d+(?:\.\d+)?)\s*\]\]")
LOWEST, HIGHEST = 1.0, 10.0


class Mean(TypedDict):
    """Mean rating, 1..10, over n judgements; 0.0 where n is 0."""

    mean: float
    n: int


class Judgements(TypedDict):
    """What a file of judgements says.

    ``parse_failures`` counts records without a readable rating; they are in no mean, and
    ``unreadable`` names them. ``differing`` names records whose number in `rating_in_number` is
    another one than the prose says.
    """

    overall: Mean
    categories: dict[str, Mean]
    parse_failures: int
    unreadable: list[str]
    differing: list[str]


def read_rating(judgement: str) -> float | None:
    """The rating in the prose of a judge: the last ``[[x]]`` with x from 1 to 10.

    Args:
        judgement: prose; a judge may mention other ratings on the way to the last one.

    Returns:
        The rating, or None where there is none, or the last one is out of range: a judge that corrects
        itself means what it says last. Digits of any script are read.

    Source: MT-bench single grading (arXiv 2306.05685).
    """
    found = _RATING.findall(judgement)
    rating = float(found[-1]) if found else None
    return rating if rating is not None and LOWEST <= rating <= HIGHEST else None


def read_judgements(path: Path) -> Judgements:
    """Average the ratings of a released file, overall and per category.

    Raises:
        DataError: the file is not a JSON list of such records, or no rating can be read.
    """
    by_category: dict[str, list[float]] = defaultdict(list)
    unreadable, differing = list[str](), list[str]()
    for index, record in enumerate(_records(path)):
        rating, name = read_rating(record["judgement"]), _text(record.get("id", index))
        if rating is None:
            unreadable.append(name)
            continue
        by_category[_text(record.get("category") or "")].append(rating)
        beside = record.get("rating_in_number", rating)
        if isinstance(beside, int | float) and beside != rating:
            differing.append(name)
    if not by_category:
        raise DataError(
            f"none of {len(unreadable)} judgements ends in a rating such as [[9]]",
            where=str(path),
            fix="check that the file holds the judge's prose under 'judgement'",
        )
    return {
        "overall": _mean([rating for ratings in by_category.values() for rating in ratings]),
        "categories": {name: _mean(ratings) for name, ratings in sorted(by_category.items())},
        "parse_failures": len(unreadable),
        "unreadable": unreadable,
        "differing": differing,
    }


def _text(value: Any) -> str:
    """A label of a foreign file, fit to be printed: half of a surrogate pair is not."""
    return str(value).encode("utf-8", "replace").decode()


def _mean(ratings: Sequence[float]) -> Mean:
    return {"mean": sum(ratings) / len(ratings), "n": len(ratings)}


def _records(path: Path) -> list[dict[str, Any]]:
    fix = "give a JSON list of records with the keys judgement and category"
    try:
        records = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot be read as JSON ({error})", where=str(path), fix=fix) from error
    if not isinstance(records, list):
        raise DataError(f"not a list of records but a {type(records).__name__}", where=str(path), fix=fix)
    for number, record in enumerate(records):
        if not isinstance(record, dict) or not isinstance(record.get("judgement"), str):
            what = f"record {number} has no text 'judgement'"
            raise DataError(what, where=str(path), fix=fix)
    return records
