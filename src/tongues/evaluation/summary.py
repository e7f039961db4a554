"""The comparison in short: Markdown for Kubeflow Pipelines and MLflow, a table for the terminal."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tongues.core.languages import language
from tongues.core.scores import TOGETHER, Measurement, Scores
from tongues.evaluation.compare import MEASURES, Measure, signed

if TYPE_CHECKING:
    from rich.table import Table

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


@dataclass(frozen=True, slots=True)
class Row:
    """One measure in one language, one cell per model.

    Args:
        where: language or "all languages".
        label: the measure.
        n: items.
        cells: value with interval, in the order of the scores.
        change: candidate minus base; "" where one of them is missing.
    """

    where: str
    label: str
    n: int
    cells: tuple[str, ...]
    change: str


def summary_rows(scores: Sequence[Scores]) -> list[Row]:
    """The rows of both tables: the main measures per language, then consistency and AC3."""
    langs = dict.fromkeys(lang for one in scores for lang in (one.source_lang, *one.languages))
    rows = [
        _row(scores, measure, lang, language(lang).name)
        for measure in MEASURES
        if measure.main
        for lang in langs
    ]
    rows += [_row(scores, measure, TOGETHER, "all languages") for measure in _together(scores)]
    return [row for row in rows if row.n]


def _together(scores: Sequence[Scores]) -> Iterator[Measure]:
    for s in range(2, max(len(one.languages) for one in scores) + 2):
        yield Measure("choices", f"consistency_{s}", f"Consistency, s = {s}", 100, " %", main=False)
        yield Measure("choices", f"ac3_{s}", f"AC3, s = {s}", 100, " %", main=False)


def _row(scores: Sequence[Scores], measure: Measure, lang: str, where: str) -> Row:
    found = {one.role: one.get(measure.task, lang, measure.metric) for one in scores}
    n = max((m.n for m in found.values() if m), default=0)
    base, candidate = found.get("base"), found.get("candidate")
    change = signed((candidate.value - base.value) * measure.factor) if base and candidate else ""
    return Row(where, measure.label, n, tuple(_cell(measure, m) for m in found.values()), change)


def _cell(measure: Measure, found: Measurement | None) -> str:
    interval = measure.show_range(found)
    return f"{measure.show(found)} ({interval})" if interval else measure.show(found)


def markdown_summary(scores: Sequence[Scores]) -> str:
    """The comparison as a Markdown table with 95 % intervals in brackets.

    Args:
        scores: one per model, the base first.
    """
    heads = [f"{one.role}: {escape_markdown(one.model)}" for one in scores]
    lines = [
        f"## Evaluation on suite {escape_markdown(scores[0].suite)}",
        "",
        f"| Measure | Language | n | {' | '.join(heads)} | change |",
        f"|---|---|---:|{'---:|' * len(heads)}---:|",
    ]
    lines += [
        f"| {row.label} | {row.where} | {row.n} | {' | '.join(row.cells)} | {row.change} |"
        for row in summary_rows(scores)
    ]
    return "\n".join([*lines, "", "In brackets: 95 % intervals. Chance with four options: 25 %.", ""])


def escape_markdown(text: str) -> str:
    """A text that stays one plain cell whatever it holds."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(text.split()))


def terminal_table(scores: Sequence[Scores]) -> "Table":
    """The comparison as a rich table.

    Args:
        scores: one per model, the base first.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"Evaluation on suite {escape(scores[0].suite)} (95 % intervals)")
    for head in ("measure", "language"):
        table.add_column(head, no_wrap=True)
    for head in ("n", *(one.role for one in scores), "change"):
        table.add_column(head, justify="right")
    previous = ""
    for row in summary_rows(scores):
        if previous and row.label != previous:
            table.add_section()
        table.add_row(
            row.label if row.label != previous else "", row.where, str(row.n), *row.cells, row.change
        )
        previous = row.label
    return table


def print_terminal(scores: Sequence[Scores]) -> None:
    """Print the comparison on standard output."""
    from rich.console import Console

    Console().print(terminal_table(scores))
