"""Multilingual tuning: from an English instruction set to a promoted model."""

from typing import Any

from kfp import dsl

from components.data_steps import data_steps
from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.placement import Pools, light, resumed, uncached
from components.promote.component import promote
from components.register.component import register
from components.report.component import report


def build(pools: Pools) -> Any:
    """The pipeline.

    Args:
        pools: step to the nodes it runs on; nodes are fixed when a pipeline is compiled, since KFP cannot
            take them from a run's parameters.
    """
    make_data = data_steps(pools)

    @dsl.pipeline(
        name="multilingual-tuning",
        description=(
            "Translate, assemble, fine-tune, evaluate per language, register, promote if the gate agrees"
        ),
    )
    def multilingual_tuning(recipe: str, workspace: str) -> None:
        """The whole road.

        Args:
            recipe: recipe as an s3:// URI, a path, or the YAML itself.
            workspace: s3:// prefix (or folder) that keeps every output by digest.
        """
        where = {"recipe": recipe, "workspace": workspace}
        over = light(report(**where), pools.get("report"))
        with dsl.ExitHandler(over, name="road"):
            data = make_data(**where)
            finetuned = resumed(
                finetune(dataset=data.dataset, base=data.base, **where), pools.get("finetune")
            )
            tuned = finetuned.outputs["Output"]
            evaluated = uncached(evaluate(tuned=tuned, base=data.base, **where), pools.get("evaluate"))
            evaluation = evaluated.outputs["Output"]
            registered = light(register(tuned=tuned, evaluation=evaluation, **where), pools.get("register"))
            version = registered.outputs["Output"]
            # A refusal is final, so the gate is not asked again.
            uncached(promote(version=version, evaluation=evaluation, **where), pools.get("promote"))

    return multilingual_tuning
