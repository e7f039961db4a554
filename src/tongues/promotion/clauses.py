"""Clauses of the gate: each holds one rule of the policy against one language's numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from tongues.core.comparison import Contamination, Difference, Exposure
from tongues.core.recipe import GateSection
from tongues.core.scores import Measurement, Scores
from tongues.promotion.evidence import Evidence

TOLERANCE = 1e-9
"""0.55 - 0.50 is 0.05000000000000004: a drop of exactly the bound passes."""
FEW_ITEMS = 30
"""Below so many a sentence says how wide the interval is, since the value alone misleads."""
_Z2 = {0.5: 0.0, 0.8: 0.7083, 0.9: 1.6424, 0.95: 2.7055, 0.975: 3.8415, 0.99: 5.4119}
"""Squares of the normal quantiles of the one-sided confidences."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Where a clause finds its number, and which file of the suite it comes from."""

    task: str
    metric: str
    label: str
    suite_key: str

    def name(self, lang: str) -> str:
        """As in scores and MLflow."""
        return f"{self.task}/{lang}/{self.metric}"


class Clause(BaseModel):
    """One rule of the policy, applied to one language.

    Args:
        name: key of the policy, such as "max_choices_drop"; "suite" and "lineage" for what no key is about.
        lang: BCP-47 code; "all" where the clause is about the whole model.
        measured: the drop or the rate; None where it could not be measured.
        n: items that it was measured over; None where that is not the question.
        at_worst: the largest drop that the confidence leaves open; None where no confidence is asked for.
        bound: the largest drop or the smallest rate allowed; None where there is none.
        passed: whether it holds.
        sentence: the same for people, with the numbers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    lang: str
    measured: float | None = Field(default=None, allow_inf_nan=False)
    n: int | None = None
    at_worst: float | None = Field(default=None, allow_inf_nan=False)
    bound: float | None = Field(default=None, allow_inf_nan=False)
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Both models, what is known of the difference, and how sure the policy wants to be."""

    candidate: Scores
    reference: Scores
    evidence: Evidence
    confidence: float

    def drop(self, name: str, bound: float, metric: Metric, lang: str) -> Clause:
        """The loss in one language must be at most `bound`, and that with the policy's confidence."""
        now, before = (s.get(metric.task, lang, metric.metric) for s in (self.candidate, self.reference))
        sides = ((self.candidate, now), (self.reference, before))
        missing = [scores.role for scores, found in sides if not taken(found)]
        if now is None or before is None or missing:
            return not_measured(name, bound, metric, lang, missing)
        difference = self.evidence.difference(metric.task, lang, metric.metric)
        better = difference.better if difference else 1
        drop = (before.value - now.value) * better
        worst = self._at_worst(drop, difference)
        passed = worst is not None and worst <= bound + TOLERANCE
        sentence = (
            f"{lang}: {metric.label} {_moved(before.value - now.value)}, from {before.value:.3f} "
            f"({self.reference.role}) to {now.value:.3f} (candidate) over {now.n} items; "
            f"a drop of at most {bound:g} is allowed{self._sure(worst, bound, now.n, difference)}"
        )
        return Clause(
            name=name, lang=lang, measured=drop, n=now.n, at_worst=worst, bound=bound, passed=passed,
            sentence=sentence,
        )  # fmt: skip

    def _at_worst(self, drop: float, difference: Difference | None) -> float | None:
        """The largest loss that the confidence leaves open; None where the items say nothing about it."""
        if self.confidence == 0.5:
            return drop
        gain = (difference.gain_at_least if difference else {}).get(f"{self.confidence:g}")
        return None if gain is None else max(-gain, drop)

    def _sure(self, worst: float | None, bound: float, n: int, difference: Difference | None) -> str:
        """How sure that is, and how many items it would take where they are too few."""
        sure = f"{self.confidence * 100:g} %"
        if self.confidence == 0.5:
            return ""
        if worst is None:
            return f", but {n} items say nothing about it with {sure} confidence"
        said = f", and with {sure} confidence it is at most {worst:.3f}"
        if worst > bound + TOLERANCE and difference is not None and difference.interval == "score":
            fewest = fewest_items(bound, self.confidence)
            if fewest > n:
                said += f" ({n} items are too few: even without any change it takes {fewest})"
        return said


