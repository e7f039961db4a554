"""Promote a model: measure a registered version and let the gate decide."""

from typing import Any

from kfp import dsl

from components.evaluate.component import evaluate
from components.placement import Pools, light, uncached
from components.promote.component import promote
from components.report.component import report
from components.serving_step import served_if


def build(pools: Pools) -> Any:
    """The pipeline; see `multilingual_tuning.build`."""

    @dsl.pipeline(
        name="promote-model",
        description=(
            "Measure a registered version, move the alias champion to it if the gate agrees, and serve it "
            "where that is asked for"
        ),
    )
    def promote_model(
        recipe: str, workspace: str, version: str, serve: bool = False, with_runtime: bool = False
    ) -> None:
        """Let the gate decide.

        Args:
            recipe: recipe as an s3:// URI, a path, or the YAML itself; it names the model and the policy.
            workspace: s3:// prefix (or folder) that keeps every output by digest.
            version: number of the version.
            serve: put what was promoted on KServe; leave it off where a follower serves what is promoted.
            with_runtime: with serve, add the ServingRuntime, for a namespace without the chart.
        """
        where = {"recipe": recipe, "workspace": workspace}
        with dsl.ExitHandler(light(report(**where), pools.get("report")), name="road"):
            evaluated = uncached(evaluate(tuned=version, base="", **where), pools.get("evaluate"))
            evaluation = evaluated.outputs["Output"]
            decided = uncached(promote(version=version, evaluation=evaluation, **where), pools.get("promote"))
            served_if(serve, decided.outputs["Output"], with_runtime, where, pools)

    return promote_model
