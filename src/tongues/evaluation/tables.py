"""Rows of the report's tables; the template sets what stands here."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tongues.core.comparison import Contamination, Exposure
from tongues.core.languages import UNDETERMINED, Language, language
from tongues.core.scores import Measurement, Scores
from tongues.evaluation.compare import Change
from tongues.evaluation.comparison import AllCompared
from tongues.evaluation.measures import Measure, measure_of, measures_of

_FULL_COLOUR = {" %": 25.0, "": 10.0}
"""Change, in the measure's own unit, at which a cell of the heat map has its full colour."""
_FULL_RATING = 3.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the heat map.

    Args:
        text: the candidate's value.
        change: the change against the base; "" where there is none.
        strength: 0..100, depth of the colour.
        side: "better" or "worse" by sign alone, "" where nothing changed.
        clear: whether the interval excludes zero.
    """

    text: str
    change: str = ""
    strength: int = 0
    side: str = ""
    clear: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One measure in one language, for every model.

    Args:
        language: of the row.
        measure: of the row.
        n: items.
        values: one per model.
        changes: the candidate against each other model; None where it cannot be compared.
    """

    language: Language
    measure: Measure
    n: int
    values: tuple[Measurement | None, ...]
    changes: tuple[Change | None, ...]

    @property
    def order(self) -> tuple[int, float]:
        """Clear losses against any model first, then by the largest loss."""
        taken = [change for change in self.changes if change is not None]
        rank = {"worse": 0, "unclear": 1, "better": 2}
        worst = min((rank[change.verdict] for change in taken), default=3)
        return worst, min((change.gain for change in taken), default=0.0)


def every_number(compared: AllCompared) -> list[Row]:
    """All models in one table, regressions first."""
    scores, subject = compared.scores, compared.scores[-1]
    found = {
        (role, change.lang, change.measure): change
        for role, changes in compared.changes.items()
        for change in changes
    }
    rows = []
    for lang in (subject.source_lang, *subject.languages):
        for measure in measures_of(scores):
            values = tuple(one.get(measure.task, lang, measure.metric) for one in scores)
            changes = tuple(found.get((role, lang, measure)) for role in compared.changes)
            n = max((value.n for value in values if value), default=0)
            rows += [Row(language(lang), measure, n, values, changes)] if n else []
    return sorted(rows, key=lambda row: row.order)


def heat(scores: Scores, langs: Sequence[str], changes: Sequence[Change]) -> dict[str, Any]:
    """Language by measure: the candidate's value, coloured by what changed."""
    found = {(change.lang, change.measure): change for change in changes}
    measures = measures_of([scores])
    rows = [
        (
            language(lang),
            [_cell(m, scores.get(m.task, lang, m.metric), found.get((lang, m))) for m in measures],
        )
        for lang in langs
    ]
    return {"measures": measures, "rows": rows}


def _cell(measure: Measure, value: Measurement | None, change: Change | None) -> Cell:
    if change is None:
        return Cell(measure.show(value))
    full = _FULL_RATING if measure.metric == "judge" else _FULL_COLOUR[measure.unit]
    cell = _moved(measure.show(value), change.gain, full)
    return Cell(cell.text, change.shown, cell.strength, cell.side, change.verdict != "unclear")


def _moved(text: str, gain: float, full: float) -> Cell:
    side = "better" if gain > 0 else "worse" if gain < 0 else ""
    return Cell(text, f"{gain:+.1f}".replace("-", "\u2212"), min(100, round(100 * abs(gain) / full)), side)


def judged(scores: Scores, langs: Sequence[str], other: Scores | None) -> dict[str, Any]:
    """The judge's ratings: language by category, coloured by the change against another model."""
    prefix = "judge_in_"
    names = sorted(
        {metric for _, metric in _of_task(scores, "open") if metric.startswith(prefix)}, key=str.casefold
    )
    columns = [name for name in ("judge", "judge_macro", *names) if _any(scores, "open", langs, name)]
    rows = [(language(lang), [_rating(scores, other, lang, name) for name in columns]) for lang in langs]
    heads = {"judge": "all answers", "judge_macro": "mean of categories"}
    labels = [heads.get(name) or name.removeprefix(prefix).replace("-", " ") for name in columns]
    wins = [
        (language(lang), role, found)
        for lang in langs
        for _, metric in _of_task(scores, "open")
        if metric.startswith("win_rate_")
        and (role := metric.removeprefix("win_rate_"))
        and (found := scores.get("open", lang, metric))
    ]
    unique = {(row[0].code, row[1]): row for row in wins}
    return {"columns": labels, "rows": [row for row in rows if any(c.text != "–" for c in row[1])],
            "wins": list(unique.values())}  # fmt: skip


