"""Multilingual tuning: from an English instruction set to a promoted model."""

from collections.abc import Mapping
from typing import List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from components.assemble.component import assemble
from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.gather.component import gather
from components.generate.component import generate
from components.placement import place
from components.prepare.component import prepare
from components.promote.component import promote
from components.register.component import register
from components.translate.component import translate
from tongues.core.recipe import NodePoolSection, StepName

Pools = Mapping[StepName, NodePoolSection]


def _light(task: dsl.PipelineTask, pool: NodePoolSection | None = None) -> dsl.PipelineTask:
    """Steps that fit on any node; a crash is worth another try, since finished work is found again."""
    task.set_cpu_limit("4").set_memory_limit("8G").set_retry(2, backoff_duration="30s")
    return _uncached(task, pool)


def _uncached(task: dsl.PipelineTask, pool: NodePoolSection | None = None) -> dsl.PipelineTask:
    """KFP's cache looks at parameter values only and is blind to what stands behind a URI.

    The stages find finished work by digest themselves, so nothing is done twice without it.
    """
    return place(task.set_caching_options(False), pool)


def _translation(pools: Pools) -> dsl.base_component.BaseComponent:
    @dsl.pipeline(name="translate-languages", description="Translate all languages and shards, side by side.")
    def translate_languages(recipe: str, workspace: str, source: str, jobs: List[str]) -> List[str]:  # noqa: UP006
        """Fan out over languages and shards.

        A pipeline of its own, because the list of jobs comes out of a step: a loop directly over a
        step's output cannot be run by KFP's local runner.
        """
        with dsl.ParallelFor(jobs) as job:
            task = translate(recipe=recipe, workspace=workspace, source=source, job=job)
            _light(task, pools.get("translate"))
        return dsl.Collected(task.output)

    return translate_languages


def build(pools: Pools) -> dsl.base_component.BaseComponent:
    """The pipeline.

    Args:
        pools: step to the nodes it runs on; nodes are fixed when a pipeline is compiled, since KFP cannot
            take them from a run's parameters.
    """
    translate_languages = _translation(pools)

    @dsl.pipeline(
        name="multilingual-tuning",
        description=(
            "Translate, assemble, fine-tune, evaluate per language, register, promote if the gate agrees"
        ),
    )
    def multilingual_tuning(recipe: str, workspace: str) -> str:
        """The whole road.

        Args:
            recipe: recipe as an s3:// URI, a path, or the YAML itself.
            workspace: s3:// prefix (or folder) that keeps every output by digest.

        Returns:
            The promoted model, as models:/NAME@champion.
        """
        where = {"recipe": recipe, "workspace": workspace}
        prepared = _light(prepare(**where), pools.get("prepare"))
        source, base = prepared.outputs["source"], prepared.outputs["base"]
        translated = translate_languages(source=source, jobs=prepared.outputs["jobs"], **where)
        gathered = _light(gather(source=source, translations=translated.output, **where), pools.get("gather"))
        store = gathered.outputs["Output"]
        written = _light(generate(store=store, **where), pools.get("generate")).output
        assembled = _light(assemble(store=store, written=written, **where), pools.get("assemble"))
        dataset = assembled.outputs["Output"]
        finetuned = _uncached(finetune(dataset=dataset, base=base, **where), pools.get("finetune"))
        tuned = finetuned.outputs["Output"]
        evaluated = _uncached(evaluate(tuned=tuned, base=base, **where), pools.get("evaluate"))
        evaluation = evaluated.outputs["Output"]
        version = _light(register(tuned=tuned, evaluation=evaluation, **where), pools.get("register")).output
        # A refusal is final, so the gate is not asked again.
        decision = _uncached(promote(version=version, evaluation=evaluation, **where), pools.get("promote"))
        return decision.outputs["Output"]

    return multilingual_tuning


multilingual_tuning = build({})
