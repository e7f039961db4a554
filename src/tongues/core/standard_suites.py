"""Named suites: which sets they have, in which languages, and how each is measured; data beside this file.

A suite has a version; another one is another suite, and its numbers are not to be compared. Names, versions
and file names of lm-evaluation-harness are pinned here, and checked when a set is loaded.
"""

from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tongues.core.languages import languages

HARNESS_VERSION = "0.4.13"
"""The release of lm-evaluation-harness whose tasks are named."""
SUITE_NAMES = ("quick", "sphinx", "taco", "crossin", "ultralink")
SET_NAMES = (
    "arc", "belebele", "boolq", "cross_logiqa", "cross_mmlu", "cross_xquad", "gsm8k", "hellaswag", "mgsm",
    "mmlu", "piqa", "xcopa", "xquad", "xstorycloze", "xwinograd",
)  # fmt: skip
"""Sets that are tasks of their own in scores and policies, over all suites."""
Origin = Literal[
    "written in English",
    "written in each language",
    "rewritten by people",
    "translated by people",
    "translated by machine",
    "translated, see the source",
]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HarnessTask(_Data):
    """A task of lm-evaluation-harness.

    Args:
        task: its name; ``{code}`` is the set's code for a language, ``{part}`` one of the parts.
        file: where the harness describes it, below its folder of tasks.
        version: the task's own version.
        metric: what decides whether an item is right: "acc" or "exact_match".
        asks: columns that hold the question, without what stands around it; the training data is searched
            for them.
        filter: which of the task's readings of an answer counts.
        shots: examples before each question, where the recipe says nothing else.
        aligned: whether items and their options are the same in all languages, in the same order.
        rows: what a file may hold besides rows as on the hub: "squad" SQuAD's JSON, "mgsm" question, tab,
            answer.
        part_key: column that says to which part a row belongs.
        parts: parts of a set that the harness has one task for each.
    """

    task: str
    file: str
    version: float
    metric: Literal["acc", "exact_match"]
    asks: tuple[str, ...] = Field(min_length=1)
    filter: str = "none"
    shots: int = Field(default=0, ge=0)
    aligned: bool = False
    rows: Literal["hub", "squad", "mgsm"] = "hub"
    part_key: str = ""
    parts: tuple[str, ...] = ("",)


class StandardSet(_Data):
    """One set of a suite: a harness task, a consistency set, or files for a task of our own.

    Args:
        name: as it stands in measures and recipes.
        about: what it is.
        text: who wrote the text, which says how far a number can be trusted.
        source: paper.
        languages: BCP-47 codes; empty where the files decide.
        codes: the set's own code for a language, where it is another one.
        flores_codes: whether its codes are those of FLORES-200.
        harness: measured by the harness.
        cross: measured as SeaEval does.
        fills: the task of our own that it is measured as.
        format: of the files of such a task.
        ships: file that comes with tongues, below the folder of the quickstart.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    about: str
    text: Origin
    source: str
    languages: tuple[str, ...] = ()
    codes: dict[str, str] = Field(default={})
    flores_codes: bool = False
    harness: HarnessTask | None = None
    cross: bool = False
    fills: Literal["choices", "translation", "open", "qa", "math", "code"] | None = None
    format: str = "tongues"
    ships: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(map(bool, (self.harness, self.cross, self.fills))) != 1:
            raise ValueError(f"{self.name}: one of harness, cross and fills")
        if unknown := set(self.languages) - set(languages()):
            raise ValueError(f"{self.name}: unknown languages {sorted(unknown)}")
        return self

    @property
    def task(self) -> HarnessTask:
        """Its task of the harness.

        Raises:
            ValueError: it has none.
        """
        if self.harness is None:
            raise ValueError(f"{self.name} is no task of the harness")
        return self.harness

    @property
    def measured_by(self) -> str:
        """How, for people."""
        if self.harness:
            task = f"lm-eval {HARNESS_VERSION}: {self.harness.task}, version {self.harness.version:g}"
            return f"{task}, {self.harness.shots} shots"
        return "cross-lingual consistency, as SeaEval" if self.cross else f"task {self.fills}"

    def with_shots(self, shots: int | None) -> Self:
        """The same set with so many examples before each question; its own number where None."""
        if shots is None or self.harness is None:
            return self
        return self.model_copy(update={"harness": self.harness.model_copy(update={"shots": shots})})

    def code(self, lang: str) -> str:
        """The set's own code for a language."""
        if self.flores_codes:
            return languages()[lang].flores
        return self.codes.get(lang, lang)


class StandardSuite(_Data):
    """A named suite.

    Args:
        name: as recipes have it.
        version: grows when a set, a task or a template changes.
        about: what it is for.
        source: paper.
        sets: in the order of reports.
    """

    name: str
    version: int
    about: str
    source: str
    sets: tuple[StandardSet, ...]

    def get(self, name: str) -> StandardSet:
        """One set.

        Raises:
            KeyError: there is none of that name.
        """
        return {one.name: one for one in self.sets}[name]


@cache
def standard_suite(name: str) -> StandardSuite:
    """A suite by its name, one of `SUITE_NAMES`."""
    from ruamel.yaml import YAML

    text = (Path(__file__).parent / "suites" / f"{name}.yaml").read_text(encoding="utf-8")
    return StandardSuite.model_validate(YAML(typ="safe").load(text))
