"""Recipe sections: what is measured, and the policy that decides on promotion."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from tongues.core.comparison import CONFIDENCES
from tongues.core.recipe.engines import OpenAIEngine
from tongues.core.recipe.section import Name, Section, Share
from tongues.core.recipe.translation import BudgetSection
from tongues.core.scores import Role

LANG = "{lang}"
"""Stands in the URI of a published set for the BCP-47 code: those sets have one file per language."""
_TASKS = ("choices", "translation", "open", "qa", "math")


class SuiteSection(Section):
    """The evaluation sets, each a JSONL file aligned by id across languages.

    A set in its published format is read as it is: its URI has `{lang}` in it, and languages it has no file
    for are left out of its task, which the gate takes as not measured.
    """

    name: Name = "quick"
    """Name of the suite, in metrics and reports."""
    choices_uri: str | None = None
    """Multiple choice: id, lang, question, choices, answer ("A".."D")."""
    translation_uri: str | None = None
    """Parallel sentences: id, lang, text; scored from the source language into each other one."""
    open_uri: str | None = None
    """Open questions: id, lang, prompt, and category where there is one; scored by the language of the
    answer, and by a judge."""
    qa_uri: str | None = None
    """Questions about a text: id, lang, context, question, answers (a list); scored by exact match and F1."""
    math_uri: str | None = None
    """Word problems: id, lang, question, answers (a list with one number); scored by the last number."""
    choices_format: Literal["tongues", "xcopa"] = "tongues"
    """xcopa: the JSONL files of XCOPA (arXiv 2005.00333), one per language."""
    open_format: Literal["tongues", "vicuna"] = "tongues"
    """vicuna: JSONL with question_id, category and text (or turns), one per language."""
    qa_format: Literal["tongues", "xquad"] = "tongues"
    """xquad: SQuAD's JSON, one per language (arXiv 1910.11856)."""
    math_format: Literal["tongues", "mgsm"] = "tongues"
    """mgsm: question, tab, answer; one file per language (arXiv 2210.03057)."""

    @property
    def uris(self) -> dict[str, str]:
        """Task to URI, for the tasks that the suite has."""
        found = {task: getattr(self, f"{task}_uri") for task in _TASKS}
        return {task: uri for task, uri in found.items() if uri}

    def format_of(self, task: str) -> str:
        """Format of a task's file."""
        return str(getattr(self, f"{task}_format", "tongues"))

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.uris:
            raise ValueError("name at least one of " + ", ".join(f"{task}_uri" for task in _TASKS))
        return self

    @model_validator(mode="after")
    def _files_of_formats(self) -> Self:
        for task, uri in self.uris.items():
            if (self.format_of(task) == "tongues") == (LANG in uri):
                means = "has one file per language" if LANG not in uri else "is one file for all languages"
                raise ValueError(
                    f"{task}_uri: {task}_format {self.format_of(task)} {means}; "
                    f"{'put {lang} in place of the code' if LANG not in uri else 'take {lang} out'}"
                )
        return self


class JudgeSection(Section):
    """A chat model that rates the answers to open questions (MT-Bench, arXiv 2306.05685)."""

    engine: OpenAIEngine
    """The judge; its verdicts are kept in the ledger."""
    budget: BudgetSection = BudgetSection()
    """Where to stop; each language has an equal share."""
    replay_only: bool = False
    """Take verdicts from the ledger alone and fail on the first that it does not hold."""
    pairwise: bool = False
    """Also have the candidate's answers compared with the others', in both orders."""
    max_unreadable_share: Share = 0.1
    """Share of verdicts without a readable rating above which a language counts as not judged."""


def _free_role(name: str) -> str:
    if name in ("base", "champion", "candidate"):
        raise ValueError(f"{name!r} already stands for a model of every comparison; take another name")
    return name


OtherRole = Annotated[Role, Field(max_length=20), AfterValidator(_free_role)]
"""Name of a further model."""


