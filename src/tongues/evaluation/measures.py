"""What is measured in every language: names for people, units, and what an item adds to it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tongues.core.scores import TOGETHER, Measurement, Scores
from tongues.evaluation.lines import passes_by_line
from tongues.evaluation.samples import Sample


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is measured in every language.

    Args:
        task: such as "choices".
        metric: as in the scores.
        label: for people.
        short: the same where there is little room.
        factor: what the stored value is multiplied by for display: 100 for shares.
        unit: shown behind a value.
        main: whether verdicts in words are about it.
        better: 1 where more is better, -1 where less is.
    """

    task: str
    metric: str
    label: str
    short: str
    factor: float
    unit: str
    main: bool
    better: int = 1

    def show(self, measurement: Measurement | None) -> str:
        """A value for people: "30.0 %", "14.5", or a dash where nothing was measured."""
        return "–" if measurement is None else f"{measurement.value * self.factor:.1f}{self.unit}"

    def show_range(self, measurement: Measurement | None) -> str:
        """The interval: "19.9 to 42.5"; empty where there is none."""
        if measurement is None or measurement.low is None or measurement.high is None:
            return ""
        return f"{measurement.low * self.factor:.1f} to {measurement.high * self.factor:.1f}"


_SHARE, _POINTS = (100.0, " %"), (1.0, "")
MEASURES = (
    Measure("choices", "accuracy", "Multiple choice", "multiple choice", *_SHARE, main=True),
    Measure("translation", "chrf", "Translation, chrF++", "chrF++", *_POINTS, main=True),
    Measure(
        "open",
        "target_language_rate",
        "Answers in the language asked",
        "language as asked",
        *_SHARE,
        main=True,
    ),
    Measure(
        "translation",
        "target_language_rate",
        "Translations in the language asked",
        "translated as asked",
        *_SHARE,
        main=False,
    ),
    Measure("translation", "bleu", "Translation, BLEU", "BLEU", *_POINTS, main=False),
    Measure("translation", "ter", "Translation, TER", "TER", *_POINTS, main=False, better=-1),
    Measure(
        "choices", "accuracy_norm", "Multiple choice, per character", "per character", *_SHARE, main=False
    ),
    Measure("qa", "f1", "Questions about a text, F1", "F1", *_SHARE, main=True),
    Measure("qa", "exact_match", "Questions about a text, exact", "exact match", *_SHARE, main=False),
    Measure("math", "accuracy", "Word problems", "word problems", *_SHARE, main=True),
    Measure("open", "judge", "Judge's rating, 1 to 10", "rating", *_POINTS, main=False),
    Measure(
        "open", "line_language_rate", "Lines in the language asked", "lines as asked", *_SHARE, main=False
    ),
    Measure(
        "open", "line_pass_rate", "Answers with every line in it", "every line as asked", *_SHARE, main=False
    ),
    Measure(
        "open",
        "word_pass_rate",
        "Of those, without foreign words",
        "every word as asked",
        *_SHARE,
        main=False,
    ),
    Measure("code", "pass_at_1", "Programs that pass (pass@1)", "pass@1", *_SHARE, main=True),
    Measure(
        "code", "no_program_rate", "Answers without a program", "no program", *_SHARE, main=False, better=-1
    ),
    Measure(
        "code", "reference_pass_rate", "The set's own programs that pass", "set's own", *_SHARE, main=False
    ),
    Measure(
        "open",
        "format_failure_rate",
        "Chains without an answer",
        "no answer",
        *_SHARE,
        main=False,
        better=-1,
    ),
)

_OF_ANY_TASK: dict[str, tuple[str, float, str, bool, int]] = {
    "accuracy": ("", *_SHARE, True, 1),
    "accuracy_norm": ("per character", *_SHARE, False, 1),
    "exact_match": ("exact", *_SHARE, False, 1),
    "f1": ("F1", *_SHARE, True, 1),
    "pass_at_1": ("pass@1", *_SHARE, True, 1),
    "chrf": ("chrF++", *_POINTS, True, 1),
    "bleu": ("BLEU", *_POINTS, False, 1),
    "ter": ("TER", *_POINTS, False, -1),
    "judge": ("judge's rating", *_POINTS, False, 1),
    "target_language_rate": ("in the language asked", *_SHARE, False, 1),
    "line_language_rate": ("lines in the language asked", *_SHARE, False, 1),
    "line_pass_rate": ("every line in the language asked", *_SHARE, False, 1),
    "word_pass_rate": ("no foreign word", *_SHARE, False, 1),
    "language_pass_rate": ("lines and words in the language asked", *_SHARE, False, 1),
    "format_failure_rate": ("chains without an answer", *_SHARE, False, -1),
}
"""Metric of a task that `MEASURES` does not name: label, factor, unit, whether a main one, direction."""


