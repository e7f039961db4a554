"""One table of several ways to make the data: same base, same budget, same questions.

Each variant is compared with the baseline item by item; a change is marked only where its 95 % interval
lies on one side of zero. The marks of one table are many: of twenty true zeros one is marked by chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tongues.core.comparison import Verdict
from tongues.core.languages import language
from tongues.core.scores import TOGETHER, Measurement, Scores
from tongues.evaluation.compare import Answers, compare
from tongues.evaluation.measures import MEASURES, Measure, together_measures
from tongues.evaluation.samples import read_samples
from tongues.evaluation.summary import TOGETHER_NAME, escape_markdown

if TYPE_CHECKING:
    from rich.table import Table

BASE = "base"
_FORMAT_FAILURES = "format_failure_rate"
_HEADLINE_SIZE = 3
"""Languages in a subset for consistency, as CrossIn (arXiv 2404.11932) reports it."""
_MARKS: dict[Verdict, str] = {"better": "▲", "worse": "▼", "unclear": ""}
_DATA = {
    "rows": "rows",
    "tokens": "tokens",
    "label_percent": "learnt tokens, %",
    "steps": "steps",
}


@dataclass(frozen=True)
class Variant:
    """One way of making the data, trained and measured.

    Args:
        name: for people; `BASE` is the untuned model.
        scores: what was measured.
        samples: folder of its samples.
        training: rows, tokens, label_percent and steps; empty for the untuned model.
    """

    name: str
    scores: Scores
    samples: Path
    training: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One measure in one language, one cell per variant.

    Args:
        label: the measure, or what was counted.
        short: the same for narrow terminals.
        where: language; empty for counts.
        n: items; 0 for counts.
        cells: a value each, with a mark where it differs from the baseline's for certain.
    """

    label: str
    short: str
    where: str
    n: int
    cells: tuple[str, ...]


def ablation_lines(variants: Sequence[Variant], baseline: str) -> list[Line]:
    """The table's lines: what was trained on, then what came of it.

    Args:
        variants: in the order of the columns.
        baseline: name of the one that the others are compared with.
    """
    verdicts = {one.name: _verdicts(one, variants, baseline) for one in variants}
    langs = (variants[0].scores.source_lang, *variants[0].scores.languages)
    lines = [_count(variants, name, label) for name, label in _DATA.items()]
    for measure in (one for one in MEASURES if one.main or one.metric == _FORMAT_FAILURES):
        lines += [_line(variants, measure, lang, language(lang).name, verdicts) for lang in langs]
    scores, size = [one.scores for one in variants], min(_HEADLINE_SIZE, len(langs))
    lines += [
        _line(variants, one, TOGETHER, TOGETHER_NAME, verdicts)
        for one in together_measures(scores)
        if one.metric in ("accuracy", f"consistency_{size}", f"ac3_{size}")
    ]
    return [line for line in lines if any(cell not in ("", "–") for cell in line.cells)]


def markdown_ablation(variants: Sequence[Variant], baseline: str) -> str:
    """The table as Markdown."""
    heads = [escape_markdown(one.name) for one in variants]
    lines = [
        f"## Ablation on suite {escape_markdown(variants[0].scores.suite)}",
        "",
        f"| Measure | Language | n | {' | '.join(heads)} |",
        f"|---|---|---:|{'---:|' * len(heads)}",
    ]
    lines += [
        f"| {line.label} | {line.where} | {line.n or ''} | {' | '.join(line.cells)} |"
        for line in ablation_lines(variants, baseline)
    ]
    return "\n".join([*lines, "", _legend(baseline), ""])


def terminal_ablation(variants: Sequence[Variant], baseline: str) -> "Table":
    """The table for the terminal."""
    from rich import box
    from rich.table import Table

    title = f"Ablation. {_legend(baseline)}"
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column("measure, language", no_wrap=True)
    for head in ("n", *(one.name for one in variants)):
        table.add_column(head, justify="right", no_wrap=True)
    heading = ""
    for line in ablation_lines(variants, baseline):
        apart = line.where not in ("", TOGETHER_NAME)
        if apart and line.short != heading:
            heading = line.short
            table.add_row(f"[bold]{heading}[/bold]")
        table.add_row(f"  {line.where}" if apart else line.short, str(line.n or ""), *line.cells)
    return table


def ablation_values(variants: Sequence[Variant]) -> dict[str, Any]:
    """Every number, for programs: variant to training counts and measurements."""
    return {
        one.name: {
            "training": dict(one.training),
            "measurements": {
                name: found.model_dump(mode="json") for name, found in one.scores.measurements.items()
            },
        }
        for one in variants
    }


Verdicts = Mapping[tuple[str, str, str], Verdict]
"""(task, language, metric) to what became of it against the baseline."""


def _verdicts(one: Variant, variants: Sequence[Variant], baseline: str) -> Verdicts:
    against = next(other for other in variants if other.name == baseline)
    if one is against:
        return {}
    answers = [Answers.of(read_samples(each.samples)) for each in (against, one)]
    return {
        (change.measure.task, change.lang, change.measure.metric): change.verdict
        for change in compare(against.scores, one.scores, *answers)
    }


def _line(
    variants: Sequence[Variant], measure: Measure, lang: str, where: str, verdicts: Mapping[str, Verdicts]
) -> Line:
    found = [one.scores.get(measure.task, lang, measure.metric) for one in variants]
    cells = tuple(
        _cell(measure, value, verdicts[one.name].get((measure.task, lang, measure.metric), "unclear"))
        for one, value in zip(variants, found, strict=True)
    )
    return Line(
        measure.label, measure.short, where, max((value.n for value in found if value), default=0), cells
    )


def _cell(measure: Measure, found: Measurement | None, verdict: Verdict) -> str:
    return f"{measure.show(found).removesuffix(' %')}{_MARKS[verdict]}"


def _count(variants: Sequence[Variant], name: str, label: str) -> Line:
    return Line(
        label, label, "", 0, tuple(f"{one.training[name]:,}" if one.training else "" for one in variants)
    )


def _legend(baseline: str) -> str:
    return f"▲ ▼: better or worse than {baseline}, its 95 % interval apart from zero."
