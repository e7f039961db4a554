"""The steps that every pipeline that makes data has in common: from the recipe to the dataset."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from components.assemble.component import assemble
from components.gather.component import gather
from components.generate.component import generate
from components.placement import Pools, light
from components.prepare.component import prepare
from components.translate.component import translate


@dataclass(frozen=True)
class DataSteps:
    """Outputs of the steps, as KFP channels.

    Args:
        base: URI of the base model.
        store: URI of the aligned store.
        dataset: URI of the training data.
    """

    base: Any
    store: Any
    dataset: Any


def data_steps(pools: Pools) -> Callable[..., DataSteps]:
    """What puts the steps into the pipeline whose body calls it with recipe and workspace.

    Args:
        pools: step to the nodes it runs on.
    """
    translate_languages = _translation(pools)

    def steps(recipe: Any, workspace: Any) -> DataSteps:
        where = {"recipe": recipe, "workspace": workspace}
        prepared = light(prepare(**where), pools.get("prepare"))
        source, jobs = prepared.outputs["source"], prepared.outputs["jobs"]
        translated = translate_languages(source=source, jobs=jobs, **where)
        gathered = light(gather(source=source, translations=translated.output, **where), pools.get("gather"))
        store = gathered.outputs["Output"]
        written = light(generate(store=store, **where), pools.get("generate")).output
        assembled = light(assemble(store=store, written=written, **where), pools.get("assemble"))
        return DataSteps(prepared.outputs["base"], store, assembled.outputs["Output"])

    return steps


def _translation(pools: Pools) -> Callable[..., Any]:
    @dsl.pipeline(name="translate-languages", description="Translate all languages and shards, side by side.")
    def translate_languages(recipe: str, workspace: str, source: str, jobs: List[str]) -> List[str]:  # noqa: UP006
        """Fan out over languages and shards.

        A pipeline of its own, because the list of jobs comes out of a step: a loop directly over a
        step's output cannot be run by KFP's local runner.
        """
        with dsl.ParallelFor(jobs) as job:
            task = translate(recipe=recipe, workspace=workspace, source=source, job=job)
            light(task, pools.get("translate"))
        return dsl.Collected(task.outputs["Output"])

    return translate_languages
