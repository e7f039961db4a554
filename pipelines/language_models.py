"""Language models: a recipe with a model for each language, all of them side by side."""

from typing import Any, List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from components.placement import Pools, light
from components.prepare.component import prepare
from pipelines import multilingual_tuning


def build(pools: Pools) -> Any:
    """The pipeline; see `multilingual_tuning.build`, which each language goes through."""
    whole_road = multilingual_tuning.build(pools)

    @dsl.pipeline(name="each-language", description="The whole road of every language, side by side.")
    def each_language(models: List[str], workspace: str) -> List[str]:  # noqa: UP006
        """Fan out over languages; one that the gate refuses holds back no other."""
        with dsl.ParallelFor(models) as recipe:
            promoted = whole_road(recipe=recipe, workspace=workspace)
        return dsl.Collected(promoted.output)

    @dsl.pipeline(
        name="language-models",
        description="A model for each language: translate, assemble, fine-tune, evaluate, register, promote",
    )
    def language_models(recipe: str, workspace: str) -> List[str]:  # noqa: UP006
        """Prepare once, then all languages.

        Args:
            recipe: recipe with models: per-language, as an s3:// URI, a path, or the YAML itself.
            workspace: s3:// prefix (or folder) that keeps every output by digest.

        Returns:
            The promoted models, as models:/NAME-LANGUAGE@champion.
        """
        prepared = light(prepare(recipe=recipe, workspace=workspace), pools.get("prepare"))
        return each_language(models=prepared.outputs["models"], workspace=workspace).output

    return language_models
