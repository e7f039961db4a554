"""A comparison of models: the type that evaluation writes, the gate reads and `comparison.json` holds.

The JSON Schema in docs/reference is generated from these types.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tongues.core.scores import Measurement, Scores

COMPARISON_NAME = "comparison.json"
CONFIDENCES = (0.5, 0.8, 0.9, 0.95, 0.975, 0.99)
"""One-sided confidences that differences have bounds for; 0.5 is the measured value itself."""

Verdict = Literal["worse", "better", "unclear"]


class Difference(BaseModel):
    """What became of one measure in one language, paired over the same items.

    Args:
        task: such as "choices".
        lang: BCP-47 code.
        metric: such as "accuracy".
        before: value of the model compared with, in the metric's own unit (accuracy 0..1, chrF++ 0..100).
        after: value of the candidate.
        change: after minus before, with n and a two-sided 95 % interval; without one where nothing is paired.
        better: 1 where more is better, -1 where less is.
        interval: "score" (right or wrong, Tango 1998), "bootstrap" (paired, percentile), or "none".
        gain_at_least: one-sided confidence, such as "0.95", to the least gain; a gain is the change times
            `better`, so a loss is negative. Empty where the items are too few, or not the same.
        p: two-sided p of no change, paired.
        p_holm: the same, corrected by Holm's procedure for all languages of the measure.
        verdict: "better" or "worse" where the interval lies on one side of zero.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    task: str
    lang: str
    metric: str
    before: float = Field(allow_inf_nan=False)
    after: float = Field(allow_inf_nan=False)
    change: Measurement
    better: Literal[1, -1]
    interval: Literal["score", "bootstrap", "none"]
    gain_at_least: dict[str, float] = Field(default_factory=dict)
    p: float | None = None
    p_holm: float | None = None
    verdict: Verdict

    @property
    def name(self) -> str:
        """``task/language/metric``, as in scores and MLflow."""
        return f"{self.task}/{self.lang}/{self.metric}"


class Exposure(BaseModel):
    """How much of one evaluation set the training data holds, in one language.

    Args:
        task: the evaluation set.
        lang: BCP-47 code.
        items: items of the set in that language.
        direct: items whose own wording shares a run with a training record of the same language.
        translated: further items that are met so in another language only.
        examples: ids of the first items met, at most five.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    task: str
    lang: str
    items: int = Field(ge=0)
    direct: int = Field(ge=0)
    translated: int = Field(ge=0)
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Share of the items that are met in any language, 0..1."""
        return (self.direct + self.translated) / self.items if self.items else 0.0


class Contamination(BaseModel):
    """Overlap of the candidate's training data with the evaluation sets.

    Args:
        dataset_sha256: content digest of the training data that was searched.
        records: training records searched.
        rule: what counts as overlap, in words.
        exposures: one per evaluation set and language.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    dataset_sha256: str
    records: int = Field(ge=0)
    rule: str
    exposures: tuple[Exposure, ...]


class Comparison(BaseModel):
    """Everything that was measured and compared, as `comparison.json` holds it.

    Args:
        schema_version: raised when a field changes its meaning.
        recipe: name of the recipe.
        models: scores of every model, in the order base, others, champion, candidate.
        against: role to the candidate's differences to it, clear losses first.
        contamination: None where the candidate's training data is not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1
    recipe: str
    models: tuple[Scores, ...]
    against: dict[str, tuple[Difference, ...]]
    contamination: Contamination | None = None
