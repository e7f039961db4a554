"""The last step of pipelines that promote: serve the promoted version, where the run's owner asks for it."""

from collections.abc import Mapping
from typing import Any

from kfp import dsl

from components.placement import Pools, light
from components.serve.component import serve


def served_if(asked: Any, model: Any, with_runtime: Any, where: Mapping[str, Any], pools: Pools) -> None:
    """Put the step into the pipeline whose body calls this, behind a condition.

    Args:
        asked: the pipeline's parameter that says whether.
        model: what the gate promoted.
        with_runtime: whether the ServingRuntime is added.
        where: recipe and workspace.
        pools: step to the nodes it runs on.
    """
    with dsl.If(asked == True, name="serve-what-was-promoted"):  # noqa: E712 - KFP builds a condition of it
        light(serve(model=model, with_runtime=with_runtime, **where), pools.get("serve"))