class EvaluationSection(Section):
    """What is measured, for the base model and for the tuned one."""

    suite: SuiteSection
    """The evaluation sets."""
    runner: Literal["transformers", "vllm"] = "transformers"
    """Who computes: transformers in this process, or a vLLM server started on this machine for each model."""
    answer_format: Literal["plain", "taco"] | None = None
    """What the tuned model answers with; taco: the chain, of which only the last segment is scored. When
    absent, taco if it is one of the methods. The base model is always asked plainly."""
    max_new_tokens: PositiveInt = 48
    """Length limit of generated answers."""
    max_chain_tokens: PositiveInt | None = None
    """Length limit of a whole chain, which says everything three times; when absent, four times
    max_new_tokens."""
    max_items: PositiveInt | None = None
    """Items per task and language, drawn by the digest of their ids and the same in every language; all when
    absent. The fewer, the wider the intervals."""
    batch_rows: PositiveInt = 16
    """Rows computed at a time; does not change results."""
    consistency_s: Annotated[int, Field(ge=2)] = 3
    """Subset size of the headline consistency (methods: CrossIn, SeaEval)."""
    judge: JudgeSection | None = None
    """Who rates the answers to open questions; nobody when absent."""
    compare_with: dict[OtherRole, str] = Field(default={})
    """Further models of the comparison, such as one that was tuned on English only: a name for it to
    models:/NAME@ALIAS, models:/NAME/VERSION, or the URI of a finished finetune folder."""

    @property
    def chain_tokens(self) -> int:
        """Length limit of a whole chain."""
        return self.max_chain_tokens or 4 * self.max_new_tokens


MeasureName = Annotated[str, Field(pattern=r"^(choices|translation|open|qa|math)/[a-z][a-z0-9_]*$")]
"""Task and metric, as they stand in scores and MLflow with a language between them."""


def _known_confidence(value: float) -> float:
    if value not in CONFIDENCES:
        raise ValueError(f"differences have bounds for {', '.join(map(str, CONFIDENCES))}")
    return value


class GateSection(Section):
    """The policy that decides on promotion; a missing measurement is a refusal.

    A loss is within its bound where the lower confidence bound of the paired difference says so, not just the
    measured value: few items refuse. Choose bounds with the number of items in mind.
    """

    compare_to: Literal["champion_or_base", "base"] = "champion_or_base"
    """What a candidate has to hold its own against; the base model where there is no champion."""
    confidence: Annotated[float, AfterValidator(_known_confidence)] = 0.95
    """How sure it must be, one-sided, that no loss is larger than its bound: 0.8, 0.9, 0.95, 0.975 or 0.99;
    0.5 holds the bounds against the measured values themselves."""
    max_choices_drop: Share = 0.05
    """Largest loss of multiple-choice accuracy allowed in any taught language."""
    max_english_drop: Share = 0.05
    """Largest loss of multiple-choice accuracy allowed in the source language."""
    min_target_language_rate: Share = 0.5
    """Smallest share of answers in the language asked, in every taught language."""
    max_chrf_drop: Annotated[float, Field(ge=0, le=100)] = 2.0
    """Largest loss of chrF++ points allowed in any taught language."""
    max_format_failures: Share = 0.1
    """Largest share of chains without their last segment, in any task and taught language; where no chain
    was asked for there is nothing to hold against it."""
    min_scores: dict[MeasureName, float] = Field(default={})
    """Measure to its smallest value in any taught language, such as open/judge: 6 or qa/f1: 0.4."""
    max_drops: dict[MeasureName, Annotated[float, Field(ge=0)]] = Field(default={})
    """Measure to its largest loss in any taught language, such as qa/f1: 0.05."""
    max_english_drops: dict[MeasureName, Annotated[float, Field(ge=0)]] = Field(default={})
    """Measure to its largest loss in the source language, beside multiple choice."""
    min_parity: Share = 0.95
    """Smallest share of tokens at which the weights written prefer what the trained ones prefer."""
    licences: tuple[str, ...] | None = None
    """SPDX identifiers that the base model and the training data may stand under; any that is named when
    absent."""
