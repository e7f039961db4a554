"""Recipe sections: one for each method of making training data."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from tongues.core.recipe.section import Section, known_language
from tongues.core.recipe.ultralink import UltraLinkMethod
from tongues.core.recipe.written import OkapiMethod, ReverseMethod, SdrrlMethod
from tongues.core.taco_format import Layout


class DirectMethod(Section):
    """Plain translation of the fixed pair: every paper's baseline."""

    method: Literal["direct"]
    """Name of the method."""
    rows_per_language: PositiveInt | None = None
    """Draw this many groups per language without replacement; all when absent."""
    english_rows: Annotated[int, Field(ge=0)] = 0
    """English pairs mixed in against forgetting."""


PromptTemplate = Literal["chat", "alpaca", "cl_boost", "gemma", "llama"]
"""Wordings of the user's turn; see `tongues.methods.prompts`."""

Rows = Annotated[int, Field(ge=0)]


class CrossInMethod(Section):
    """Cross-lingual instruction mixing (arXiv 2404.11932); the numbers are draws per mode."""

    method: Literal["crossin"]
    """Name of the method."""
    base: Rows | None = 0
    """Mode 0: English pair as it is. Drawn without replacement, so at most the groups there are; null
    takes all."""
    base_categories: tuple[str, ...] = ()
    """Base takes rows of these categories only, all when empty. The paper's Base is a set of its own,
    which no other mode draws from: give its rows a category and `skip`, so that they stay English."""
    en2x: Rows = 0
    """Mode 1: English instruction, answer in a drawn language."""
    x2en: Rows = 0
    """Mode 2: instruction in a drawn language, English answer."""
    x2x: Rows = 0
    """Instruction and answer languages drawn independently, English among them."""
    trans: Rows = 0
    """Mode 3: translate the instruction into English."""
    template: PromptTemplate = "chat"
    """Wording of the user turn; all but "chat" are the paper's layouts."""


class TierRows(Section):
    """Rows per language by resource tier; the defaults are the paper's (arXiv 2407.09879)."""

    high: PositiveInt | None = 100_000
    """Of each high-resource language; null takes all."""
    mid: PositiveInt | None = 50_000
    """Of each mid-resource language; null takes all."""
    low: PositiveInt | None = 25_000
    """Of each low-resource language; null takes all."""


class LanguageTier(Section):
    """The tier of one language, where the table of languages is not to decide."""

    lang: str
    """BCP-47 code."""
    tier: Literal["high", "mid", "low"]
    """What it counts as."""

    _lang = field_validator("lang")(known_language)


class ShotsSection(Section):
    """Examples in the same language that stand before each item; all defaults are ours, the paper
    states none."""

    min: Rows = 0
    """Fewest examples; 0 keeps the model good without any."""
    max: Rows = 5
    """Most examples."""
    weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Relative frequency of min, min + 1, ... max examples; all alike when empty."""
    choose: Literal["random", "nearest"] = "random"
    """random: any other items; nearest: those whose question shares most letter triples with the item's."""
    pool: PositiveInt = 16
    """Items in a neighbourhood: examples come from the item's own, which a split leaves on one side."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, max is {self.max}; write them the other way round")
        if self.pool <= self.max:
            raise ValueError(f"pool is {self.pool}; {self.max} examples and the item need {self.max + 1}")
        if self.weights and (len(self.weights) != self.max - self.min + 1 or not sum(self.weights)):
            raise ValueError(
                f"weights are one number for each of {self.min} to {self.max} examples, one of them above 0"
            )
        return self


class SphinxMethod(Section):
    """sPhinX (arXiv 2407.09879): selective translation, rows by resource tier, n-shot samples.

    What is translated is `translation.selection`; this section draws and builds.
    """

    method: Literal["sphinx"]
    """Name of the method."""
    rows: TierRows = TierRows()
    """Rows per language by tier."""
    tiers: tuple[LanguageTier, ...] = ()
    """Languages whose tier is not the table's (default: Joshi et al. 2020; the paper does not state it)."""
    source_language: bool = True
    """Whether the source language takes part with the rows of its tier, as English does in the paper."""
    shots: ShotsSection = ShotsSection()
    """Examples before each item."""
    max_tokens: PositiveInt = 4096
    """Examples are left off until the sample is estimated to fit (default, the paper does not state it)."""
    bytes_per_token: Annotated[float, Field(gt=0)] = 2.0
    """Estimate of UTF-8 bytes in one token. An English-centred vocabulary of 49,152 reads 4.7 in English,
    2.8 in Spanish, 2.4 in Nepali, 1.5 in Chinese. Tuning counts with the real tokenizer and drops what
    is longer than `tuning.max_seq_tokens`, with that reason."""

    @model_validator(mode="after")
    def _one_tier(self) -> Self:
        named = [entry.lang for entry in self.tiers]
        if twice := sorted({lang for lang in named if named.count(lang) > 1}):
            raise ValueError(f"tiers names {', '.join(twice)} more than once")
        return self


class TacoMethod(Section):
    """TaCo (arXiv 2311.10797): the answer is a chain by way of the source language.

    Trained for one language at a time in the paper: one recipe and one adapter per language.
    """

    method: Literal["taco"]
    """Name of the method."""
    rows_per_language: PositiveInt | None = None
    """Draw this many groups per language without replacement; all when absent, as in the paper."""
    english_rows: Rows | None = 0
    """Stage 1 for a base that is not tuned on English instructions yet: plain English pairs; null
    takes all. The paper starts from a tuned model instead, so 0."""
    system_line: Literal["preamble", "message", "none"] = "preamble"
    """Where the line that asks for the chain stands: before the instruction, in a system message, or
    nowhere (default, the paper does not state it)."""
    layout: Layout = "released"
    """released: " ," and 24 blanks around the line breaks, as in the authors' data; plain: line breaks."""
    template: PromptTemplate = "alpaca"
    """Wording of the user turn (default, the paper does not state it)."""


class QAlignMethod(Section):
    """Question alignment (arXiv 2401.07817) and spontaneous learners (arXiv 2405.13816): questions into
    the source language, without answers."""

    method: Literal["qalign"]
    """Name of the method."""
    languages: tuple[str, ...] = ()
    """Languages to translate questions from; all of the recipe's when empty."""
    rows_per_language: PositiveInt | None = None
    """Draw this many groups per language without replacement; all when absent."""
    english_rows: Rows | None = 0
    """Stage 2: English pairs with their answers; null takes all."""
    template: PromptTemplate = "chat"
    """Wording of the user turn (default, the paper does not state it)."""

    @field_validator("languages")
    @classmethod
    def _known(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(known_language, dict.fromkeys(codes)))


MethodSection = Annotated[
    DirectMethod
    | SphinxMethod
    | TacoMethod
    | CrossInMethod
    | QAlignMethod
    | SdrrlMethod
    | ReverseMethod
    | OkapiMethod
    | UltraLinkMethod,
    Field(discriminator="method"),
]
