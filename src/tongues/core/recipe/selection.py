"""Recipe sections: what is translated and what stays."""

import re
from typing import Literal, Self

from pydantic import field_validator, model_validator

from tongues.core.recipe.section import Name, Section

FieldAction = Literal["translate", "keep"]


class SelectionRule(Section):
    """One rule of selective translation: for which rows, and what becomes of their fields.

    A row is meant when all conditions that are given hold. The first rule that matches decides.
    """

    name: Name
    """What reports call it."""
    categories: tuple[str, ...] = ()
    """The row's category is one of these."""
    pattern: str | None = None
    """Regular expression found in the instruction (case does not count)."""
    answer_pattern: str | None = None
    """Regular expression found in the answer (case does not count)."""
    instruction: FieldAction = "translate"
    """What becomes of the instruction."""
    input: FieldAction = "translate"
    """What becomes of the input."""
    output: FieldAction = "translate"
    """What becomes of the answer."""
    keep_quoted: bool = False
    """Quoted parts of translated fields stay as they are: they are what the task is about."""
    keep_labels: bool = False
    """A short answer that stands in the instruction or input word for word stays, in all places."""
    skip: bool = False
    """The task cannot survive translation: the row is dropped as "bound-to-language"."""

    @model_validator(mode="after")
    def _some_condition(self) -> Self:
        if not (self.categories or self.pattern or self.answer_pattern):
            raise ValueError(
                "give categories, pattern or answer_pattern; a rule without them would match every row"
            )
        return self

    @field_validator("pattern", "answer_pattern")
    @classmethod
    def _readable(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        return pattern


class SelectionSection(Section):
    """What is translated and what stays because its language is part of the task (sPhinX, arXiv 2407.09879).

    A row's own `keep` or `skip` outranks every decider.
    """

    decider: Literal["direct", "rules", "model"] = "direct"
    """direct: every field of every row (the baseline); rules: by rule; model: the chat engine decides and
    translates instruction, input and answer in one call."""
    rules: tuple[SelectionRule, ...] = ()
    """The recipe's own rules, tried before the shipped ones."""
    shipped_rules: bool = True
    """Whether the rules that come with tongues apply after the recipe's own."""
