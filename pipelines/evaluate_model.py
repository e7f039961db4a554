"""Evaluate a model: a registered version against the base model and the champion, today."""

from typing import Any

from kfp import dsl

from components.evaluate.component import evaluate
from components.placement import Pools, light, uncached
from components.report.component import report


def build(pools: Pools) -> Any:
    """The pipeline; see `multilingual_tuning.build`."""

    @dsl.pipeline(
        name="evaluate-model",
        description="Measure a registered model per language; schedule it to see whether it still holds",
    )
    def evaluate_model(recipe: str, workspace: str, model: str) -> None:
        """Measure again.

        Args:
            recipe: recipe as an s3:// URI, a path, or the YAML itself; its suite is what is asked.
            workspace: s3:// prefix (or folder) that keeps every output by digest.
            model: models:/NAME@ALIAS, models:/NAME/VERSION, or the URI of a tuned model.
        """
        where = {"recipe": recipe, "workspace": workspace}
        with dsl.ExitHandler(light(report(**where), pools.get("report")), name="road"):
            uncached(evaluate(tuned=model, base="", **where), pools.get("evaluate"))

    return evaluate_model