def measures_of(scores: Iterable[Scores]) -> tuple[Measure, ...]:
    """The measures that were taken in any language: those that have a name here first, then all others.

    Args:
        scores: the models.
    """
    taken = {tuple(name.split("/")[::2]) for one in scores for name in one.measurements if _single(name)}
    named = [measure for measure in MEASURES if (measure.task, measure.metric) in taken]
    known = {(measure.task, measure.metric) for measure in MEASURES}
    others = (key for key in sorted(taken - known) if key[1] in _OF_ANY_TASK)
    return (*named, *(_measure(task, metric) for task, metric in others))


def measure_of(task: str, metric: str) -> Measure:
    """The measure of a task's metric, with a name for people."""
    found = (one for one in MEASURES if (one.task, one.metric) == (task, metric))
    return next(found, None) or _measure(task, metric)


def _single(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 3 and parts[1] != TOGETHER


def _measure(task: str, metric: str) -> Measure:
    words = metric.replace("_", " ")
    label, factor, unit, main, better = _OF_ANY_TASK.get(metric, (words, *_SHARE, False, 1))
    name = task.replace("_", " ").replace("-", " ")
    whole = f"{name[0].upper()}{name[1:]}{f', {label}' if label else ''}"
    return Measure(task, metric, whole, f"{name} {label}".strip(), factor, unit, main, better)


def together_tasks(scores: Iterable[Scores]) -> list[str]:
    """Tasks with figures over all languages, multiple choice first."""
    names = {name.split("/")[0] for one in scores for name in one.measurements if f"/{TOGETHER}/" in name}
    return sorted(names, key=lambda task: (task != "choices", task))


def subset_sizes(scores: Iterable[Scores], task: str) -> range:
    """The subset sizes that consistency was taken for: 2 up to the languages of the task."""
    prefix = f"{task}/{TOGETHER}/consistency_"
    found = {int(name.removeprefix(prefix)) for s in scores for name in s.measurements if prefix in name}
    return range(2, max(found, default=1) + 1)


def together_measures(scores: Sequence[Scores]) -> list[Measure]:
    """Per task, accuracy over all languages, then consistency and AC3 for every subset size."""
    return [measure for task in together_tasks(scores) for measure in _together(scores, task)]


def _together(scores: Sequence[Scores], task: str) -> Iterator[Measure]:
    name = "" if task == "choices" else task.replace("_", " ")
    head, short = (f"{name[0].upper()}{name[1:]}, " if name else ""), f"{name} ".lstrip()

    def measure(metric: str, label: str, brief: str) -> Measure:
        label = f"{head}{label[0].lower()}{label[1:]}" if head and label[:3] != "AC3" else f"{head}{label}"
        return Measure(task, metric, label, f"{short}{brief}", *_SHARE, main=False)

    yield measure("accuracy", "Accuracy, all languages", "accuracy")
    for s in subset_sizes(scores, task):
        yield measure(f"consistency_{s}", f"Consistency, s = {s}", f"Consistency {s}")
        yield measure(f"ac3_{s}", f"AC3, s = {s}", f"AC3 {s}")


PER_ITEM: dict[str, Callable[[Sample], float | None]] = {
    "accuracy": lambda sample: _flag(sample.correct),
    "accuracy_norm": lambda sample: _flag(sample.correct_norm),
    "exact_match": lambda sample: _flag(sample.correct),
    "pass_at_1": lambda sample: _flag(sample.correct),
    "f1": lambda sample: sample.f1 or 0.0,
    "target_language_rate": lambda sample: float(sample.in_asked_language),
    "line_pass_rate": lambda sample: float(passes_by_line(sample)),
    "format_failure_rate": lambda sample: None if sample.formatted is None else float(not sample.formatted),
}
"""What a sample adds to a metric that is a mean over items; None where it has no part in it."""


def _flag(value: bool | None) -> float:
    return float(bool(value))
