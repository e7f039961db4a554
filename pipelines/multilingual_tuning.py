"""Multilingual tuning: from an English instruction set to a promoted model."""

from typing import List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from components.assemble.component import assemble
from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.gather.component import gather
from components.generate.component import generate
from components.prepare.component import prepare
from components.promote.component import promote
from components.register.component import register
from components.translate.component import translate


def _light(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Steps that fit on any node; a crash is worth another try, since finished work is found again."""
    return _uncached(task).set_cpu_limit("4").set_memory_limit("8G").set_retry(2, backoff_duration="30s")


def _uncached(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """KFP's cache looks at parameter values only and is blind to what stands behind a URI.

    The stages find finished work by digest themselves, so nothing is done twice without it.
    """
    return task.set_caching_options(False)


@dsl.pipeline(name="translate-languages", description="Translate all languages and shards, side by side.")
def translate_languages(recipe: str, workspace: str, source: str, jobs: List[str]) -> List[str]:  # noqa: UP006
    """Fan out over languages and shards.

    A pipeline of its own, because the list of jobs comes out of a step: a loop directly over a
    step's output cannot be run by KFP's local runner.
    """
    with dsl.ParallelFor(jobs) as job:
        task = translate(recipe=recipe, workspace=workspace, source=source, job=job)
        _light(task)
    return dsl.Collected(task.output)


@dsl.pipeline(
    name="multilingual-tuning",
    description="Translate, assemble, fine-tune, evaluate per language, register, promote if the gate agrees",
)
def multilingual_tuning(recipe: str, workspace: str) -> str:
    """The whole road.

    Args:
        recipe: recipe as an s3:// URI, a path, or the YAML itself.
        workspace: s3:// prefix (or folder) that keeps every output by digest.

    Returns:
        The promoted model, as models:/NAME@champion.
    """
    prepared = _light(prepare(recipe=recipe, workspace=workspace))
    where = {"recipe": recipe, "workspace": workspace}
    source, base = prepared.outputs["source"], prepared.outputs["base"]
    translated = translate_languages(source=source, jobs=prepared.outputs["jobs"], **where)
    store = _light(gather(source=source, translations=translated.output, **where)).outputs["Output"]
    written = _light(generate(store=store, **where)).output
    dataset = _light(assemble(store=store, written=written, **where)).outputs["Output"]
    tuned = _uncached(finetune(dataset=dataset, base=base, **where)).outputs["Output"]
    evaluation = _uncached(evaluate(tuned=tuned, base=base, **where)).outputs["Output"]
    version = _light(register(tuned=tuned, evaluation=evaluation, **where)).output
    decision = _uncached(promote(version=version, evaluation=evaluation, **where))  # a refusal is final
    return decision.outputs["Output"]
