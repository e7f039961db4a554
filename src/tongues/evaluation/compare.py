"""Two models on the same items: what changed, by how much, and whether it is more than noise."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tongues.core.scores import Measurement, Scores
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
    """

    task: str
    metric: str
    label: str
    short: str
    factor: float
    unit: str
    main: bool

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
    """

    measure: Measure
    lang: str
    before: Measurement
    after: Measurement
    delta: Measurement

    @property
    def verdict(self) -> Verdict:
        """Clear only where the 95 % interval of the change lies on one side of zero."""
        low, high = self.delta.low, self.delta.high
        if low is None or high is None or self.delta.n < FEWEST_FOR_A_VERDICT:
            return "unclear"
        return "worse" if high < 0 else "better" if low > 0 else "unclear"

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
                changes.append(Change(measure, lang, old, new, delta))
    rank = {"worse": 0, "unclear": 1, "better": 2}
    return sorted(changes, key=lambda c: (rank[c.verdict], c.delta.value * c.measure.factor))


def _delta(measure: Measure, before: Sequence[Sample], after: Sequence[Sample]) -> Measurement | None:
    """Paired over items; None where the two were not asked the same."""
    if not before or [sample.id for sample in before] != [sample.id for sample in after]:
        return None
    if measure.metric in METRICS:
        return overlap(measure.metric, before).change_to(overlap(measure.metric, after))
    hits = [[float(_hit(measure, sample)) for sample in samples] for samples in (before, after)]
    return paired_difference(*hits)


def _hit(measure: Measure, sample: Sample) -> bool:
    if measure.metric == "target_language_rate":
        return sample.in_asked_language
    return bool(sample.correct if measure.metric == "accuracy" else sample.correct_norm)
