"""The comparison in short: Markdown for Kubeflow Pipelines and MLflow, a table for the terminal."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tongues.core.comparison import Comparison, Contamination, Difference
from tongues.core.languages import language
from tongues.core.scores import TOGETHER, Measurement, Scores
from tongues.evaluation.compare import signed
from tongues.evaluation.gaps import not_measured
from tongues.evaluation.measures import Measure, measure_of, measures_of, together_measures

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
        gain: the same in the measure's good direction, by which rows are sorted.
    """

    where: str
    label: str
    short: str
    n: int
    cells: tuple[str, ...]
    change: str
    gain: float


def summary_rows(scores: Sequence[Scores]) -> list[Row]:
    """The rows of both tables: per main measure the largest loss first, then consistency and AC3."""
    langs = dict.fromkeys(lang for one in scores for lang in (one.source_lang, *one.languages))
    rows: list[Row] = []
    for measure in (one for one in measures_of(scores) if one.main):
        mine = [_row(scores, measure, lang, language(lang).name) for lang in langs]
        rows += sorted(mine, key=lambda row: row.gain)
    rows += [_row(scores, measure, TOGETHER, TOGETHER_NAME) for measure in together_measures(scores)]
    return [row for row in rows if row.n]


def _row(scores: Sequence[Scores], measure: Measure, lang: str, where: str) -> Row:
    found = {one.role: one.get(measure.task, lang, measure.metric) for one in scores}
    n = max((m.n for m in found.values() if m), default=0)
    base, candidate = found.get("base"), found.get("candidate")
    moved = (candidate.value - base.value) * measure.factor if base and candidate else None
    change, gain = ("", 0.0) if moved is None else (signed(moved), moved * measure.better)
    cells = tuple(_cell(measure, m) for m in found.values())
    return Row(where, measure.label, measure.short, n, cells, change, gain)


def _cell(measure: Measure, found: Measurement | None) -> str:
    if found is None or found.low is None or found.high is None:
        return measure.show(found)
    low, high = (f"{end * measure.factor:.0f}" for end in (found.low, found.high))
    return f"{measure.show(found)} [{low}–{high}]"


def markdown_summary(comparison: Comparison) -> str:
    """The comparison in Markdown: clear losses, the table with 95 % intervals, gaps, contamination.

    Args:
        comparison: models in the order of the columns.
    """
    scores = comparison.models
    heads = [f"{one.role}: {escape_markdown(one.model)}" for one in scores]
    lines = [
        f"## Evaluation on suite {escape_markdown(scores[0].suite)}",
        "",
        *_losses(comparison.against),
        "",
    ]
    lines += [
        f"| Measure | Language | n | {' | '.join(heads)} | change |",
        f"|---|---|---:|{'---:|' * len(heads)}---:|",
    ]
    lines += [
        f"| {row.label} | {row.where} | {row.n} | {' | '.join(row.cells)} | {row.change} |"
        for row in summary_rows(scores)
    ]
    lines += ["", "In brackets: 95 % intervals, rounded. Change: candidate minus base."]
    return "\n".join([*lines, "", *_gaps(scores), *_contaminated(comparison.contamination), ""])


def _gaps(scores: Sequence[Scores]) -> Iterator[str]:
    if found := not_measured(scores):
        yield "**Not measured:**"
        yield from (f"- {escape_markdown(name)}: {escape_markdown(why)}" for name, why in found)
        yield ""


def _losses(against: Mapping[str, Sequence[Difference]]) -> Iterator[str]:
    for role, differences in against.items():
        lost = [difference for difference in differences if difference.verdict == "worse"]
        yield f"**Clear losses against {role}: {len(lost) or 'none'}**" + (":" if lost else ".")
        yield from (f"- {_loss(difference)}" for difference in lost)
        yield ""


def _loss(difference: Difference) -> str:
    measure = measure_of(difference.task, difference.metric)
    ends = (difference.change.low, difference.change.high)
    interval = " to ".join(signed(end * measure.factor) for end in ends if end is not None)
    p = "" if difference.p_holm is None else f", p {difference.p_holm:.3f} after Holm's correction"
    value = signed(difference.change.value * measure.factor)
    return f"{language(difference.lang).name}, {measure.label}: {value} ({interval}{p})"


def _contaminated(found: Contamination | None) -> Iterator[str]:
    if found is None:
        yield "Overlap with the training data: not known."
        return
    met = [one for one in found.exposures if one.direct or one.translated]
    yield f"Overlap with {found.records} training records: {len(met) or 'none'}" + (":" if met else ".")
    for one in met:
        yield (
            f"- {one.task}, {language(one.lang).name}: {one.direct} of {one.items} items, "
            f"{one.translated} more in another language"
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
    """Print the comparison on standard output, and what was not measured."""
    from rich.console import Console

    console = Console()
    console.print(terminal_table(scores))
    for name, why in not_measured(scores):
        console.print(f"not measured: {name}: {why}", markup=False, highlight=False)
