"""Evaluate a model: a registered version against the base model and the champion, today."""

from typing import Any

from kfp import dsl

from components.evaluate.component import evaluate
from components.placement import Pools, uncached


def build(pools: Pools) -> Any:
    """The pipeline; see `multilingual_tuning.build`."""

    @dsl.pipeline(
        name="evaluate-model",
        description="Measure a registered model per language; schedule it to see whether it still holds",
    )
    def evaluate_model(recipe: str, workspace: str, model: str) -> str:
        """Measure again.

        Args:
            recipe: recipe as an s3:// URI, a path, or the YAML itself; its suite is what is asked.
            workspace: s3:// prefix (or folder) that keeps every output by digest.
            model: models:/NAME@ALIAS, models:/NAME/VERSION, or the URI of a tuned model.

        Returns:
            URI of the evaluation.
        """
        task = evaluate(recipe=recipe, workspace=workspace, tuned=model, base="")
        return uncached(task, pools.get("evaluate")).outputs["Output"]

    return evaluate_model
