"""Two models on the same items: what changed, by how much, and whether it is more than noise."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tongues.core.comparison import Difference, Verdict
from tongues.core.scores import Measurement, Scores
from tongues.evaluation.corrections import holm, paired_p
from tongues.evaluation.measures import PER_ITEM, Measure, measures_of
from tongues.evaluation.overlap import METRICS
from tongues.evaluation.paired import FEWEST_FOR_BOOTSTRAP, Paired, by_bootstrap, paired
from tongues.evaluation.samples import Sample
from tongues.evaluation.score import overlap

ByTask = Mapping[tuple[str, str], Sequence[Sample]]
Ratings = Mapping[str, Mapping[str, float]]
"""Language to item to the judge's rating, for the items that have a readable one."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One model's answers.

    Args:
        samples: by task and language; none where only the figures are known.
        ratings: of its open answers.
    """

    samples: ByTask
    ratings: Ratings

    @classmethod
    def of(cls, samples: Sequence[Sample], ratings: Ratings | None = None) -> "Answers":
        """Answers from samples in any order of tasks and languages."""
        return cls(by_task(samples), ratings or {})

    def values(self, measure: Measure, lang: str) -> dict[str, float]:
        """Item to what it adds to a measure that is a mean over items; empty for any other."""
        if (measure.task, measure.metric) == ("open", "judge"):
            return dict(self.ratings.get(lang, {}))
        if measure.metric not in PER_ITEM:
            return {}
        found = ((s.id, PER_ITEM[measure.metric](s)) for s in self.samples.get((measure.task, lang), ()))
        return {name: value for name, value in found if value is not None}


NO_ANSWERS = Answers({}, {})


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one measure in one language.

    Args:
        measure: what was measured.
        lang: BCP-47 code.
        before: of the model compared with.
        after: of the candidate.
        paired: the difference over the same items; None where there are no samples of both.
        p: two-sided, of a paired test of no change; None where there is none.
        p_holm: the same, corrected for all languages of this measure; see `corrections`.
    """

    measure: Measure
    lang: str
    before: Measurement
    after: Measurement
    paired: Paired | None = None
    p: float | None = None
    p_holm: float | None = None

    @property
    def delta(self) -> Measurement:
        """After minus before, with an interval where it is paired."""
        if self.paired is not None:
            return self.paired.change
        return Measurement(value=self.after.value - self.before.value, n=min(self.before.n, self.after.n))

    @property
    def verdict(self) -> Verdict:
        """Clear only where the 95 % interval of the change lies on one side of zero."""
        low, high = self.delta.low, self.delta.high
        if low is None or high is None or self.delta.n < FEWEST_FOR_BOOTSTRAP:
            return "unclear"
        if low <= 0 <= high:
            return "unclear"
        return "better" if (low > 0) == (self.measure.better > 0) else "worse"

    @property
    def gain(self) -> float:
        """The change in the measure's own good direction, as shown."""
        return self.delta.value * self.measure.factor * self.measure.better

    @property
    def shown(self) -> str:
        """The change for people, with sign: "+11.7"."""
        return signed(self.delta.value * self.measure.factor)

    @property
    def shown_range(self) -> str:
        """The interval of the change: "−1.7 to +25.0"; empty where there is none."""
        ends = (self.delta.low, self.delta.high)
        return " to ".join(signed(end * self.measure.factor) for end in ends if end is not None)

    def as_difference(self) -> Difference:
        """As `comparison.json` and the gate have it, in the metric's own unit."""
        return Difference(
            task=self.measure.task,
            lang=self.lang,
            metric=self.measure.metric,
            before=self.before.value,
            after=self.after.value,
            change=self.delta,
            better=1 if self.measure.better > 0 else -1,
            interval=self.paired.interval if self.paired else "none",
            gain_at_least=self.paired.gain_at_least(self.measure.better) if self.paired else {},
            p=self.p,
            p_holm=self.p_holm,
            verdict=self.verdict,
        )


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


def compare(before: Scores, after: Scores, answers_before: Answers, answers_after: Answers) -> list[Change]:
    """Every change that both models were measured for: clear losses first, then by size.

    Args:
        before: scores of the model compared with.
        after: scores of the candidate.
        answers_before: its answers; without them there are no intervals.
        answers_after: the candidate's.
    """
    changes = []
    for lang in (after.source_lang, *after.languages):
        for measure in measures_of([before, after]):
            old, new = (scores.get(measure.task, lang, measure.metric) for scores in (before, after))
            if old is not None and new is not None:
                change = Change(measure, lang, old, new)
                changes.append(_paired(change, answers_before, answers_after))
    rank = {"worse": 0, "unclear": 1, "better": 2}
    return sorted(_corrected(changes), key=lambda change: (rank[change.verdict], change.gain))


def _paired(change: Change, before: Answers, after: Answers) -> Change:
    """The change with its interval and test, where both were asked the same."""
    measure, lang = change.measure, change.lang
    if measure.metric in METRICS:
        old, new = (answers.samples.get((measure.task, lang), ()) for answers in (before, after))
        if not old or [sample.id for sample in old] != [sample.id for sample in new]:
            return change
        resampled = overlap(measure.metric, old).resampled_change(overlap(measure.metric, new))
        return replace(change, paired=by_bootstrap(*resampled, len(old)))
    values = before.values(measure, lang), after.values(measure, lang)
    shared = sorted(values[0].keys() & values[1].keys())
    # A verdict that cannot be read leaves its item out; answers are to the same questions or to none.
    if not shared or (measure.metric != "judge" and values[0].keys() != values[1].keys()):
        return change
    first, second = ([found[name] for name in shared] for found in values)
    return replace(change, paired=paired(first, second), p=paired_p(first, second))


def _corrected(changes: Sequence[Change]) -> list[Change]:
    """The changes with p values corrected for the languages of each measure."""
    found = {id(change): change.p for change in changes if change.p is not None}
    adjusted: dict[int, float] = {}
    for measure in {change.measure for change in changes}:
        mine = [id(change) for change in changes if change.measure == measure and id(change) in found]
        adjusted |= dict(zip(mine, holm([found[key] or 0.0 for key in mine]), strict=True))
    return [replace(change, p_holm=adjusted.get(id(change))) for change in changes]
