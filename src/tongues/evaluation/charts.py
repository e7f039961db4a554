"""Geometry of the report's plots, in SVG user units; the template draws what stands here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import floor, log10
from typing import Literal

from tongues.core.languages import language
from tongues.core.scores import TOGETHER, Measurement, Scores
from tongues.evaluation.compare import Change
from tongues.evaluation.measures import Measure, subset_sizes
from tongues.evaluation.metrics import chance

_WIDTH, _RIGHT, _ROW, _TOP = 340.0, 58.0, 26.0, 8.0
"""A plot fills a third of the page; right of the axis stand the values."""
_LETTER, _WIDEST_NAME = 7.3, 140.0
"""Width of a letter at the plots' font size, and the most that names may take of a plot."""
_SEPARATE_ROWS = 8
"""Up to so many languages every model has a row of its own; above, all share the language's row."""
_TICKS = 12
_CURVES = {"width": 480.0, "left": 52.0, "right": 350.0, "top": 14.0, "bottom": 214.0, "height": 256.0}
SubsetMetric = Literal["consistency", "ac3"]
SUBSET_METRICS: tuple[SubsetMetric, ...] = ("consistency", "ac3")
ROLES = ("base", "champion", "candidate")
Scale = Callable[[float], float]
Point = Callable[[int, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, and what it says."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One value with its interval, along the x axis.

    Args:
        label: name of the row.
        series: CSS class: a role or a verdict.
        y: middle of the row.
        x: the value.
        low: lower end of the interval; equal to x where there is none.
        high: upper end.
        words: the value as shown beside the mark.
        text: value and interval, for the tooltip and screen readers.
    """

    label: str
    series: str
    y: float
    x: float
    low: float
    high: float
    words: str
    text: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A plot of rows: a bar or a dot with whiskers per mark.

    Args:
        title: what is shown.
        height: in user units.
        zero: x of the zero line, where bars begin.
        ticks: along the bottom.
        marks: top to bottom.
        summary: the plot in one sentence, for those who cannot see it.
    """

    title: str
    height: float
    zero: float
    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    summary: str

    width: float = _WIDTH

    @property
    def axis(self) -> float:
        """Y of the bottom axis."""
        return self.height - 24


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: its points, the outline of its interval band, and where its name goes."""

    series: str
    name: str
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float], ...]
    values: tuple[str, ...]
    name_y: float = 0.0

    @property
    def path(self) -> str:
        """Points as SVG's ``points`` attribute has them."""
        return _path(self.points)

    @property
    def outline(self) -> str:
        """The band as SVG's ``points`` attribute has it."""
        return _path(self.band)


@dataclass(frozen=True, slots=True)
class Curves:
    """A plot of curves over whole numbers, with the chance level dashed."""

    title: str
    width: float
    left: float
    right: float
    top: float
    bottom: float
    height: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]

    @property
    def summary(self) -> str:
        """The plot in one sentence, for those who cannot see it."""
        return "; ".join(f"{line.name}: {', '.join(line.values)}" for line in self.lines)


def series(role: str) -> str:
    """CSS class of a model's marks; names that the user chose cannot meet one of the page's own classes."""
    return role if role in ROLES else f"other-{role}"


def change_bars(measure: Measure, changes: Sequence[Change]) -> Rows:
    """Bars of one measure's change per language, on an axis that is symmetrical about zero.

    Args:
        measure: what is shown.
        changes: of this measure, one per language, at least one; the largest loss is drawn first.
    """
    changes = sorted(changes, key=lambda change: change.gain)
    ends = [abs(end or 0) for c in changes for end in (c.delta.value, c.delta.low, c.delta.high)]
    reach = nice_ceiling(max(ends) * measure.factor)
    x = _scale(-reach, reach, measure.factor, [c.lang for c in changes])
    marks = [
        _mark(language(c.lang).name, c.verdict, row, c.delta, x, c.shown, c.shown_range)
        for row, c in enumerate(changes)
    ]
    ticks = [Tick(x(part * reach / measure.factor), _tick(part * reach)) for part in (-1, -0.5, 0, 0.5, 1)]
    return _rows(measure.label, marks, ticks, len(marks), zero=x(0))


def shares(measure: Measure, scores: Sequence[Scores], langs: Sequence[str]) -> Rows:
    """Dots of a share per language and model, on an axis from 0 to 100 %.

    Args:
        measure: a share.
        scores: the models, each its own row within a language, or all in one where languages are many.
        langs: BCP-47 codes in row order.
    """
    x = _scale(0, 100, 100, langs)
    marks: list[Mark] = []
    separate, row = len(langs) <= _SEPARATE_ROWS, -1
    for lang in langs:
        taken = [(one, found) for one in scores if (found := one.get(measure.task, lang, measure.metric))]
        for at, (one, found) in enumerate(taken):
            row += separate or at == 0
            words, interval = measure.show(found), measure.show_range(found)
            mark = _mark(language(lang).name, series(one.role), row, found, x, words, interval)
            marks.append(mark if separate or one is taken[-1][0] else replace(mark, words=""))
    ticks = [Tick(x(percent / 100), f"{percent} %") for percent in (0, 25, 50, 75, 100)]
    return _rows(measure.label, marks, ticks, row + 1, zero=x(0))


def subset_curves(
    title: str, task: str, metric: SubsetMetric, scores: Sequence[Scores], options: int
) -> Curves | None:
    """Consistency or AC3 over the size of the language subset; None where it was not measured.

    Args:
        title: what is shown.
        task: that has the same questions in all languages.
        metric: name before the size, as in "consistency_3".
        scores: the models.
        options: choices per question, for the chance level.
    """
    sizes = subset_sizes(scores, task)
    taken = [one for one in scores if one.get(task, TOGETHER, f"{metric}_2")]
    if not taken:
        return None
    highest = max(m.high or m.value for one in taken for _, m in _over_sizes(one, task, metric, sizes))
    ceiling = nice_ceiling(highest * 100)
    step = (_CURVES["right"] - _CURVES["left"]) / max(len(sizes) - 1, 1)
    per_unit = 100 * (_CURVES["bottom"] - _CURVES["top"]) / ceiling

    def point(s: int, value: float) -> tuple[float, float]:
        return round(_CURVES["left"] + (s - 2) * step, 1), round(_CURVES["bottom"] - value * per_unit, 1)

    lines = [_curve(one, task, metric, sizes, point) for one in taken]
    guess = [(s, chance(options, s)[1 if metric == "consistency" else 2]) for s in sizes]
    lines.append(Line("chance", "chance", tuple(point(*g) for g in guess), (), _percentages(guess)))
    levels = [ceiling * part / 4 for part in range(5)]
    return Curves(
        title=title,
        **_CURVES,
        x_ticks=tuple(Tick(point(s, 0)[0], str(s)) for s in sizes[:: len(sizes) // _TICKS + 1]),
        y_ticks=tuple(Tick(point(2, level / 100)[1], f"{level:g} %") for level in levels),
        lines=_without_overlap(lines),
    )


def _over_sizes(
    scores: Scores, task: str, metric: SubsetMetric, sizes: range
) -> list[tuple[int, Measurement]]:
    found = ((s, scores.get(task, TOGETHER, f"{metric}_{s}")) for s in sizes)
    return [(s, measurement) for s, measurement in found if measurement is not None]


def _curve(scores: Scores, task: str, metric: SubsetMetric, sizes: range, point: Point) -> Line:
    taken = _over_sizes(scores, task, metric, sizes)
    upper = [point(s, m.value if m.high is None else m.high) for s, m in taken]
    lower = [point(s, m.value if m.low is None else m.low) for s, m in taken]
    values = [(s, m.value) for s, m in taken]
    points = tuple(point(*value) for value in values)
    return Line(series(scores.role), scores.role, points, (*upper, *reversed(lower)), _percentages(values))


def _percentages(values: Sequence[tuple[int, float]]) -> tuple[str, ...]:
    return tuple(f"{value:.1%}".replace("%", " %") for _, value in values)


def _without_overlap(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Move the names at the right end apart so that none covers another."""
    placed: list[Line] = []
    for line in sorted(lines, key=lambda one: one.points[-1][1]):
        lowest = placed[-1].name_y + 16 if placed else 0.0
        placed.append(replace(line, name_y=max(line.points[-1][1] + 4, lowest)))
    return tuple(placed)


def _scale(start: float, end: float, factor: float, langs: Sequence[str]) -> Scale:
    """From a stored value to x, with room on the left for the languages' names."""
    longest = max(len(language(lang).name) for lang in langs)
    left = min(longest * _LETTER + 14, _WIDEST_NAME)
    per_unit = (_WIDTH - _RIGHT - left) / (end - start)
    return lambda value: round(left + (value * factor - start) * per_unit, 1)


def _mark(label: str, series: str, row: int, found: Measurement, x: Scale, words: str, interval: str) -> Mark:
    low, high = (found.value if end is None else end for end in (found.low, found.high))
    text = f"{words} (95 % interval {interval})" if interval else words
    return Mark(label, series, _TOP + (row + 0.5) * _ROW, x(found.value), x(low), x(high), words, text)


def _rows(title: str, marks: Sequence[Mark], ticks: Sequence[Tick], rows: int, *, zero: float) -> Rows:
    summary = "; ".join(f"{mark.label}, {mark.series}: {mark.text}" for mark in marks)
    return Rows(title, _TOP + rows * _ROW + 26, zero, tuple(ticks), tuple(marks), summary)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _tick(value: float) -> str:
    return f"{value:+g}".replace("-", "\u2212") if value else "0"


_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


def nice_ceiling(value: float) -> float:
    """The next round number at or above a value, so that an axis ends on it; 1 for zero.

    Args:
        value: 0 or more.
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in _STEPS if step * power >= value * (1 - 1e-9))
