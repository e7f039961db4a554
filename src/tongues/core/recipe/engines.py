"""Recipe sections: who translates, where, at what price."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from tongues.core.recipe.section import Section


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
