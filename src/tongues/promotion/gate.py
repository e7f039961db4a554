"""The promotion gate: a pure function from two sets of scores and a policy to a decision.

Every clause of the policy becomes one line per language with what was measured, what is allowed
and a sentence for people. The gate passes when every clause does. What was not measured is
refused, because a gap in the evidence is where a regression hides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tongues.core.digests import canonical_json, digest_value
from tongues.core.recipe import GateSection
from tongues.core.scores import Measurement, Scores

_TOLERANCE = 1e-9
"""0.55 - 0.50 is 0.05000000000000004: a drop of exactly the bound passes."""


@dataclass(frozen=True, slots=True)
class _Metric:
    """Where a clause finds its number, and which file of the suite it comes from."""

    task: str
    metric: str
    label: str
    suite_key: str

    def name(self, lang: str) -> str:
        return f"{self.task}/{lang}/{self.metric}"


ACCURACY = _Metric("choices", "accuracy", "multiple-choice accuracy", "choices_uri")
TARGET_LANGUAGE_RATE = _Metric("open", "target_language_rate", "answers in the language asked", "open_uri")
FORMAT_FAILURES = "format_failure_rate"
CHRF = _Metric("translation", "chrf", "chrF++", "translation_uri")


class Clause(BaseModel):
    """One rule of the policy, applied to one language.

    Args:
        name: key of the policy, such as "max_choices_drop"; "suite" for comparability.
        lang: BCP-47 code; "all" where the clause is about the whole suite.
        measured: the drop or the rate; None where it could not be measured.
        bound: the largest drop or the smallest rate allowed; None for "suite".
        passed: whether it holds.
        sentence: the same for people, with the numbers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    lang: str
    measured: float | None = Field(allow_inf_nan=False)
    bound: float | None = Field(allow_inf_nan=False)
    passed: bool
    sentence: str


class Decision(BaseModel):
    """What the gate says, with everything it was based on.

    Args:
        passed: true exactly when every clause passed.
        candidate: name of the model that wants to be promoted.
        candidate_sha256: content digest of its weights.
        reference: name of the model it was compared with.
        reference_role: "base" or "champion".
        reference_sha256: content digest of the reference's weights.
        suite: name of the evaluation suite.
        suite_sha256: digest of the candidate's suite.
        policy: the policy as resolved.
        clauses: in the order suite, choices, English, target language, chrF++, formats, floors, drops; each
            by language.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    passed: bool
    candidate: str
    candidate_sha256: str
    reference: str
    reference_role: Literal["base", "candidate", "champion"]
    reference_sha256: str
    suite: str
    suite_sha256: str
    policy: GateSection
    clauses: tuple[Clause, ...]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.passed != all(clause.passed for clause in self.clauses):
            raise ValueError("passed must be true exactly when every clause passed")
        return self

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences of the clauses that failed; empty when the gate passed."""
        return tuple(clause.sentence for clause in self.clauses if not clause.passed)

    def digest(self) -> str:
        """Digest of the whole decision."""
        return digest_value(self.model_dump(mode="json"))

    def to_json(self) -> bytes:
        """The decision as canonical JSON, as it is kept beside the model version."""
        return canonical_json(self.model_dump(mode="json"))

    def to_markdown(self) -> str:
        """The decision as a table for a report or a terminal."""
        head = (
            f"**Gate {'passed' if self.passed else 'refused'}**: {_cell(self.candidate)} against "
            f"{self.reference_role} {_cell(self.reference)} on suite {_cell(self.suite)}"
        )
        table = ["| | Clause | Language | Finding |", "|---|---|---|---|"]
        table += [
            f"| {'pass' if c.passed else '**refused**'} | {c.name} | {c.lang} | {_cell(c.sentence)} |"
            for c in self.clauses
        ]
        return "\n".join([head, "", *table, ""])


def decide(candidate: Scores, reference: Scores, policy: GateSection) -> Decision:
    """Decide whether a candidate may take the reference's place.

    The languages judged are those of either model, so that a candidate which no longer teaches a
    language of the champion is refused rather than waved through. Intervals are not used: a
    policy bound is compared with the measured difference itself.

    Args:
        candidate: scores of the model that wants to be promoted.
        reference: scores of the champion, or of the base model, on the same suite.
        policy: the recipe's gate section.

    Returns:
        The decision; it passes exactly when every clause does.
    """
    clauses = tuple(_clauses(candidate, reference, policy))
    return Decision(
        passed=all(clause.passed for clause in clauses),
        candidate=candidate.model,
        candidate_sha256=candidate.model_sha256,
        reference=reference.model,
        reference_role=reference.role,
        reference_sha256=reference.model_sha256,
        suite=candidate.suite,
        suite_sha256=candidate.suite_sha256,
        policy=policy,
        clauses=clauses,
    )


