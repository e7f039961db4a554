"""Recipe sections: methods whose records a chat model writes, see `generation`."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from tongues.core.recipe.passages import PassageFile
from tongues.core.recipe.section import Section

_Rows = Annotated[int, Field(ge=0)]
_Grade = Annotated[int, Field(ge=1, le=5)]


class SdrrlMethod(Section):
    """SDRRL (arXiv 2402.12204): the model's own answers in the source language teach it the others.

    Numbers are rows per language and mode; null takes all. All modes draw the same items, so a smaller
    number is a part of a larger one's and every answer is asked for once.
    """

    method: Literal["sdrrl"]
    """Name of the method."""
    answers: Literal["own", "given"] = "own"
    """own: what the model of `generation` answers, and what it makes of that in the language, as the paper
    has it; given: the answers of the aligned store, for comparison, with nothing written. For
    self-distillation `generation.engine` must serve the base model itself."""
    source_source: _Rows | None = None
    """Question and answer in the source language."""
    source_target: _Rows | None = None
    """Question in the source language, answer in the other."""
    target_source: _Rows | None = None
    """Question in the other language, answer in the source language."""
    target_target: _Rows | None = None
    """Question and answer in the other language."""
    switched: _Rows | None = None
    """Question in both languages, answer in one of them, drawn. Only of questions with two sentences or
    more (default, the paper does not state how it switches)."""
    switch_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of such a question's sentences that stand in the source language, at least one and never all."""
    translation: _Rows | None = 0
    """Questions to translate, the direction drawn (default, how the paper uses translations is not known)."""

    @property
    def writes(self) -> bool:
        """Whether a chat model is needed."""
        return self.answers == "own" and any(count != 0 for count in self.answered.values())

    @property
    def answered(self) -> dict[str, int | None]:
        """The modes that have an answer to learn, with their rows."""
        names = ("source_source", "source_target", "target_source", "target_target", "switched")
        return {name: getattr(self, name) for name in names}

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.translation == 0 and not any(count != 0 for count in self.answered.values()):
            raise ValueError("every mode has 0 rows; leave sdrrl out, or give one of them a number or null")
        return self


class ReverseMethod(Section):
    """Reverse instructions (arXiv 2407.01853): native text is the answer, the question to it is written."""

    writes: ClassVar[bool] = True
    method: Literal["reverse"]
    """Name of the method."""
    passages: Annotated[tuple[PassageFile, ...], Field(min_length=1)]
    """Native texts; one language may have several files, and none is translated for another."""
    rows_per_language: PositiveInt | None = None
    """Draw this many texts per language without replacement; all when absent."""
    min_chars: PositiveInt = 200
    """Shortest text that can be an answer (default, the paper does not state it)."""
    max_chars: PositiveInt = 2000
    """Longest one; no text is cut (default, the paper does not state it)."""
    max_instruction_chars: PositiveInt = 400
    """Longest instruction (default, the paper does not state it)."""
    min_quality: _Grade = 4
    """Grade from 1 to 5 from which on an instruction fits its text well enough; the paper scores quality
    and diversity and does not state how (default)."""
    min_diversity: _Grade = 3
    """Grade from 1 to 5 from which on it is more than "summarise this" (default)."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars is {self.min_chars}, max_chars is {self.max_chars}; swap them")
        return self


class OkapiMethod(Section):
    """Okapi's ranking pairs (arXiv 2307.16039): a better and a worse answer to one question.

    The better one is the record's answer, the worse one is in its metadata, "rejected", where a preference
    stage of `tuning` finds it.
    """

    writes: ClassVar[bool] = True
    method: Literal["okapi"]
    """Name of the method."""
    rows_per_language: PositiveInt | None = None
    """Draw this many questions per language without replacement; all when absent."""
    english_rows: _Rows | None = 0
    """The same in the source language; null takes all."""
    answers: Annotated[int, Field(ge=2, le=16)] = 4
    """Answers sampled to each question; the paper's number."""
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    """Of these samples (default, the paper does not state it)."""
    chosen: Literal["best", "given"] = "best"
    """best: the sampled answer with the highest score; given: the answer of the aligned store, which is
    judged among them and must be better than the worst."""
    margin: Annotated[int, Field(ge=1, le=9)] = 1
    """Points of 10 by which the better answer must lead; with fewer there is no preference."""
