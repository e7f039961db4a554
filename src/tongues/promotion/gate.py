"""The promotion gate: a pure function from scores, evidence and a policy to a decision.

Every clause of the policy becomes one line per language with what was measured, what is allowed
and a sentence for people. The gate passes when every clause does. What was not measured is
refused, because a gap in the evidence is where a regression hides.

A loss is judged by what the items rule out, not by what they show. At confidence c a clause
passes where the one-sided lower bound of the gain, paired over items, is at least minus the
bound, so it is refused both where a loss is found and where too few items leave one open. Five
items leave a loss of 0.35 open at 95 % even if nothing changed. Every language has to pass by
itself, so the chance that a language with a larger loss slips through stays below 1 - c however
many there are (an intersection-union test; Berger, Technometrics 24 (1982) 295).
"""

from collections.abc import Iterator
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from tongues.core.digests import canonical_json, digest_value
from tongues.core.recipe import GateSection
from tongues.core.scores import Role, Scores
from tongues.promotion.clauses import (
    Clause,
    Compared,
    Metric,
    ceiling,
    comparable,
    contamination,
    floor,
    licences,
    lineage,
    parity,
    taken,
    unmeasured,
)
from tongues.promotion.evidence import Evidence

ACCURACY = Metric("choices", "accuracy", "multiple-choice accuracy", "choices_uri")
TARGET_LANGUAGE_RATE = Metric("open", "target_language_rate", "answers in the language asked", "open_uri")
CHRF = Metric("translation", "chrf", "chrF++", "translation_uri")
FORMAT_FAILURES = "format_failure_rate"


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
        clauses: in the order suite, sets that were not measured, lineage, parity, licences, contamination,
            choices, English, target language, chrF++, formats, floors, drops, English drops; by language.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    passed: bool
    candidate: str
    candidate_sha256: str
    reference: str
    reference_role: Role
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
        """The decision as a table for a report or a terminal, refusals first."""
        head = (
            f"**Gate {'passed' if self.passed else 'refused'}**: {_cell(self.candidate)} against "
            f"{self.reference_role} {_cell(self.reference)} on suite {_cell(self.suite)}"
        )
        table = ["| | Clause | Language | Finding |", "|---|---|---|---|"]
        table += [
            f"| {'pass' if c.passed else '**refused**'} | {c.name} | {c.lang} | {_cell(c.sentence)} |"
            for c in sorted(self.clauses, key=lambda clause: clause.passed)
        ]
        return "\n".join([head, "", *table, ""])


def decide(candidate: Scores, reference: Scores, policy: GateSection, evidence: Evidence) -> Decision:
    """Decide whether a candidate may take the reference's place.

    The languages judged are those of either model, so that a candidate which no longer teaches a
    language of the champion is refused rather than waved through. Refused is:

    - a loss (`max_choices_drop`, `max_english_drop`, `max_chrf_drop`, `max_drops`,
      `max_english_drops`) whose upper confidence bound at `policy.confidence` is above its bound;
      at 0.5 the measured value counts. Where the items are fewer than ten and are not right or
      wrong, or are not the same for both models, there is no bound, which refuses.
    - a rate (`min_target_language_rate`, `max_format_failures`, `min_scores`) whose measured value
      is on the wrong side of its bound.
    - more of any evaluation set in the training data than `max_contamination`, in any language.
    - whatever was not measured, verified, searched or named.

    Args:
        candidate: scores of the model that wants to be promoted.
        reference: scores of the champion, or of the base model, on the same suite.
        policy: the recipe's gate section.
        evidence: what else is known of the candidate.

    Returns:
        The decision; it passes exactly when every clause does.
    """
    clauses = tuple(_clauses(Compared(candidate, reference, evidence, policy.confidence), policy))
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


def _clauses(compared: Compared, policy: GateSection) -> Iterator[Clause]:
    candidate, reference, evidence = compared.candidate, compared.reference, compared.evidence
    source = candidate.source_lang
    taught = sorted({*candidate.languages, *reference.languages} - {source})
    yield comparable(candidate, reference)
    yield from unmeasured(candidate.unmeasured)
    yield lineage(evidence.lineage_faults)
    yield parity(evidence.parity, policy.min_parity)
    yield licences(evidence.licences, policy)
    yield from contamination(evidence.contamination, policy.max_contamination, _asked(candidate))
    for lang in taught:
        yield compared.drop("max_choices_drop", policy.max_choices_drop, ACCURACY, lang)
    yield compared.drop("max_english_drop", policy.max_english_drop, ACCURACY, source)
    for lang in taught:
        rate = policy.min_target_language_rate
        yield floor("min_target_language_rate", rate, TARGET_LANGUAGE_RATE, lang, candidate)
    for lang in taught:
        yield compared.drop("max_chrf_drop", policy.max_chrf_drop, CHRF, lang)
    for lang in taught:
        yield from _formats(policy.max_format_failures, lang, candidate)
    for name, least in sorted(policy.min_scores.items()):
        yield from (floor("min_scores", least, _named(name), lang, candidate) for lang in taught)
    for name, most in sorted(policy.max_drops.items()):
        yield from (compared.drop("max_drops", most, _named(name), lang) for lang in taught)
    for name, most in sorted(policy.max_english_drops.items()):
        yield compared.drop("max_english_drops", most, _named(name), source)


def _asked(candidate: Scores) -> dict[str, list[str]]:
    """Language to the sets that were measured in it, the source language first."""
    taken_in = {lang: list[str]() for lang in (candidate.source_lang, *sorted(candidate.languages))}
    for name in sorted(candidate.measurements):
        task, lang, _ = name.split("/", 2)
        if lang in taken_in and task not in taken_in[lang] and taken(candidate.measurements[name]):
            taken_in[lang].append(task)
    return {lang: tasks for lang, tasks in taken_in.items() if tasks}


def _named(name: str) -> Metric:
    task, metric = name.split("/")
    return Metric(task, metric, f"{task} {metric.replace('_', ' ')}", f"{task}_uri")


def _formats(bound: float, lang: str, candidate: Scores) -> Iterator[Clause]:
    """One clause for each task in which the candidate answered with chains."""
    for name in sorted(candidate.measurements):
        task, where, metric = name.split("/", 2)
        now = candidate.measurements[name]
        if (where, metric) == (lang, FORMAT_FAILURES) and taken(now):
            what = f"chains in {task} (candidate) lack their last segment"
            yield ceiling("max_format_failures", bound, what, lang, now)


def _cell(text: str) -> str:
    """Keep a model's name from breaking out of its table cell."""
    return " ".join(text.replace("|", "\\|").split())
