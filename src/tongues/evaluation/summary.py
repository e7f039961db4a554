"""The comparison in short: Markdown for Kubeflow Pipelines and MLflow, a table for the terminal."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tongues.core.languages import language
from tongues.core.scores import TOGETHER, Measurement, Scores
from tongues.evaluation.compare import MEASURES, Measure, signed, together_measures

if TYPE_CHECKING:
    from rich.table import Table

TOGETHER_NAME = "all languages"
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


@dataclass(frozen=True, slots=True)
class Row:
    """One measure in one language, one cell per model.

    Args:
        where: language or "all languages".
        label: the measure.
        short: the same for narrow terminals.
        n: items.
        cells: value with interval, in the order of the scores.
        change: candidate minus base; "" where one of them is missing.
    """

    where: str
    label: str
    short: str
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
    rows += [_row(scores, measure, TOGETHER, TOGETHER_NAME) for measure in together_measures(scores)]
    return [row for row in rows if row.n]


def _row(scores: Sequence[Scores], measure: Measure, lang: str, where: str) -> Row:
    found = {one.role: one.get(measure.task, lang, measure.metric) for one in scores}
    n = max((m.n for m in found.values() if m), default=0)
    base, candidate = found.get("base"), found.get("candidate")
    change = signed((candidate.value - base.value) * measure.factor) if base and candidate else ""
    return Row(
        where, measure.label, measure.short, n, tuple(_cell(measure, m) for m in found.values()), change
    )


def _cell(measure: Measure, found: Measurement | None) -> str:
    if found is None or found.low is None or found.high is None:
        return measure.show(found)
    low, high = (f"{end * measure.factor:.0f}" for end in (found.low, found.high))
    return f"{measure.show(found)} [{low}–{high}]"


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
    return "\n".join(
        [*lines, "", "In brackets: 95 % intervals, rounded. Chance with four options: 25 %.", ""]
    )


def escape_markdown(text: str) -> str:
    """A text that stays one plain cell whatever it holds."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(text.split()))


def terminal_table(scores: Sequence[Scores]) -> "Table":
    """The comparison as a rich table that fits 80 columns for two models.

    Args:
        scores: one per model, the base first.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    title = f"Evaluation on suite {escape(scores[0].suite)}, 95 % intervals beside the values"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("measure, language", no_wrap=True)
    for head in ("n", *(one.role for one in scores), "change"):
        table.add_column(head, justify="right", no_wrap=True)
    heading = ""
    for row in summary_rows(scores):
        if row.where != TOGETHER_NAME and row.short != heading:
            heading = row.short
            table.add_row(f"[bold]{heading}[/bold]")
        name = row.short if row.where == TOGETHER_NAME else f"  {row.where}"
        table.add_row(name, str(row.n), *map(escape, row.cells), row.change)
    return table


def print_terminal(scores: Sequence[Scores]) -> None:
    """Print the comparison on standard output."""
    from rich.console import Console

    Console().print(terminal_table(scores))
