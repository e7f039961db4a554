"""Recipe sections: what is measured, and the policy that decides on promotion."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from tongues.core.recipe.section import Name, Section, Share


class SuiteSection(Section):
    """The evaluation sets, each a JSONL file aligned by id across languages."""

    name: Name = "quick"
    """Name of the suite, in metrics and reports."""
    choices_uri: str | None = None
    """Multiple choice: id, lang, question, choices, answer ("A".."D")."""
    translation_uri: str | None = None
    """Parallel sentences: id, lang, text; scored from the source language into each other one."""
    open_uri: str | None = None
    """Open questions: id, lang, prompt; scored by the language of the answer."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.choices_uri or self.translation_uri or self.open_uri):
            raise ValueError("name at least one of choices_uri, translation_uri, open_uri")
        return self


class EvaluationSection(Section):
    """What is measured, for the base model and for the tuned one."""

    suite: SuiteSection
    """The evaluation sets."""
    max_new_tokens: PositiveInt = 48
    """Length limit of generated answers."""
    batch_rows: PositiveInt = 16
    """Rows computed at a time; does not change results."""
    consistency_s: Annotated[int, Field(ge=2)] = 3
    """Subset size of the headline consistency (methods: CrossIn, SeaEval)."""


class GateSection(Section):
    """The policy that decides on promotion; a missing measurement is a refusal."""

    compare_to: Literal["champion_or_base", "base"] = "champion_or_base"
    """What a candidate has to hold its own against; the base model where there is no champion."""
    max_choices_drop: Share = 0.05
    """Largest loss of multiple-choice accuracy allowed in any taught language."""
    max_english_drop: Share = 0.05
    """Largest loss of multiple-choice accuracy allowed in the source language."""
    min_target_language_rate: Share = 0.5
    """Smallest share of answers in the language asked, in every taught language."""
    max_chrf_drop: Annotated[float, Field(ge=0, le=100)] = 2.0
    """Largest loss of chrF++ points allowed in any taught language."""
