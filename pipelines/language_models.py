"""Language models: a recipe with a model for each language, all of them side by side."""

from typing import Any, List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from components.placement import Pools, light
from components.prepare.component import prepare
from components.report.component import report
from pipelines.multilingual_tuning import road


def build(pools: Pools) -> Any:
    """The pipeline; every language goes the road of `multilingual_tuning`.

    Args:
        pools: step to the nodes it runs on.
    """
    whole_road = road(pools)

    @dsl.pipeline(name="one-language", description="The whole road of one language.")
    def one_language(recipe: str, workspace: str) -> str:
        """The road as a pipeline of its own, so that a loop can go it for each language."""
        return whole_road(recipe, workspace)

    @dsl.pipeline(name="each-language", description="The whole road of every language, side by side.")
    def each_language(models: List[str], workspace: str) -> None:  # noqa: UP006
        """Fan out over languages; one that the gate refuses holds back no other."""
        with dsl.ParallelFor(models) as recipe:
            one_language(recipe=recipe, workspace=workspace)

    @dsl.pipeline(
        name="language-models",
        description="A model for each language: translate, assemble, fine-tune, evaluate, register, promote",
    )
    def language_models(recipe: str, workspace: str) -> None:
        """Prepare once, then all languages.

        Args:
            recipe: recipe with models: per-language, as an s3:// URI, a path, or the YAML itself.
            workspace: s3:// prefix (or folder) that keeps every output by digest.
        """
        over = light(report(recipe=recipe, workspace=workspace), pools.get("report"))
        with dsl.ExitHandler(over, name="road"):
            prepared = light(prepare(recipe=recipe, workspace=workspace), pools.get("prepare"))
            each_language(models=prepared.outputs["models"], workspace=workspace)

    return language_models
