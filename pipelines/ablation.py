"""Ablation: methods side by side, on the same base, the same suite and the same number of tokens."""

from typing import Any, List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from components.compare.component import compare
from components.data_steps import data_steps
from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.placement import Pools, light, resumed, uncached
from components.report.component import report
from components.vary.component import vary


def build(pools: Pools) -> Any:
    """The pipeline; see `multilingual_tuning.build`."""
    measure_variants = _variants(pools)

    @dsl.pipeline(
        name="ablation",
        description="Train and measure every variant of a recipe, and put them side by side; promote none",
    )
    def ablation(recipe: str, workspace: str) -> None:
        """Methods side by side.

        Args:
            recipe: recipe as an s3:// URI, a path, or the YAML itself; it has an ablation.
            workspace: s3:// prefix (or folder) that keeps every output by digest.
        """
        where = {"recipe": recipe, "workspace": workspace}
        with dsl.ExitHandler(light(report(**where), pools.get("report")), name="road"):
            variants = light(vary(**where), pools.get("vary"))
            measured = measure_variants(recipes=variants.output, workspace=workspace)
            light(compare(evaluations=measured.output, **where), pools.get("compare"))

    return ablation


def _variants(pools: Pools) -> Any:
    make_data = data_steps(pools)

    @dsl.pipeline(name="measure-variants", description="Each variant from data to measures, one by one.")
    def measure_variants(recipes: List[str], workspace: str) -> List[str]:  # noqa: UP006
        """One variant after another, so that what they share is done and paid for once."""
        with dsl.ParallelFor(recipes, parallelism=1) as recipe:
            where = {"recipe": recipe, "workspace": workspace}
            data = make_data(**where)
            tuned = resumed(finetune(dataset=data.dataset, base=data.base, **where), pools.get("finetune"))
            told = {"tuned": tuned.outputs["Output"], "base": data.base}
            evaluated = uncached(evaluate(**told, **where), pools.get("evaluate"))
        return dsl.Collected(evaluated.outputs["Output"])

    return measure_variants
