"""Two models on the same items: what changed, by how much, and whether it is more than noise."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tongues.core.scores import Measurement, Scores
from tongues.evaluation.corrections import holm, paired_p
from tongues.evaluation.metrics import paired_difference
from tongues.evaluation.overlap import METRICS
from tongues.evaluation.samples import Sample
from tongues.evaluation.score import overlap

Verdict = Literal["worse", "better", "unclear"]
ByTask = Mapping[tuple[str, str], Sequence[Sample]]

FEWEST_FOR_A_VERDICT = 10
"""A bootstrap over fewer items is too narrow to call anything clear."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is measured in every language.

    Args:
        task: "choices", "translation" or "open".
        metric: as in the scores.
        label: for people.
        short: the same where there is little room.
        factor: what the stored value is multiplied by for display: 100 for shares.
        unit: shown behind a value.
        main: whether verdicts in words are about it; the gate's policy is about the same ones.
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


MEASURES = (
    Measure("choices", "accuracy", "Multiple choice", "multiple choice", 100, " %", main=True),
    Measure("translation", "chrf", "Translation, chrF++", "chrF++", 1, "", main=True),
    Measure(
        "open",
        "target_language_rate",
        "Answers in the language asked",
        "language as asked",
        100,
        " %",
        main=True,
    ),
    Measure(
        "translation",
        "target_language_rate",
        "Translations in the language asked",
        "translated as asked",
        100,
        " %",
        main=False,
    ),
    Measure("translation", "bleu", "Translation, BLEU", "BLEU", 1, "", main=False),
    Measure(
        "choices", "accuracy_norm", "Multiple choice, per character", "per character", 100, " %", main=False
    ),
    Measure("qa", "f1", "Questions about a text, F1", "F1", 100, " %", main=True),
    Measure("qa", "exact_match", "Questions about a text, exact", "exact match", 100, " %", main=False),
    Measure("math", "accuracy", "Word problems", "word problems", 100, " %", main=True),
    Measure("open", "judge", "Judge's rating, 1 to 10", "rating", 1, "", main=False),
    Measure(
        "open", "line_language_rate", "Lines in the language asked", "lines as asked", 100, " %", main=False
    ),
    Measure(
        "open",
        "format_failure_rate",
        "Chains without an answer",
        "no answer",
        100,
        " %",
        main=False,
        better=-1,
    ),
)


def together_measures(scores: Sequence[Scores]) -> list[Measure]:
    """Accuracy over all languages, then consistency and AC3 for every subset size."""
    sizes = range(2, max(len(one.languages) for one in scores) + 2)
    measures = [Measure("choices", "accuracy", "Accuracy, all languages", "accuracy", 100, " %", main=False)]
    for s in sizes:
        for metric, label in (("consistency", "Consistency"), ("ac3", "AC3")):
            measures.append(
                Measure(
                    "choices", f"{metric}_{s}", f"{label}, s = {s}", f"{label} {s}", 100, " %", main=False
                )
            )
    return measures


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one measure in one language.

    Args:
        measure: what was measured.
        lang: BCP-47 code.
        before: of the model compared with.
        after: of the candidate.
        delta: after minus before, with a paired bootstrap interval where samples of both exist.
        p: two-sided, of a paired test of no change; None where there are no samples of both.
        p_holm: the same, corrected for all languages of this measure; see `corrections`.
    """

    measure: Measure
    lang: str
    before: Measurement
    after: Measurement
    delta: Measurement
    p: float | None = None
    p_holm: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Clear only where the 95 % interval of the change lies on one side of zero."""
        low, high = self.delta.low, self.delta.high
        if low is None or high is None or self.delta.n < FEWEST_FOR_A_VERDICT:
            return "unclear"
        if low <= 0 <= high:
            return "unclear"
        return "better" if (low > 0) == (self.measure.better > 0) else "worse"

    def as_dict(self) -> dict[str, Any]:
        """As a JSON value, in the metric's own unit."""
        return {
            "task": self.measure.task,
            "lang": self.lang,
            "metric": self.measure.metric,
            "before": self.before.value,
            "after": self.after.value,
            "change": self.delta.model_dump(mode="json"),
            "p": self.p,
            "p_holm": self.p_holm,
            "verdict": self.verdict,
        }

    @property
    def shown(self) -> str:
        """The change for people, with sign: "+11.7"."""
        return signed(self.delta.value * self.measure.factor)

    @property
    def shown_range(self) -> str:
        """The interval of the change: "−1.7 to +25.0"; empty where there is none."""
        ends = (self.delta.low, self.delta.high)
        return " to ".join(signed(end * self.measure.factor) for end in ends if end is not None)


