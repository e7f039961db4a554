"""Recipe sections: UltraLink (arXiv 2402.04588): dialogues about passages, and language-agnostic data.

Where a docstring says "default", the paper does not state the value.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, field_validator, model_validator

from tongues.core.recipe.passages import PassageFile
from tongues.core.recipe.section import Section, Share


class PassagesSection(Section):
    """What is written about: documents, cleaned and cut into passages."""

    files: Annotated[tuple[PassageFile, ...], Field(min_length=1)]
    """Documents, one of each title; dialogues are written in the languages that these are in."""
    min_tokens: PositiveInt = 1_000
    """Documents with fewer are dropped (authors' code)."""
    max_tokens: PositiveInt = 10_000
    """Documents with more are dropped (authors' code)."""
    chunk_tokens: PositiveInt = 2_000
    """Longest passage: documents are cut at line breaks (authors' code)."""
    min_last_tokens: Annotated[int, Field(ge=0)] = 1_000
    """The last passage of a document needs more than these (authors' code)."""
    bytes_per_token: Annotated[float, Field(gt=0)] = 3.5
    """UTF-8 bytes in one token (default): all limits in tokens are kept by this estimate. The authors
    count with the tokenizer of gpt-3.5."""
    blocked_words_uri: str | None = None
    """Text file, one word or phrase a line; documents with one of them are dropped. None when absent."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is above max_tokens {self.max_tokens}")
        if self.min_last_tokens >= self.chunk_tokens:
            raise ValueError("min_last_tokens must stay below chunk_tokens, or no last passage is ever kept")
        return self


class DialoguesSection(Section):
    """Knowledge-grounded dialogues: question, answer, and follow-ups in depth or in width."""

    passages: PassagesSection
    """What is written about."""
    per_language: PositiveInt | None = None
    """Draw this many passages per language, one dialogue each; all when absent. The authors have 30,000 to
    37,000 dialogues per language."""
    depth_share: Share = 0.5
    """Probability that a follow-up digs into what was said; otherwise it turns to another field (authors'
    code)."""
    stop_probability: Share = 0.1
    """Probability that the dialogue ends after the first follow-up (authors' code)."""
    stop_growth: Annotated[float, Field(ge=1)] = 2.0
    """Factor on that probability with each further follow-up: 0.1, 0.2, 0.4, 0.8, then certain, so at most
    6 pairs (authors' code)."""
    max_tokens: PositiveInt = 4_070
    """The dialogue ends when prompt and answer reach this many (authors' code)."""
    min_answer_characters: Annotated[int, Field(ge=1)] = 10
    """The dialogue ends at an answer with fewer (authors' code)."""
    attempts: PositiveInt = 2
    """Times that a question or an answer is asked for until one passes the checks (authors' code: 2, for
    failed requests); once only where the temperature is 0."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Sampling of questions and answers, in place of the engine's (authors' code: the provider's own, 1)."""
    document_in_question: Share = 0.5
    """Share of dialogues whose first question brings the document along (default: the authors' data do
    so "often")."""
    without_document: bool = False
    """Whether to have every dialogue answered a second time by a model that is not shown the document
    (authors' code: optional)."""
    prompt_language: Literal["own", "english"] = "own"
    """What becomes of a language that has no prompts of its own: refused by name, or asked for in English
    (default; the authors write all prompts in the target language)."""
    min_lid_letters: Annotated[int, Field(ge=0)] = 40
    """Language identification is only a hint on questions and answers with fewer letters (default)."""


class KindRows(Section):
    """Rows per language by kind; the defaults are what the authors' data hold per language that is not
    English."""

    chat: Annotated[int, Field(ge=0)] | None = 11_000
    """Rows of no other kind, after the sift; null takes all."""
    math: Annotated[int, Field(ge=0)] | None = 32_000
    """Mathematics; null takes all."""
    code: Annotated[int, Field(ge=0)] | None = 16_000
    """Programming; null takes all."""


class AgnosticSection(Section):
    """Language-agnostic data: what survives seven questions about culture, then a subset per language."""

    rows: KindRows = KindRows()
    """Rows of each language that is taught."""
    english_rows: KindRows = KindRows(chat=0, math=0, code=0)
    """Rows of the source language."""
    math_categories: tuple[str, ...] = ("math",)
    """Categories of source rows that count as mathematics; not sifted."""
    code_categories: tuple[str, ...] = ("code",)
    """Categories of source rows that count as programming; not sifted. All others are chat."""
    decider: Literal["model", "rules"] = "model"
    """Who answers the seven questions: the chat model of `generation` (authors' code: gpt-3.5), or
    regular expressions for English, a weak stand-in that needs no account."""
    drop_patterns: tuple[str, ...] = (r"https?://", r"\bwww\.", r"\.com\b", r"\bx1\b", r"\by1\b")
    """Chat rows in which one of these regular expressions is found are dropped (authors' code)."""
    max_characters: PositiveInt = 8_000
    """Longer chat rows are dropped (authors' code drops "too long" ones; the number is a default)."""

    @field_validator("drop_patterns")
    @classmethod
    def _compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        return patterns

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if both := sorted(set(self.math_categories) & set(self.code_categories)):
            raise ValueError(f"math_categories and code_categories both name {', '.join(both)}")
        return self


class UltraLinkMethod(Section):
    """UltraLink (arXiv 2402.04588): dialogues about passages of each language, and translated data that
    belong to no culture."""

    method: Literal["ultralink"]
    """Name of the method."""
    dialogues: DialoguesSection | None = None
    """Knowledge-grounded dialogues, written by the chat model; none when absent."""
    agnostic: AgnosticSection | None = None
    """Language-agnostic data from the aligned store; none when absent."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.dialogues is None and self.agnostic is None:
            raise ValueError("ultralink makes nothing; give dialogues, agnostic, or both")
        return self

    @property
    def writes(self) -> bool:
        """Whether a chat model is needed."""
        return self.dialogues is not None or (self.agnostic is not None and self.agnostic.decider == "model")
