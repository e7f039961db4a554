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
    ``unreadable`` names them.
    """

    overall: Mean
    categories: dict[str, Mean]
    parse_failures: int
    unreadable: list[str]


def read_rating(judgement: str) -> float | None:
    """The rating in the prose of a judge: the last ``[[x]]`` with x from 1 to 10.

    Args:
        judgement: prose; a judge may mention other ratings on the way to the last one.

    Returns:
        The rating, or None where there is none in range.

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
    unreadable: list[str] = []
    for index, record in enumerate(_records(path)):
        rating = read_rating(record["judgement"])
        if rating is None:
            unreadable.append(str(record.get("id", index)))
        else:
            by_category[str(record.get("category", ""))].append(rating)
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
    }


def _mean(ratings: Sequence[float]) -> Mean:
    return {"mean": sum(ratings) / len(ratings), "n": len(ratings)}


def _records(path: Path) -> list[dict[str, Any]]:
    fix = "give a JSON list of records with the keys judgement and category"
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read as JSON ({error})", where=str(path), fix=fix) from error
    sound = isinstance(records, list) and all(
        isinstance(r, dict) and isinstance(r.get("judgement"), str) for r in records
    )
    if not sound:
        raise DataError("not a list of records with a text 'judgement'", where=str(path), fix=fix)
    return list(records)
