"""Multilingual tuning: from an English instruction set to a promoted model."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.data_steps import data_steps
from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.placement import Pools, light, resumed, uncached
from components.promote.component import promote
from components.register.component import register
from components.report.component import report
from components.serving_step import served_if


def build(pools: Pools) -> Any:
    """The pipeline.

    Args:
        pools: step to the nodes it runs on; nodes are fixed when a pipeline is compiled, since KFP cannot
            take them from a run's parameters.
    """
    whole_road = road(pools)

    @dsl.pipeline(
        name="multilingual-tuning",
        description=(
            "Translate, assemble, fine-tune, evaluate per language, register, promote if the gate agrees, "
            "and serve what was promoted where that is asked for"
        ),
    )
    def multilingual_tuning(
        recipe: str, workspace: str, serve: bool = False, with_runtime: bool = False
    ) -> None:
        """The whole road.

        Args:
            recipe: recipe as an s3:// URI, a path, or the YAML itself.
            workspace: s3:// prefix (or folder) that keeps every output by digest.
            serve: put what was promoted on KServe; leave it off where a follower serves what is promoted.
            with_runtime: with serve, add the ServingRuntime, for a namespace without the chart.
        """
        over = light(report(recipe=recipe, workspace=workspace), pools.get("report"))
        with dsl.ExitHandler(over, name="road"):
            promoted = whole_road(recipe, workspace)
            where = {"recipe": recipe, "workspace": workspace}
            served_if(serve, promoted, with_runtime, where, pools)

    return multilingual_tuning


def road(pools: Pools) -> Callable[[Any, Any], Any]:
    """What puts all steps into the pipeline whose body calls it, and returns the promoted model.

    Args:
        pools: step to the nodes it runs on.
    """
    make_data = data_steps(pools)

    def steps(recipe: Any, workspace: Any) -> Any:
        where = {"recipe": recipe, "workspace": workspace}
        data = make_data(**where)
        finetuned = resumed(finetune(dataset=data.dataset, base=data.base, **where), pools.get("finetune"))
        tuned = finetuned.outputs["Output"]
        evaluated = uncached(evaluate(tuned=tuned, base=data.base, **where), pools.get("evaluate"))
        evaluation = evaluated.outputs["Output"]
        registered = light(register(tuned=tuned, evaluation=evaluation, **where), pools.get("register"))
        version = registered.outputs["Output"]
        # A refusal is final, so the gate is not asked again.
        decision = uncached(promote(version=version, evaluation=evaluation, **where), pools.get("promote"))
        return decision.outputs["Output"]

    return steps
