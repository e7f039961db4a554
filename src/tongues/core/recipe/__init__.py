"""The recipe: one YAML file that drives everything.

Each section is a frozen pydantic model that refuses unknown keys; every default is stated in its module
and nowhere else. The same model validates on a laptop, in CI and in the pod. Loading lives in
`tongues.core.recipe_file`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from tongues.core.languages import languages, unknown_language
from tongues.core.recipe.ablation import VariantSection
from tongues.core.recipe.cluster import KEY_STEPS, KEYS, NodePoolSection, StepName, TolerationSection
from tongues.core.recipe.dataset import DatasetSection, MixtureSection
from tongues.core.recipe.endpoint import CanarySection, KServeSection
from tongues.core.recipe.engines import (
    ApertiumEngine,
    EndpointSection,
    EngineSection,
    GoogleEngine,
    LibreTranslateEngine,
    NetworkEngine,
    OpenAIEngine,
    PriceSection,
    Seq2SeqEngine,
)
from tongues.core.recipe.evaluation import (
    EvaluationSection,
    GateSection,
    GeneratedCodeSection,
    JudgeSection,
    SetSection,
    SuiteSection,
)
from tongues.core.recipe.generation import GenerationSection
from tongues.core.recipe.methods import (
    CrossInMethod,
    DirectMethod,
    LanguageTier,
    MethodSection,
    PromptTemplate,
    QAlignMethod,
    Rows,
    ShotsSection,
    SphinxMethod,
    TacoMethod,
    TierRows,
)
from tongues.core.recipe.passages import PassageFile
from tongues.core.recipe.section import Name, Section, Sha256, Share, Weight
from tongues.core.recipe.selection import FieldAction, SelectionRule, SelectionSection
from tongues.core.recipe.serving import RegistrySection, ServingSection
from tongues.core.recipe.source import BaseModelSection, SourceFile, SourceSection
from tongues.core.recipe.translation import BudgetSection, LengthRatio, QualitySection, TranslationSection
from tongues.core.recipe.tuning import (
    HardwareSection,
    LoraSection,
    PreferenceSection,
    SafetySection,
    StageSection,
    TakeSection,
    TuningSection,
)
from tongues.core.recipe.ultralink import (
    AgnosticSection,
    DialoguesSection,
    KindRows,
    PassagesSection,
    UltraLinkMethod,
)
from tongues.core.recipe.written import OkapiMethod, ReverseMethod, SdrrlMethod

__all__ = [
    "KEYS",
    "KEY_STEPS",
    "SCHEMA_VERSION",
    "AgnosticSection",
    "ApertiumEngine",
    "BaseModelSection",
    "BudgetSection",
    "CanarySection",
    "CrossInMethod",
    "DatasetSection",
    "DialoguesSection",
    "DirectMethod",
    "EndpointSection",
    "EngineSection",
    "EvaluationSection",
    "FieldAction",
    "GateSection",
    "GeneratedCodeSection",
    "GenerationSection",
    "GoogleEngine",
    "HardwareSection",
    "JudgeSection",
    "KServeSection",
    "KindRows",
    "LanguageTier",
    "LengthRatio",
    "LibreTranslateEngine",
    "LoraSection",
    "MethodSection",
    "MixtureSection",
    "Name",
    "NetworkEngine",
    "NodePoolSection",
    "OkapiMethod",
    "OpenAIEngine",
    "PassageFile",
    "PassagesSection",
    "PreferenceSection",
    "PriceSection",
    "PromptTemplate",
    "QAlignMethod",
    "QualitySection",
    "Recipe",
    "RegistrySection",
    "ReverseMethod",
    "Rows",
    "SafetySection",
    "SdrrlMethod",
    "Section",
    "SelectionRule",
    "SelectionSection",
    "Seq2SeqEngine",
    "ServingSection",
    "SetSection",
    "Sha256",
    "Share",
    "ShotsSection",
    "SourceFile",
    "SourceSection",
    "SphinxMethod",
    "StageSection",
    "StepName",
    "SuiteSection",
    "TacoMethod",
    "TakeSection",
    "TierRows",
    "TolerationSection",
    "TranslationSection",
    "TuningSection",
    "UltraLinkMethod",
    "VariantSection",
    "Weight",
]

SCHEMA_VERSION = 1


class Recipe(Section):
    """Everything one run needs to know."""

    schema_version: Literal[1] = 1
    """Version of this format; another one is refused."""
    name: Name
    """Name of the run in reports and paths."""
    languages: Annotated[tuple[str, ...], Field(min_length=1)]
    """BCP-47 codes of the languages to teach."""
    models: Literal["one", "per-language"] = "one"
    """one: a single model learns all languages; per-language: each language has a model of its own, as TaCo's
    adapters do, registered as MODEL-LANGUAGE. `RECIPE#LANGUAGE` names one of them."""
    seed: Annotated[int, Field(ge=0)] = 42
    """Of every draw: splits, mixing, adapter weights, order, dropout."""
    source: SourceSection
    """The instruction set."""
    base_model: BaseModelSection
    """The model that learns."""
    translation: TranslationSection
    """From the source language into the others."""
    generation: GenerationSection | None = None
    """Who writes, for the methods that need more than translations."""
    dataset: DatasetSection
    """From translations to training data."""
    tuning: TuningSection = TuningSection()
    """From training data to an adapter."""
    evaluation: EvaluationSection
    """What is measured."""
    gate: GateSection = GateSection()
    """What decides on promotion."""
    registry: RegistrySection
    """Where runs and versions are kept."""
    serving: ServingSection = ServingSection()
    """How the promoted model answers."""
    node_pools: dict[StepName, NodePoolSection] = Field(default={})
    """On a cluster: pipeline step to the nodes it runs on; `tongues compile RECIPE` and `tongues submit` put
    them into the pipeline."""
    ablation: tuple[VariantSection, ...] = ()
    """Variants to compare with the recipe as it stands, which is their baseline; nothing is promoted."""

    @field_validator("languages")
    @classmethod
    def _languages(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        problems = [unknown_language(code) for code in codes if code not in languages()]
        problems += sorted({f"{code!r} is named twice" for code in codes if codes.count(code) > 1})
        if problems:
            raise ValueError("; ".join(problems))
        return codes

    @property
    def baseline(self) -> str:
        """What tables call the recipe as it stands: the names of its methods."""
        return "+".join(section.method for section in self.dataset.methods)

    def variant(self, name: str) -> "Recipe":
        """The recipe of one variant alone.

        Args:
            name: of the variant, or `baseline` for the recipe as it stands.

        Raises:
            KeyError: there is none of that name.
            ValidationError: with it the recipe does not hold together.
        """
        values = self.model_dump(mode="json", exclude={"ablation"})
        if name != self.baseline:
            chosen = {one.name: one for one in self.ablation}[name].model_dump(mode="json")
            values["dataset"]["methods"] = chosen["methods"]
            values["translation"]["selection"] = chosen["selection"] or values["translation"]["selection"]
        return Recipe.model_validate(values | {"name": f"{self.name}-{name}".replace("+", "-")[:50]})

    @property
    def parts(self) -> tuple[str, ...]:
        """What may stand behind a number sign after the recipe's address: languages or variants."""
        if self.models == "per-language":
            return self.languages
        return (self.baseline, *(one.name for one in self.ablation))

    def part(self, name: str) -> "Recipe":
        """The recipe of one model alone: that of a language, or a variant of the ablation.

        A language's is what it would be had somebody written it for that language, so its work is found by
        the same digests.

        Args:
            name: one of `parts`.
        """
        return self._language(name) if self.models == "per-language" else self.variant(name)

    def _language(self, lang: str) -> "Recipe":
        values = self.model_dump(mode="json")
        weights = values["dataset"]["mixture"]["languages"]
        kept = {code: weight for code, weight in weights.items() if code in (lang, self.source.lang)}
        values["dataset"]["mixture"]["languages"] = kept
        values["registry"]["model"] = f"{self.registry.model}-{lang}".lower()
        name = f"{self.name}-{lang}".lower()[:50]
        return Recipe.model_validate(values | {"name": name, "languages": [lang], "models": "one"})

    @model_validator(mode="after")
    def _each_language_alone(self) -> Self:
        if self.models == "one":
            return self
        if self.ablation:
            raise ValueError(
                "models: per-language, but an ablation compares single models; remove one of them"
            )
        for lang in self.languages:
            try:
                self.part(lang)
            except ValidationError as error:
                found = error.errors(include_url=False)
                told = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found)
                raise ValueError(f"models: per-language: {lang}: {told}") from None
        return self

    @model_validator(mode="after")
    def _someone_writes(self) -> Self:
        writing = [section.method for section in self.dataset.methods if getattr(section, "writes", False)]
        if writing and self.generation is None:
            raise ValueError(
                f"generation is missing: {', '.join(writing)} has a chat model write; name it under "
                "generation.engine"
            )
        return self

    @model_validator(mode="after")
    def _variants(self) -> Self:
        names = [self.baseline, *(one.name for one in self.ablation)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"ablation: {', '.join(twice)} is there twice; the recipe itself is one of them")
        for one in self.ablation:
            try:
                self.variant(one.name)
            except ValidationError as error:
                told = "; ".join(str(item["msg"]) for item in error.errors(include_url=False))
                raise ValueError(f"ablation: {one.name}: {told}") from None
        return self

    @model_validator(mode="after")
    def _teach_new(self) -> Self:
        if self.source.lang in self.languages:
            raise ValueError(f"languages names {self.source.lang!r}, the language of the source itself")
        return self

    @model_validator(mode="after")
    def _adapter_can_be_served(self) -> Self:
        if self.serving.mode != "adapter":
            return self
        if self.tuning.mode == "full":
            raise ValueError(
                "serving.mode is adapter, but tuning.mode full trains no adapter; set it to merged"
            )
        if self.tuning.lora.variant == "dora":
            raise ValueError("serving.mode is adapter, but vLLM serves no DoRA adapter; set it to merged")
        return self

    @property
    def has_servable_adapter(self) -> bool:
        """Whether tuning makes an adapter, and one that vLLM serves."""
        return self.tuning.mode != "full" and self.tuning.lora.variant != "dora"

    @model_validator(mode="after")
    def _steps_can_spread(self) -> Self:
        spread = [step for step, pool in self.node_pools.items() if pool.nodes > 1]
        problems = [
            f"node_pools.{step}.nodes: {step} runs in one pod, only finetune spreads; remove nodes"
            for step in spread
            if step != "finetune"
        ]
        if "finetune" in spread and self.tuning.preference is not None:
            problems.append(
                "node_pools.finetune.nodes: tuning.preference trains in one process; remove one of the two"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @model_validator(mode="after")
    def _rules_fit_the_source(self) -> Self:
        selection = self.translation.selection
        if selection.decider == "rules" and selection.shipped_rules and self.source.lang != "en":
            raise ValueError(
                "translation.selection: the shipped rules read English instructions, the source is "
                f"{self.source.lang!r}; set shipped_rules: false and give rules of your own"
            )
        return self