def fewest_items(bound: float, confidence: float) -> int:
    """Items over which two models that answer alike are within the bound: ``z² (1 - b) / b``.

    Args:
        bound: largest drop of a share, 0..1.
        confidence: one-sided; one of `CONFIDENCES`.
    """
    return int(_Z2[confidence] * (1 - bound) / bound) + 1 if bound > 0 else 0


def floor(name: str, bound: float, metric: Metric, lang: str, candidate: Scores) -> Clause:
    """A measure of the candidate must be at least `bound`."""
    now = candidate.get(metric.task, lang, metric.metric)
    if now is None or not taken(now):
        return not_measured(name, bound, metric, lang, [candidate.role])
    sentence = (
        f"{lang}: {metric.label}: {now.value:.3f} over {now.n} items (candidate); at least {bound:g} is "
        f"asked for{spread(now)}"
    )
    passed = now.value >= bound - TOLERANCE
    return Clause(
        name=name, lang=lang, measured=now.value, n=now.n, bound=bound, passed=passed, sentence=sentence
    )


def ceiling(name: str, bound: float, what: str, lang: str, now: Measurement) -> Clause:
    """A rate of the candidate must be at most `bound`."""
    sentence = f"{lang}: {now.value:.3f} of {now.n} {what}; at most {bound:g} is allowed{spread(now)}"
    passed = now.value <= bound + TOLERANCE
    return Clause(
        name=name, lang=lang, measured=now.value, n=now.n, bound=bound, passed=passed, sentence=sentence
    )


def not_measured(name: str, bound: float, metric: Metric, lang: str, missing: Sequence[str]) -> Clause:
    """A gap in the evidence refuses, and says which file would fill it."""
    sentence = (
        f"{lang}: {metric.label} was not measured for the {' and the '.join(missing)} "
        f"({metric.name(lang)}); name a file with items in {lang!r} under "
        f"evaluation.suite.{metric.suite_key} and evaluate again"
    )
    return Clause(name=name, lang=lang, bound=bound, passed=False, sentence=sentence)


def comparable(candidate: Scores, reference: Scores) -> Clause:
    """Two models are compared on the very same files and settings, or not at all."""
    same = (candidate.suite_sha256, candidate.source_lang) == (reference.suite_sha256, reference.source_lang)
    sentence = (
        f"both models were measured on suite {candidate.suite} ({candidate.suite_sha256[:12]})"
        if same
        else f"the models were measured on different suites: {candidate.suite} "
        f"({candidate.suite_sha256[:12]}, source {candidate.source_lang}) and {reference.suite} "
        f"({reference.suite_sha256[:12]}, source {reference.source_lang}); "
        f"evaluate the {reference.role} again on the candidate's suite"
    )
    return Clause(name="suite", lang="all", passed=same, sentence=sentence)


def lineage(faults: Sequence[str] | None) -> Clause:
    """Everything that the weights were made from is as it was written."""
    if faults is None:
        sentence = "nobody has verified what the weights were made from; promote with the workspace at hand"
        return Clause(name="lineage", lang="all", bound=0, passed=False, sentence=sentence)
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    sentence = (
        f"what the weights were made from is not as it was: {'; '.join(faults[:3])}{more}"
        if faults
        else "everything that the weights were made from is as it was written"
    )
    return Clause(
        name="lineage", lang="all", measured=len(faults), bound=0, passed=not faults, sentence=sentence
    )


def unmeasured(sets: Mapping[str, str]) -> Iterator[Clause]:
    """A clause for each set of the suite that could not be measured, which refuses."""
    for name, reason in sorted(sets.items()):
        sentence = f"{name} was not measured: {reason}; make it readable, or take it out of the suite"
        yield Clause(name="suite", lang="all", passed=False, sentence=sentence)


