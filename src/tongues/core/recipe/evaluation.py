"""Recipe sections: what is measured, and the policy that decides on promotion."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from tongues.core.comparison import CONFIDENCES
from tongues.core.recipe.engines import OpenAIEngine
from tongues.core.recipe.section import Name, Section, Share
from tongues.core.recipe.translation import BudgetSection
from tongues.core.scores import Role
from tongues.core.shipped import shipped_folder
from tongues.core.standard_suites import SET_NAMES, StandardSet, standard_suite

LANG = "{lang}"
"""Stands in the URI of a published set for the BCP-47 code: those sets have one file per language."""
_TASKS = ("choices", "translation", "open", "qa", "math", "code")


class SetSection(Section):
    """Where one set of a standard suite is."""

    uri: str
    """A file or object, with {lang} in place of the set's own code where it has one per language; or, for
    sets of lm-evaluation-harness, hf://ORG/NAME@REVISION."""
    shots: Annotated[int, Field(ge=0)] | None = None
    """Examples before each question, for sets of lm-evaluation-harness; the suite's number when absent."""
    shots_uri: str | None = None
    """Where the examples are, in files like those of the set; those on the hub have theirs beside them."""


class SuiteSection(Section):
    """The evaluation sets, each a JSONL file aligned by id across languages.

    A set in its published format is read as it is: its URI has `{lang}` in it, and languages it has no file
    for are left out of its task, which the gate takes as not measured.
    """

    name: Name = "quick"
    """Name of the suite, in metrics and reports."""
    standard: Literal["quick", "sphinx", "taco", "crossin", "ultralink"] | None = None
    """A named suite, besides the files below; `tongues suite show NAME` says what is in it."""
    sets: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], SetSection] = Field(default={})
    """Set of the standard suite to where it is. A set that is not named here or cannot be loaded is not
    measured: the rest goes on, the report names it, and the gate refuses."""
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
    code_uri: str | None = None
    """Programs to be written: id, lang, prompt, entry_point, test, and solution where there is one; scored by
    pass@1, which generated_code.run must allow."""
    translation_format: Literal["tongues", "flores"] = "tongues"
    """flores: a sentence a line, one file per language named by its FLORES code (arXiv 2207.04672)."""
    choices_format: Literal["tongues", "xcopa"] = "tongues"
    """xcopa: the JSONL files of XCOPA (arXiv 2005.00333), one per language."""
    open_format: Literal["tongues", "vicuna"] = "tongues"
    """vicuna: JSONL with question_id, category and text (or turns), one per language."""
    qa_format: Literal["tongues", "xquad"] = "tongues"
    """xquad: SQuAD's JSON, one per language (arXiv 1910.11856)."""
    math_format: Literal["tongues", "mgsm"] = "tongues"
    """mgsm: question, tab, answer; one file per language (arXiv 2210.03057)."""
    code_format: Literal["tongues", "humaneval"] = "tongues"
    """humaneval: HumanEval's JSONL, one per language (arXiv 2107.03374)."""

    @property
    def uris(self) -> dict[str, str]:
        """Task to URI, for the tasks that the suite has."""
        found = {task: getattr(self, f"{task}_uri") for task in _TASKS}
        found |= {task: uri for task, one in self.filled.items() if (uri := self._uri_of(one))}
        return {task: uri for task, uri in found.items() if uri}

    @property
    def filled(self) -> dict[str, StandardSet]:
        """Task of our own to the set of the standard suite that is measured as it."""
        sets = standard_suite(self.standard).sets if self.standard else ()
        return {one.fills: one for one in sets if one.fills}

    def _uri_of(self, one: StandardSet) -> str | None:
        if one.name in self.sets:
            return self.sets[one.name].uri
        return str(shipped_folder("recipes") / "quickstart" / one.ships) if one.ships else None

    def format_of(self, task: str) -> str:
        """Format of a task's file."""
        return self.filled[task].format if task in self.filled else getattr(self, f"{task}_format", "tongues")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.standard or self.uris):
            raise ValueError("name a standard suite, or one of " + ", ".join(f"{t}_uri" for t in _TASKS))
        return self

    @model_validator(mode="after")
    def _sets_of_the_suite(self) -> Self:
        known = [one.name for one in standard_suite(self.standard).sets] if self.standard else []
        if unknown := [name for name in self.sets if name not in known]:
            raise ValueError(
                f"sets: {', '.join(unknown)} not in "
                + (
                    f"suite {self.standard}; it has {', '.join(known)}"
                    if self.standard
                    else "any suite: name one"
                )
            )
        for problem in (self._problem_of_shots(name) for name in self.sets):
            if problem:
                raise ValueError(problem)
        if twice := [task for task in self.filled if getattr(self, f"{task}_uri")]:
            raise ValueError(
                f"{twice[0]}_uri: suite {self.standard} has a set for that; give its place under sets"
            )
        return self

    def _problem_of_shots(self, name: str) -> str:
        """What is wrong with a set's examples; empty if nothing is."""
        section = self.sets[name]
        one = standard_suite(self.standard or "quick").get(name).with_shots(section.shots)
        if one.harness is None:
            given = section.shots is not None or section.shots_uri
            return f"sets.{name}: only sets of lm-evaluation-harness have shots" if given else ""
        if section.uri.startswith("hf://"):
            return f"sets.{name}.shots_uri: the hub has examples of its own" if section.shots_uri else ""
        if one.harness.shots and not section.shots_uri:
            return f"sets.{name}: {one.harness.shots} shots need examples; name their files as shots_uri"
        return "" if one.harness.shots or not section.shots_uri else f"sets.{name}.shots_uri: shots is 0"

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


