"""Verdicts of a judge on one model's open answers, one language at a time, and what they add up to.

An answer that is missing (an empty one, or a chain without its last segment) is not sent: it has the lowest
rating, and loses against any other. A verdict that cannot be read is asked for once more; what then cannot be
read is in no mean, and where too many cannot, there is no mean at all.
"""

import dataclasses
import io
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tongues.core.digests import digest_value
from tongues.core.manifest import write_atomically
from tongues.core.progress import Progress
from tongues.core.scores import Measurement
from tongues.evaluation.judge import (
    Winner,
    again,
    both_orders,
    pair_prompt,
    read_rating,
    read_winner,
    single_prompt,
)
from tongues.evaluation.judgements import LOWEST
from tongues.evaluation.metrics import mean, share
from tongues.evaluation.samples import Sample
from tongues.inference.writer import Prompt, Writer, write_all

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One judgement of one answer or pair.

    Args:
        lang: BCP-47 code.
        id: the question's.
        category: of the question; "" where it has none.
        order: "" for a single answer; "first" for a pair as given, "second" for the swapped one.
        model: the judge.
        prompt_sha256: digest of all that the judge was told.
        said: the judge's prose; "" where nothing was sent or nothing came back.
        asked_again: whether it took a second request.
        rating: 1..10; None where it cannot be read, and for a pair.
        winner: "first", "second" or "tie", in the names of this order; "" where it cannot be read, and for
            a single answer.
        note: why nothing was sent, or nothing came back.
    """

    lang: str
    id: str
    category: str
    order: str
    model: str
    prompt_sha256: str
    said: str = ""
    asked_again: bool = False
    rating: float | None = None
    winner: str = ""
    note: str = ""


def grade(
    questions: Sequence[str], samples: Sequence[Sample], writer: Writer, model: str, progress: Progress
) -> list[Verdict]:
    """Have each answer graded by itself, in the order given.

    Args:
        questions: as the suite has them, one for each sample.
        samples: answers to open questions.
        writer: asks the judge, for the language of the samples; closed at the end.
        model: the judge's name.
        progress: counts answers.

    Raises:
        EngineError, BudgetError: the writer's; verdicts so far are in the ledger.
    """

    async def one(item: tuple[str, Sample]) -> Verdict:
        question, sample = item
        prompt = single_prompt(question, sample.got or "-", sample.lang)
        verdict = Verdict(sample.lang, sample.id, sample.category, "", model, _sha256(prompt))
        if not sample.got:
            return dataclasses.replace(verdict, rating=LOWEST, note="no answer to judge")
        said, rating, asked_again, note = await _ask(writer, prompt, read_rating)
        return dataclasses.replace(verdict, said=said, rating=rating, asked_again=asked_again, note=note)

    return list(write_all(zip(questions, samples, strict=True), one, writer, progress=progress))


def compare_pairs(
    questions: Sequence[str],
    pairs: Sequence[tuple[Sample, Sample]],
    writer: Writer,
    model: str,
    progress: Progress,
) -> list[tuple[Verdict, Verdict]]:
    """Have two answers to each question compared, in both orders; see `grade`.

    Returns:
        Verdicts of the order given and of the swapped one, for each pair.
    """

    async def one(item: tuple[str, tuple[Sample, Sample], bool]) -> Verdict:
        question, (first, second), swapped = item
        shown = (second, first) if swapped else (first, second)
        prompt = pair_prompt(question, shown[0].got or "-", shown[1].got or "-", first.lang)
        order = "second" if swapped else "first"
        verdict = Verdict(first.lang, first.id, first.category, order, model, _sha256(prompt))
        if not (first.got and second.got) or first.got == second.got:
            return dataclasses.replace(verdict, winner=_walkover(*shown), note="nothing to compare")
        said, winner, asked_again, note = await _ask(writer, prompt, read_winner)
        return dataclasses.replace(
            verdict, said=said, winner=winner or "", asked_again=asked_again, note=note
        )

    work = [
        (question, pair, swapped)
        for question, pair in zip(questions, pairs, strict=True)
        for swapped in (False, True)
    ]
    found = list(write_all(work, one, writer, progress=progress))
    return list(zip(found[::2], found[1::2], strict=True))


async def _ask(
    writer: Writer, prompt: Prompt, read: Callable[[str], Read | None]
) -> tuple[str, Read | None, bool, str]:
    """What the judge said, what could be read, whether it was asked twice, and what failed."""
    outcome = await writer.write(prompt)
    found = read(outcome.text) if outcome.text is not None else None
    if found is not None or outcome.text is None:
        note = "" if outcome.text is not None else f"{outcome.reason}: {outcome.detail}"
        return outcome.text or "", found, False, note
    second = await writer.write(again(prompt, outcome.text))
    note = "" if second.text is not None else f"{second.reason}: {second.detail}"
    said = f"{outcome.text}\n\n{second.text or ''}".strip()
    return said, read(second.text) if second.text is not None else None, True, note


def _sha256(prompt: Prompt) -> str:
    return digest_value(list(prompt.messages))


def _walkover(first: Sample, second: Sample) -> Winner:
    """Who wins where an answer is missing or both are the same."""
    if bool(first.got) == bool(second.got):
        return "tie"
    return "first" if first.got else "second"


def rated(verdicts: Sequence[Verdict], max_unreadable_share: float) -> dict[str, Measurement]:
    """Mean rating of one language, over items, per category, and over categories.

    Args:
        verdicts: single ones, at least one.
        max_unreadable_share: above it there is no mean, so that a gate finds nothing measured.

    Returns:
        "judge" (mean over items, 1..10, bootstrap interval), "judge_macro" (mean over the categories'
        means, without an interval), "judge_in_CATEGORY", and "judge_unreadable_rate".
    """
    readable = [(v.category, v.rating) for v in verdicts if v.rating is not None]
    figures = {"judge_unreadable_rate": share([verdict.rating is None for verdict in verdicts])}
    if not readable or figures["judge_unreadable_rate"].value > max_unreadable_share:
        return figures
    by_category: dict[str, list[float]] = defaultdict(list)
    for category, rating in readable:
        by_category[_slug(category) if category else ""].append(rating)
    figures["judge"] = mean([rating for _, rating in readable])
    if set(by_category) == {""}:
        return figures
    each = {name: mean(ratings) for name, ratings in sorted(by_category.items())}
    macro = sum(figure.value for figure in each.values()) / len(each)
    named = {f"judge_in_{name or 'other'}": figure for name, figure in each.items()}
    return figures | {"judge_macro": Measurement(value=macro, n=len(readable))} | named


def won(
    verdicts: Sequence[tuple[Verdict, Verdict]], other: str, max_unreadable_share: float
) -> dict[str, Measurement]:
    """How often the first of each pair is preferred to the second, of one language.

    Args:
        verdicts: as `compare_pairs` gives them, at least one.
        other: role of the model compared with.
        max_unreadable_share: as for `rated`.

    Returns:
        "win_rate_OTHER" (wins and half of the ties / n, bootstrap interval), "wins_OTHER", "ties_OTHER",
        "losses_OTHER" (shares), and "pairs_unreadable_rate_OTHER".
    """
    winners = [both_orders(_winner(given), _winner(swapped)) for given, swapped in verdicts]
    unreadable = share([winner is None for winner in winners])
    figures = {f"pairs_unreadable_rate_{other}": unreadable}
    known = [winner for winner in winners if winner is not None]
    if not known or unreadable.value > max_unreadable_share:
        return figures
    worth: dict[Winner, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
    counted: dict[str, Winner] = {"wins": "first", "ties": "tie", "losses": "second"}
    shares = {f"{name}_{other}": share([w == which for w in known]) for name, which in counted.items()}
    return figures | {f"win_rate_{other}": mean([worth[winner] for winner in known])} | shares


def _winner(verdict: Verdict) -> Winner | None:
    names: dict[str, Winner] = {"first": "first", "second": "second", "tie": "tie"}
    return names.get(verdict.winner)


def _slug(category: str) -> str:
    """A category as part of a metric's name; MLflow takes letters, digits and few marks."""
    return re.sub(r"\W+", "-", category.casefold()).strip("-") or "other"


def write_verdicts(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Write verdicts as zstd Parquet, atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = {"asked_again": pa.bool_(), "rating": pa.float64()}
    names = [field.name for field in dataclasses.fields(Verdict)]
    schema = pa.schema([pa.field(name, fields.get(name, pa.string())) for name in names])
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(list(map(dataclasses.asdict, verdicts)), schema=schema)
    pq.write_table(table, buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())


def read_ratings(folder: Path) -> dict[str, dict[str, float]]:
    """Language to item to rating, for the single verdicts that could be read.

    Args:
        folder: holds one ``LANG.parquet`` per language, as `write_verdicts` wrote it.
    """
    import pyarrow.parquet as pq

    found = {
        path.stem: pq.read_table(path, columns=["id", "rating"]) for path in sorted(folder.glob("*.parquet"))
    }
    return {
        lang: {row["id"]: row["rating"] for row in table.to_pylist() if row["rating"] is not None}
        for lang, table in found.items()
    }
