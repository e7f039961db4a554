"""Promote a model: measure a registered version and let the gate decide."""

from typing import Any

from kfp import dsl

from components.evaluate.component import evaluate
from components.placement import Pools, uncached
from components.promote.component import promote


def build(pools: Pools) -> Any:
    """The pipeline; see `multilingual_tuning.build`."""

    @dsl.pipeline(
        name="promote-model",
        description="Measure a registered version, and move the alias champion to it if the gate agrees",
    )
    def promote_model(recipe: str, workspace: str, version: str) -> str:
        """Let the gate decide.

        Args:
            recipe: recipe as an s3:// URI, a path, or the YAML itself; it names the model and the policy.
            workspace: s3:// prefix (or folder) that keeps every output by digest.
            version: number of the version.

        Returns:
            The promoted model, as models:/NAME@champion.
        """
        where = {"recipe": recipe, "workspace": workspace}
        evaluated = uncached(evaluate(tuned=version, base="", **where), pools.get("evaluate"))
        evaluation = evaluated.outputs["Output"]
        decision = uncached(promote(version=version, evaluation=evaluation, **where), pools.get("promote"))
        return decision.outputs["Output"]

    return promote_model