def parity(found: float | None, bound: float) -> Clause:
    """The weights written answer like those that were trained."""
    if found is None:
        sentence = "the weights written were not held against those that were trained; fine-tune again"
        return Clause(name="min_parity", lang="all", bound=bound, passed=False, sentence=sentence)
    sentence = (
        f"the weights written prefer the token that the trained ones prefer at {found:.1%} of the places; "
        f"at least {bound:.1%} is asked for"
    )
    passed = found >= bound - TOLERANCE
    return Clause(
        name="min_parity", lang="all", measured=found, bound=bound, passed=passed, sentence=sentence
    )


def licences(found: Sequence[str], policy: GateSection) -> Clause:
    """Every licence is known, and allowed where the policy lists some."""
    if not found:
        sentence = "the licence of the base model or of the training data is not known; name it in the recipe"
        return Clause(name="licences", lang="all", passed=False, sentence=sentence)
    allowed = policy.licences
    wrong = [name for name in found if allowed is not None and name not in allowed]
    sentence = (
        f"{', '.join(wrong)}: not among the licences allowed ({', '.join(allowed or ())})"
        if wrong
        else f"base model and training data stand under {', '.join(found)}"
    )
    return Clause(name="licences", lang="all", passed=not wrong, sentence=sentence)


def contamination(
    found: Contamination | None, bound: float, measured: Mapping[str, Sequence[str]]
) -> Iterator[Clause]:
    """The training data holds few of the questions: a clause for each language, about its worst set.

    Args:
        found: what was searched; None where nobody knows what the candidate was trained on.
        bound: largest share of a set's items.
        measured: language to the sets that the candidate was asked in it.
    """
    if found is None:
        sentence = (
            "whether the training data holds the questions is not known; fine-tune on data that `tongues "
            "assemble` made, and evaluate again"
        )
        yield Clause(name="max_contamination", lang="all", bound=bound, passed=False, sentence=sentence)
        return
    searched = {(one.task, one.lang): one for one in found.exposures if one.items}
    for lang, tasks in measured.items():
        missing = [task for task in tasks if (task, lang) not in searched]
        if missing:
            yield _not_searched(bound, lang, missing)
        else:
            yield _exposed(bound, lang, [searched[task, lang] for task in tasks])


def _not_searched(bound: float, lang: str, missing: Sequence[str]) -> Clause:
    sets = ", ".join(missing)
    sentence = f"{lang}: the training data was not searched for the questions of {sets}; evaluate again"
    return Clause(name="max_contamination", lang=lang, bound=bound, passed=False, sentence=sentence)


def _exposed(bound: float, lang: str, exposures: Sequence[Exposure]) -> Clause:
    worst = max(exposures, key=lambda one: one.share)
    over = [one for one in exposures if one.share > bound + TOLERANCE]
    said = "; ".join(
        f"{one.direct + one.translated} of {one.items} items of {one.task}"
        + (f", {one.translated} of them in another language" if one.translated else "")
        for one in over or [worst]
    )
    sentence = (
        f"{lang}: the training data holds {said}; a share of at most {bound:g} of any set is allowed"
        + (" (leave these items out of the training data)" if over else "")
    )
    return Clause(
        name="max_contamination", lang=lang, measured=worst.share, n=worst.items, bound=bound,
        passed=not over, sentence=sentence,
    )  # fmt: skip


def taken(measurement: Measurement | None) -> bool:
    """A figure over no items is no evidence."""
    return measurement is not None and measurement.n > 0


def spread(now: Measurement) -> str:
    """The interval, where the items are few."""
    if now.n >= FEW_ITEMS or now.low is None or now.high is None:
        return ""
    return f" ({now.n} items say little: the 95 % interval is {now.low:.3f} to {now.high:.3f})"


def _moved(drop: float) -> str:
    return f"fell by {drop:.3f}" if drop > 0 else f"rose by {-drop:.3f}" if drop < 0 else "did not change"