class GeneratedCodeSection(Section):
    """Programs that a model wrote: whether they are run, and what each may use.

    They run without network, without sight of the machine, one process each; where that cannot be had,
    nothing is run.
    """

    run: bool = False
    """Run them. Somebody has to say so."""
    cpu_s: PositiveInt = 5
    """Seconds of processor time of one program."""
    wall_s: PositiveInt = 30
    """Seconds by the clock, after which it is killed."""
    memory_mib: Annotated[int, Field(ge=64)] = 512
    """Address space of one program."""
    max_new_tokens: PositiveInt = 256
    """Length limit of a program."""


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
    generated_code: GeneratedCodeSection = GeneratedCodeSection()
    """Whether programs that the model wrote are run, and within which limits."""
    judge: JudgeSection | None = None
    """Who rates the answers to open questions; nobody when absent."""
    compare_with: dict[OtherRole, str] = Field(default={})
    """Further models of the comparison, such as one that was tuned on English only: a name for it to
    models:/NAME@ALIAS, models:/NAME/VERSION, the URI of a finished finetune folder, or a recipe whose model
    is finished in the same workspace: RECIPE.yaml#VARIANT, or #VARIANT for one of this recipe."""

    @model_validator(mode="after")
    def _allowed_to_run(self) -> Self:
        if self.suite.code_uri and not self.generated_code.run:
            raise ValueError(
                "suite.code_uri: its programs would have to be run; allow it with generated_code: "
                "{run: true}, or leave the set out"
            )
        return self

    @property
    def chain_tokens(self) -> int:
        """Length limit of a whole chain."""
        return self.max_chain_tokens or 4 * self.max_new_tokens


MeasureName = Annotated[str, Field(pattern=rf"^({'|'.join((*_TASKS, *SET_NAMES))})/[a-z][a-z0-9_]*$")]
"""Task (or standard set) and metric, as they stand in scores and MLflow with a language between them."""


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
    max_contamination: Share = 0.01
    """Largest share of an evaluation set's items, in any language of the recipe, that the training data
    holds, in that language or in another; at 0.01 one item of a hundred, and none of sixty."""
    min_parity: Share = 0.95
    """Smallest share of tokens at which the weights written prefer what the trained ones prefer."""
    licences: tuple[str, ...] | None = None
    """SPDX identifiers that the base model and the training data may stand under; any that is named when
    absent."""
