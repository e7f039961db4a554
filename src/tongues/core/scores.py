"""What an evaluation measured: the type that evaluation writes and the gate reads.

A measurement's name is ``task/language/metric``, as it also stands in MLflow; language "all"
marks a figure taken over all of them, such as consistency.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

TOGETHER = "all"
Role = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
"""What a model stands for in a comparison; it is part of metric names."""


class Measurement(BaseModel):
    """One number with its sample size and interval.

    Args:
        value: the metric, in its own unit (accuracy 0..1, chrF++ 0..100).
        n: items it was taken over.
        low: lower end of the 95 % interval; None where none is defined.
        high: upper end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    value: float = Field(allow_inf_nan=False)
    n: int = Field(ge=0)
    low: float | None = None
    high: float | None = None


class Scores(BaseModel):
    """All measurements of one model on one suite.

    Args:
        role: "base", "candidate", "champion", or the name of another model of the comparison.
        model: name for people.
        model_sha256: content digest of the weights folder that was measured.
        suite: suite name.
        suite_sha256: digest of the suite's files and of the settings that change results.
        source_lang: language of the source; the others are the taught ones.
        languages: taught languages, as in the recipe.
        measurements: "task/language/metric" to measurement.
        signatures: metric to sacrebleu signature or formula reference.
        unmeasured: set of the suite, or set/language, that could not be loaded, to the reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    role: Role
    model: str
    model_sha256: str
    suite: str
    suite_sha256: str
    source_lang: str
    languages: tuple[str, ...]
    measurements: dict[str, Measurement]
    signatures: dict[str, str] = Field(default_factory=dict)
    unmeasured: dict[str, str] = Field(default_factory=dict)

    def get(self, task: str, lang: str, metric: str) -> Measurement | None:
        """One measurement, or None where it was not taken."""
        return self.measurements.get(f"{task}/{lang}/{metric}")

    def as_role(self, role: str) -> Self:
        """The same numbers seen in another role."""
        return self.model_copy(update={"role": role})