def signed(value: float) -> str:
    """One decimal with a sign, a true minus, and no sign on zero."""
    text = f"{value:+.1f}".replace("-", "\u2212")
    return "0.0" if text[1:] == "0.0" else text


def by_task(samples: Sequence[Sample]) -> ByTask:
    """Samples by (task, language), in the order they came."""
    groups: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.task, sample.lang].append(sample)
    return groups


def compare(before: Scores, after: Scores, samples_before: ByTask, samples_after: ByTask) -> list[Change]:
    """Every change that both models were measured for: clear losses first, then by size.

    Args:
        before: scores of the model compared with.
        after: scores of the candidate.
        samples_before: its samples; without them there are no intervals.
        samples_after: the candidate's.
    """
    changes = []
    for lang in (after.source_lang, *after.languages):
        for measure in MEASURES:
            old, new = (scores.get(measure.task, lang, measure.metric) for scores in (before, after))
            if old is not None and new is not None:
                key = measure.task, lang
                delta = _delta(measure, samples_before.get(key, ()), samples_after.get(key, ()))
                delta = delta or Measurement(value=new.value - old.value, n=min(old.n, new.n))
                p = _p(measure, samples_before.get(key, ()), samples_after.get(key, ()))
                changes.append(Change(measure, lang, old, new, delta, p))
    rank = {"worse": 0, "unclear": 1, "better": 2}
    changes = _corrected(changes)
    return sorted(
        changes, key=lambda c: (rank[c.verdict], c.delta.value * c.measure.factor * c.measure.better)
    )


def _corrected(changes: Sequence[Change]) -> list[Change]:
    """The changes with p values corrected for the languages of each measure."""
    found = {id(change): change.p for change in changes if change.p is not None}
    adjusted: dict[int, float] = {}
    for measure in MEASURES:
        mine = [id(change) for change in changes if change.measure == measure and id(change) in found]
        adjusted |= dict(zip(mine, holm([found[key] or 0.0 for key in mine]), strict=True))
    return [replace(change, p_holm=adjusted.get(id(change))) for change in changes]


def _p(measure: Measure, before: Sequence[Sample], after: Sequence[Sample]) -> float | None:
    """A paired test of no change; None where the two were not asked the same."""
    if not before or [s.id for s in before] != [s.id for s in after] or measure.metric not in _PER_ITEM:
        return None
    value = _PER_ITEM[measure.metric]
    return paired_p([value(sample) for sample in before], [value(sample) for sample in after])


def _delta(measure: Measure, before: Sequence[Sample], after: Sequence[Sample]) -> Measurement | None:
    """Paired over items; None where the two were not asked the same."""
    if not before or [sample.id for sample in before] != [sample.id for sample in after]:
        return None
    if measure.metric in METRICS:
        return overlap(measure.metric, before).change_to(overlap(measure.metric, after))
    if measure.metric not in _PER_ITEM:
        return None
    value = _PER_ITEM[measure.metric]
    return paired_difference([value(sample) for sample in before], [value(sample) for sample in after])


_PER_ITEM: dict[str, Callable[[Sample], float]] = {
    "accuracy": lambda sample: float(bool(sample.correct)),
    "accuracy_norm": lambda sample: float(bool(sample.correct_norm)),
    "exact_match": lambda sample: float(bool(sample.correct)),
    "f1": lambda sample: sample.f1 or 0.0,
    "target_language_rate": lambda sample: float(sample.in_asked_language),
}
"""What a sample adds to a metric that is a mean over items."""