def _rating(scores: Scores, other: Scores | None, lang: str, metric: str) -> Cell:
    now = scores.get("open", lang, metric)
    before = other.get("open", lang, metric) if other else None
    if now is None:
        return Cell("–")
    return (
        _moved(f"{now.value:.1f}", now.value - before.value, _FULL_RATING)
        if before
        else Cell(f"{now.value:.1f}")
    )


def _of_task(scores: Scores, task: str) -> Iterator[tuple[str, str]]:
    """Language and metric of everything that was measured in one task."""
    for name in scores.measurements:
        found, lang, metric = name.split("/", 2)
        if found == task:
            yield lang, metric


def _any(scores: Scores, task: str, langs: Sequence[str], metric: str) -> bool:
    return any(scores.get(task, lang, metric) for lang in langs)


def format_failures(scores: Sequence[Scores], langs: Sequence[str]) -> list[Any]:
    """Language and task to the share of chains without an answer, per model, largest first."""
    tasks = sorted(
        {
            name.split("/")[0]
            for one in scores
            for name in one.measurements
            if name.endswith("/format_failure_rate")
        }
    )
    rows = [
        (language(lang), measure_of(task, "format_failure_rate"), task, found)
        for lang in langs
        for task in tasks
        if any(found := [one.get(task, lang, "format_failure_rate") for one in scores])
    ]
    return sorted(rows, key=lambda row: -max(m.value for m in row[3] if m))


def confusion(compared: AllCompared, langs: Sequence[str]) -> list[dict[str, Any]]:
    """Per model: language asked to language found, over the open answers and over their lines."""
    tables = []
    for model in compared.models:
        asked = {lang: model.answers.samples.get(("open", lang), ()) for lang in langs}
        answers = {lang: Counter(s.guessed_lang for s in found) for lang, found in asked.items() if found}
        lines = {
            lang: Counter(code for s in found for code in s.line_langs or (UNDETERMINED,))
            for lang, found in asked.items()
            if any(s.line_langs for s in found)
        }
        shown = {"role": model.scores.role}
        tables += [shown | _matrix("answers", answers, langs)] if answers else []
        tables += [shown | _matrix("lines", lines, langs)] if lines else []
    return tables


def _matrix(of: str, counts: Mapping[str, Counter[str]], langs: Sequence[str]) -> dict[str, Any]:
    """Counts with their columns: the languages of the run, then others that were found, then unknown."""
    seen = {lang for count in counts.values() for lang in count}
    columns = [lang for lang in langs if lang in seen or lang in counts]
    columns += sorted(seen - {*columns, UNDETERMINED, ""}) + [UNDETERMINED] * (UNDETERMINED in seen)
    return {"of": of, "counts": counts, "columns": columns}


def contaminated(found: Contamination | None, langs: Sequence[str]) -> dict[str, Any]:
    """Language by evaluation set: items that the training data holds; empty where nobody knows."""
    if found is None:
        return {}
    by_place: Mapping[tuple[str, str], Exposure] = {(one.lang, one.task): one for one in found.exposures}
    tasks = list(dict.fromkeys(one.task for one in found.exposures))
    rows = [(language(lang), [by_place.get((lang, task)) for task in tasks]) for lang in langs]
    met = sum(one.direct + one.translated for one in found.exposures)
    return {
        "tasks": tasks,
        "rows": sorted(rows, key=lambda row: -sum(e.direct + e.translated for e in row[1] if e)),
        "met": met,
        "items": sum(one.items for one in found.exposures),
        "records": found.records,
        "rule": found.rule,
    }
