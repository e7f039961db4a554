"""Promote a model: measure a registered version and let the gate decide."""

from typing import Any

from kfp import dsl

from components.evaluate.component import evaluate
from components.placement import Pools, light, uncached
from components.promote.component import promote
from components.report.component import report


def build(pools: Pools) -> Any:
    """The pipeline; see `multilingual_tuning.build`."""

    @dsl.pipeline(
        name="promote-model",
        description="Measure a registered version, and move the alias champion to it if the gate agrees",
    )
    def promote_model(recipe: str, workspace: str, version: str) -> None:
        """Let the gate decide.

        Args:
            recipe: recipe as an s3:// URI, a path, or the YAML itself; it names the model and the policy.
            workspace: s3:// prefix (or folder) that keeps every output by digest.
            version: number of the version.
        """
        where = {"recipe": recipe, "workspace": workspace}
        with dsl.ExitHandler(light(report(**where), pools.get("report")), name="road"):
            evaluated = uncached(evaluate(tuned=version, base="", **where), pools.get("evaluate"))
            evaluation = evaluated.outputs["Output"]
            uncached(promote(version=version, evaluation=evaluation, **where), pools.get("promote"))

    return promote_model