def _clauses(candidate: Scores, reference: Scores, policy: GateSection) -> Iterator[Clause]:
    source = candidate.source_lang
    taught = sorted({*candidate.languages, *reference.languages} - {source})
    yield _comparable(candidate, reference)
    for lang in taught:
        yield _drop("max_choices_drop", policy.max_choices_drop, ACCURACY, lang, candidate, reference)
    yield _drop("max_english_drop", policy.max_english_drop, ACCURACY, source, candidate, reference)
    for lang in taught:
        yield _rate(policy.min_target_language_rate, lang, candidate)
    for lang in taught:
        yield _drop("max_chrf_drop", policy.max_chrf_drop, CHRF, lang, candidate, reference)
    for lang in taught:
        yield from _formats(policy.max_format_failures, lang, candidate)
    for name, least in sorted(policy.min_scores.items()):
        yield from (_floor("min_scores", least, _named(name), lang, candidate) for lang in taught)
    for name, most in sorted(policy.max_drops.items()):
        yield from (_drop("max_drops", most, _named(name), lang, candidate, reference) for lang in taught)


def _named(name: str) -> _Metric:
    task, metric = name.split("/")
    return _Metric(task, metric, f"{task} {metric.replace('_', ' ')}", f"{task}_uri")


def _formats(bound: float, lang: str, candidate: Scores) -> Iterator[Clause]:
    """One clause for each task in which the candidate answered with chains."""
    for name in sorted(candidate.measurements):
        task, where, metric = name.split("/", 2)
        now = candidate.measurements[name]
        if (where, metric) == (lang, FORMAT_FAILURES) and _taken(now):
            sentence = (
                f"{lang}: {now.value:.3f} of {now.n} chains in {task} (candidate) lack their last segment; "
                f"at most {bound:g} is allowed"
            )
            passed = now.value <= bound + _TOLERANCE
            yield Clause(
                name="max_format_failures",
                lang=lang,
                measured=now.value,
                bound=bound,
                passed=passed,
                sentence=sentence,
            )


def _floor(name: str, bound: float, metric: _Metric, lang: str, candidate: Scores) -> Clause:
    now = candidate.get(metric.task, lang, metric.metric)
    if now is None or not _taken(now):
        return _not_measured(name, bound, metric, lang, [candidate.role])
    sentence = (
        f"{lang}: {metric.label} is {now.value:.3f} over {now.n} items (candidate); at least {bound:g} is "
        "asked for"
    )
    passed = now.value >= bound - _TOLERANCE
    return Clause(name=name, lang=lang, measured=now.value, bound=bound, passed=passed, sentence=sentence)


def _comparable(candidate: Scores, reference: Scores) -> Clause:
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
    return Clause(name="suite", lang="all", measured=None, bound=None, passed=same, sentence=sentence)


def _drop(
    name: str, bound: float, metric: _Metric, lang: str, candidate: Scores, reference: Scores
) -> Clause:
    now = candidate.get(metric.task, lang, metric.metric)
    before = reference.get(metric.task, lang, metric.metric)
    missing = [scores.role for scores, found in ((candidate, now), (reference, before)) if not _taken(found)]
    if now is None or before is None or missing:
        return _not_measured(name, bound, metric, lang, missing)
    drop = before.value - now.value
    passed = drop <= bound + _TOLERANCE
    change = f"fell by {drop:.3f}" if drop > 0 else f"rose by {-drop:.3f}" if drop < 0 else "did not change"
    sentence = (
        f"{lang}: {metric.label} {change}, from {before.value:.3f} ({reference.role}) to {now.value:.3f} "
        f"(candidate) over {now.n} items; a drop of at most {bound:g} is allowed"
    )
    return Clause(name=name, lang=lang, measured=drop, bound=bound, passed=passed, sentence=sentence)


def _rate(bound: float, lang: str, candidate: Scores) -> Clause:
    name = "min_target_language_rate"
    metric = TARGET_LANGUAGE_RATE
    now = candidate.get(metric.task, lang, metric.metric)
    if now is None or not _taken(now):
        return _not_measured(name, bound, metric, lang, [candidate.role])
    passed = now.value >= bound - _TOLERANCE
    sentence = (
        f"{lang}: {metric.label} make up {now.value:.3f} of {now.n} (candidate); "
        f"at least {bound:g} is asked for"
    )
    return Clause(name=name, lang=lang, measured=now.value, bound=bound, passed=passed, sentence=sentence)


def _not_measured(name: str, bound: float, metric: _Metric, lang: str, missing: Sequence[str]) -> Clause:
    sentence = (
        f"{lang}: {metric.label} was not measured for the {' and the '.join(missing)} "
        f"({metric.name(lang)}); name a file with items in {lang!r} under "
        f"evaluation.suite.{metric.suite_key} and evaluate again"
    )
    return Clause(name=name, lang=lang, measured=None, bound=bound, passed=False, sentence=sentence)


def _taken(measurement: Measurement | None) -> bool:
    """A figure over no items is no evidence."""
    return measurement is not None and measurement.n > 0


def _cell(text: str) -> str:
    """Keep a model's name from breaking out of its table cell."""
    return " ".join(text.replace("|", "\\|").split())
