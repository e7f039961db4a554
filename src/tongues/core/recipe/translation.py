"""Recipe sections: how the aligned store is made."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from tongues.core.recipe.engines import EngineSection, OpenAIEngine
from tongues.core.recipe.section import Section, Share, known_language
from tongues.core.recipe.selection import SelectionSection


class LengthRatio(Section):
    """Limits of the length ratio for one target language."""

    lang: str
    """BCP-47 code of the target."""
    low: Annotated[float, Field(gt=0)]
    """Smallest ratio of translated to source letters."""
    high: Annotated[float, Field(gt=0)]
    """Largest ratio."""

    _lang = field_validator("lang")(known_language)


class BudgetSection(Section):
    """Hard limits of one run's translation; each language and shard has an equal share of them."""

    cost: Annotated[float, Field(gt=0)] | None = None
    """Money, in the currency of the prices."""
    requests: PositiveInt | None = None
    """Requests to engines, repeated tries included."""
    tokens: PositiveInt | None = None
    """Tokens in and out."""


class QualityJudgeSection(Section):
    """A chat model that rates translations of rows of the store for adequacy and fluency, 1 to 5 each."""

    engine: OpenAIEngine
    """The judge; its verdicts are kept in the ledger."""
    rows: PositiveInt = 50
    """Rows per language, drawn by their digest."""
    budget: BudgetSection = BudgetSection()
    """Where to stop; each language has an equal share."""


class QualitySection(Section):
    """How translations are measured once they are made; it drops nothing."""

    round_trip_sentences: Annotated[int, Field(ge=0)] = 0
    """Sentences per language that are translated back and compared (TaCo, arXiv 2311.10797: 1,000)."""
    reference_uri: str | None = None
    """Parallel text (JSONL: id, lang, text) to translate and score against; none when absent."""
    judge: QualityJudgeSection | None = None
    """Who rates a sample of the translations; nobody when absent."""


class TranslationSection(Section):
    """How the aligned store is made."""

    engine: EngineSection
    """Who translates."""
    escalate_to: tuple[EngineSection, ...] = ()
    """Engines for the rows that the one before could not translate well, in order, dearer ones last."""
    min_quality: Share = 0.0
    """Rows whose score (see `quality` in the aligned store) is lower go on to the next engine; after
    the last one they are dropped as "low-quality"."""
    selection: SelectionSection = SelectionSection()
    """What is translated and what stays."""
    budget: BudgetSection = BudgetSection()
    """Where to stop, whatever is left to do."""
    shards: PositiveInt = 1
    """Parts into which each language is cut, so that they run side by side; does not change results."""
    replay_only: bool = False
    """Answer from the ledger alone and fail on the first request that it does not hold."""
    quality: QualitySection = QualitySection()
    """What is measured."""
    protect: tuple[Literal["code", "url", "email", "number", "placeholder", "markup", "math"], ...] = (
        "code",
        "url",
        "email",
        "number",
        "placeholder",
        "markup",
        "math",
    )
    """Kinds of spans that must survive byte for byte."""
    protect_patterns: tuple[str, ...] = ()
    """Further regular expressions whose matches must survive."""
    min_length_ratio: Annotated[float, Field(gt=0)] = 0.3
    """Translated letters, as a share of those usual for the source in that language, below which a field
    fails."""
    max_length_ratio: Annotated[float, Field(gt=0)] = 3.0
    """The same share above which a field fails."""
    length_ratios: tuple[LengthRatio, ...] = ()
    """Limits of its own for a language, in place of the two above: letters as they are counted."""
    min_lid_letters: Annotated[int, Field(ge=0)] = 40
    """Language identification is only a hint on texts with fewer letters."""

    @model_validator(mode="after")
    def _deciding_engines(self) -> Self:
        others = {e.kind for e in (self.engine, *self.escalate_to)} - {"openai"}
        if self.selection.decider == "model" and others:
            found = ", ".join(sorted(others))
            raise ValueError(f"selection.decider: model needs engines of kind openai only; found {found}")
        return self
