"""Recipe sections: from translations to training data."""

from typing import Annotated, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from tongues.core.recipe.methods import MethodSection
from tongues.core.recipe.section import Section, Share, Weight, known_languages


class MixtureSection(Section):
    """How much of each language and method is kept; as it stands, everything that was built.

    A share that cannot be met from what was built is an error that says by how much.
    """

    languages: dict[str, Weight] = Field(default={})
    """Weight by language; those not named have weight 1 as soon as one is named or a temperature given."""
    methods: dict[str, Weight] = Field(default={})
    """Weight by method within each language; those not named have weight 1 as soon as one is named."""
    temperature: Annotated[float, Field(gt=0)] | None = None
    """Languages by their number of rows to the power 1/temperature: 1 keeps their proportions, larger
    values even them out. Instead of weights."""
    budget_rows: PositiveInt | None = None
    """Rows in all; as many as the shares allow when absent."""
    budget_tokens: PositiveInt | None = None
    """The same in tokens of the base model, instead of rows; needs count_tokens."""
    english_share: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the source language in the whole, against forgetting; when absent it is one language
    among the others."""

    _known = field_validator("languages")(known_languages)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.languages and self.temperature is not None:
            raise ValueError("give weights of languages or a temperature, not both")
        if self.budget_rows is not None and self.budget_tokens is not None:
            raise ValueError("give budget_rows or budget_tokens, not both")
        return self


class DatasetSection(Section):
    """How training data is assembled from the aligned store."""

    methods: Annotated[tuple[MethodSection, ...], Field(min_length=1)]
    """Builders, whose records are put together."""
    licences: tuple[str, ...] | None = None
    """SPDX identifiers of licences that may be trained on; records of others are dropped as "licence".
    All are allowed when absent; the strictest one is stated in the dataset card either way."""
    near_duplicates: Annotated[float, Field(ge=0.3, le=1)] | None = 0.9
    """Jaccard similarity of texts from which a record goes as "near-duplicate"; null keeps them. Exact
    duplicates always go."""
    mask_pii: bool = False
    """Replace e-mail and IP addresses, telephone, card and account (IBAN) numbers by placeholders."""
    mixture: MixtureSection = MixtureSection()
    """How much of what was built is kept."""
    count_tokens: bool = False
    """Whether the statistics count tokens with the tokenizer of the base model, besides characters."""
    validation_share: Share = 0.05
    """Share of groups set aside to watch the loss; whole groups, all languages."""
    test_share: Share = 0.0
    """Share of groups set aside and never trained on."""

    @model_validator(mode="after")
    def _mixable(self) -> Self:
        if unknown := sorted(set(self.mixture.methods) - {section.method for section in self.methods}):
            raise ValueError(f"mixture.methods names {', '.join(unknown)}, which no method builds")
        if self.mixture.budget_tokens is not None and not self.count_tokens:
            raise ValueError("mixture.budget_tokens needs count_tokens: true")
        return self

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.validation_share + self.test_share >= 1:
            raise ValueError(
                "validation_share + test_share must stay below 1, or nothing is left to train on"
            )
        return self
