"""Answers item by item in several languages, as others have published them: accuracy, consistency and AC3.

Two shapes are read, each as a JSON list or as JSON Lines:

    SeaEval's   {"id", "<Language>": {"choices", "answer", "model_prediction", "model_prediction_align"}, ...}
    rows        {"id", "lang", "answer", "prediction"}, and "choices" where a prediction is prose

An aligned prediction counts as it is. Where there is none, prose is mapped to an option as for Cross-* sets,
and what names none is drawn, alike every time, and counted. Formulas are those of arXiv 2309.04766; one
differs from the authors' script: two predictions that are no option do not agree with one another.
"""

import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongues.core.errors import DataError
from tongues.core.scores import TOGETHER, Measurement
from tongues.evaluation.cross import drawn_letter, mapped
from tongues.evaluation.items import LETTERS
from tongues.evaluation.metrics import share, together

SHAPES = (
    "give SeaEval's records (id, and per language choices, answer, model_prediction or "
    "model_prediction_align) or rows with id, lang, answer and prediction, as a JSON list or JSON Lines"
)
_LETTERED = re.compile(r"^\s*[(（]?[A-Z][)）.:]\s*")
_LETTER = re.compile(r"\s*[(（]?([A-Z])(?:[)）.:]|\s*$)")


@dataclass(frozen=True, slots=True)
class Answered:
    """One item in one language: the right letter, the model's, and whether it had to be drawn."""

    id: str
    lang: str
    right: str
    got: str
    drawn: bool


def read_item_log(path: Path) -> list[Answered]:
    """Read the answers of one model to one set.

    Args:
        path: in one of the shapes above.

    Raises:
        DataError: it has neither shape, or an item lacks a language that another one has.
    """
    found: list[Answered] = []
    for number, record in enumerate(_records(path), 1):
        try:
            found += _answered(record, number)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"record {number} is none of these shapes ({type(error).__name__}: {error})"
            raise DataError(what, where=str(path), fix=SHAPES) from error
    if not found:
        raise DataError("no answers here", where=str(path), fix=SHAPES)
    return found


def item_log_figures(answers: Sequence[Answered], where: str = "") -> dict[str, Measurement]:
    """Accuracy per language and over all, consistency_s and AC3_s for every s, and the share drawn.

    Args:
        answers: as `read_item_log` has them.
        where: names the file in errors.

    Returns:
        ``LANGUAGE/accuracy``, ``LANGUAGE/unmapped_rate``, ``all/accuracy``, ``all/consistency_2``,
        ``all/ac3_2`` and so on, each 0..1 with n and a 95 % interval.

    Raises:
        DataError: an item lacks a language, stands twice, or has not the same right letter in all.
    """
    by_lang = _aligned(answers, where)
    found: dict[str, Measurement] = {}
    for lang, items in by_lang.items():
        found[f"{lang}/accuracy"] = share([one.got == one.right for one in items])
        found[f"{lang}/unmapped_rate"] = share([one.drawn for one in items])
    gold = [one.right for one in next(iter(by_lang.values()))]
    figures = together({lang: [one.got for one in items] for lang, items in by_lang.items()}, gold)
    return found | {f"{TOGETHER}/{name}": figure for name, figure in figures.items()}


def median_figures(logs: Sequence[Mapping[str, Measurement]]) -> dict[str, Measurement]:
    """Figure by figure the median of several logs, one for each wording of the instruction.

    Args:
        logs: at least one; of the same languages.

    Source: SeaEval, arXiv 2309.04766, takes the median of five wordings.
    """
    return {
        name: _median([log[name] for log in logs]) for name in logs[0] if all(name in log for log in logs)
    }


def _median(found: Sequence[Measurement]) -> Measurement:
    middle = statistics.median_low([one.value for one in found])
    return next(one for one in found if one.value == middle)


def _answered(record: Mapping[str, Any], number: int) -> Iterator[Answered]:
    """The answers of a record: one of a row, one per language of SeaEval's."""
    name = str(record.get("id", number))
    if "lang" in record:
        yield _one(name, str(record["lang"]), record, str(record["prediction"]), aligned=False)
        return
    by_lang = {lang: item for lang, item in record.items() if isinstance(item, Mapping)}
    if not by_lang:
        raise KeyError("lang")
    for lang, item in by_lang.items():
        aligned = "model_prediction_align" in item
        said = item["model_prediction_align" if aligned else "model_prediction"]
        yield _one(name, lang, item, str(said), aligned=aligned)


def _one(name: str, lang: str, item: Mapping[str, Any], said: str, *, aligned: bool) -> Answered:
    right = _LETTER.match(str(item["answer"]))
    if right is None:
        raise ValueError(f"no letter in the answer {item['answer']!r}")
    options = [_LETTERED.sub("", str(choice)) for choice in item.get("choices", ())]
    letter = _LETTER.match(said)
    got = letter[1] if letter and (not options or letter[1] in LETTERS[: len(options)]) else ""
    if got or aligned:
        return Answered(name, lang, right[1], got, drawn=not got)
    if not options:
        raise KeyError("choices")
    named = mapped(said, options)
    return Answered(name, lang, right[1], named or drawn_letter(f"{name} {lang}", len(options)), not named)


def _aligned(answers: Sequence[Answered], where: str) -> dict[str, list[Answered]]:
    """Language to its answers, in one order of items."""
    table: dict[str, dict[str, Answered]] = {one.lang: {} for one in answers}
    for one in answers:
        if table[one.lang].setdefault(one.id, one) is not one:
            raise DataError(f"item {one.id} stands twice in {one.lang}", where=where)
    ids = list(dict.fromkeys(one.id for one in answers))
    for lang, items in table.items():
        if missing := [name for name in ids if name not in items]:
            raise DataError(
                f"{lang} lacks the items {', '.join(missing[:5])}", where=where, fix="leave it out"
            )
    for name in ids:
        if len({items[name].right for items in table.values()}) != 1:
            raise DataError(f"item {name} has not the same right letter in all languages", where=where)
    return {lang: [items[name] for name in ids] for lang, items in table.items()}


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = text.lstrip().startswith("{")
        found = [json.loads(line) for line in text.split("\n") if line.strip()] if lines else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot be read as JSON ({error})", where=str(path), fix=SHAPES) from error
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise DataError("not a list of records", where=str(path), fix=SHAPES)
    return found
