"""The door for KFP components: plain values in, plain values out, one call per step.

A step's error becomes one line on the log and the process's exit code (3 where the gate refused),
and is left for whoever started the run on this machine.
"""

import functools
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from tongues.core.errors import ProblemsError, TonguesError
from tongues.platform.pipelines import FAILURE_ENV, MARK
from tongues.stages import assemble as assembling
from tongues.stages import evaluate as evaluating
from tongues.stages import gather as gathering
from tongues.stages import generate as generating
from tongues.stages import prepare as preparing
from tongues.stages import register as registering
from tongues.stages import translate as translating
from tongues.stages.fan_out import Job, jobs
from tongues.stages.finetune_nodes import finetune_where_it_belongs
from tongues.stages.given import Given, model_recipes, read_recipe
from tongues.stages.model_reference import open_model
from tongues.stages.preflight import preflight
from tongues.stages.translation_report import HTML_NAME
from tongues.stages.workspace import Workspace

P = ParamSpec("P")
R = TypeVar("R")


def say(line: str) -> None:
    """Print a line that the run's owner will see among KFP's own."""
    print(MARK + line, flush=True)


def step(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a `TonguesError` into a line, a failure file and an exit code; a bug into a failure file."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TonguesError as error:
            say(f"error: {error.line()}")
            _leave(error)
            sys.exit(error.exit_code)
        except Exception as error:
            _leave(TonguesError(f"{type(error).__name__}: {error}", where=f"step {function.__name__}"))
            raise

    return run


def _leave(error: TonguesError) -> None:
    if path := os.environ.get(FAILURE_ENV):
        problems = list(error.problems) if isinstance(error, ProblemsError) else []
        failure = {"what": error.what, "where": error.where, "fix": error.fix, "problems": problems}
        Path(path).write_text(json.dumps(failure | {"exit_code": error.exit_code}), encoding="utf-8")


def _open(recipe: str, workspace: str) -> tuple[Given, Workspace]:
    return read_recipe(recipe), Workspace(workspace, say=say)


@step
def prepare(recipe: str, workspace: str) -> dict[str, Any]:
    """Preflight, source rows, base model; returns source, base, the jobs of translation, and the recipes of
    the models."""
    given, place = _open(recipe, workspace)
    preflight(given, place)
    source, base = preparing.prepare(given, place), preparing.fetch_base_model(given, place)
    models = model_recipes(given, place.uri)
    return {
        "source": source.uri,
        "base": base.uri,
        "jobs": list(map(str, jobs(given.recipe))),
        "models": models,
    }


@step
def translate(recipe: str, workspace: str, source: str, job: str) -> str:
    """One language's shard, as "es 2/4"; returns the URI of the translated rows."""
    given, place = _open(recipe, workspace)
    return translating.translate(given, place, place.open(source), Job.parse(job)).uri


@step
def gather(recipe: str, workspace: str, source: str, translations: list[str], *, report_path: str) -> str:
    """All languages together; returns the URI of the aligned store and copies the translation report."""
    given, place = _open(recipe, workspace)
    output = gathering.gather(given, place, place.open(source), [place.open(t) for t in translations])
    shutil.copyfile(output.folder / HTML_NAME, report_path)
    return output.uri


@step
def generate(recipe: str, workspace: str, store: str) -> str:
    """What a chat model writes; returns the URI of the records, empty where the recipe has none."""
    given, place = _open(recipe, workspace)
    output = generating.generate(given, place, place.open(store))
    return output.uri if output else ""


@step
def assemble(recipe: str, workspace: str, store: str, written: str, *, card_path: str) -> str:
    """Training data; returns its URI and writes its card."""
    given, place = _open(recipe, workspace)
    output = assembling.assemble(given, place, place.open(store), place.open(written) if written else None)
    shutil.copyfile(output.folder / assembling.CARD_NAME, card_path)
    return output.uri


@step
def finetune(recipe: str, workspace: str, dataset: str, base: str) -> tuple[str, dict[str, Any]]:
    """Adapter and merged weights; returns their URI and facts."""
    given, place = _open(recipe, workspace)
    output = finetune_where_it_belongs(given, place, place.open(dataset), place.open(base))
    return output.uri, {**output.manifest.facts, "digest": output.manifest.digest()}


@step
def evaluate(
    recipe: str,
    workspace: str,
    tuned: str,
    base: str,
    *,
    report_path: str,
    summary_path: str,
    log_metric: Callable[[str, float], None],
) -> str:
    """Scores and report; returns their URI, copies report and summary, logs the candidate's measurements."""
    given, place = _open(recipe, workspace)
    base_model = place.open(base) if base else preparing.fetch_base_model(given, place)
    evaluation = evaluating.evaluate(given, place, open_model(given, place, tuned), base_model)
    shutil.copyfile(evaluation.report, report_path)
    shutil.copyfile(evaluation.output.folder / evaluating.SUMMARY_NAME, summary_path)
    for name, measurement in evaluation.candidate.measurements.items():
        log_metric(name, measurement.value)
    return evaluation.output.uri


@step
def register(recipe: str, workspace: str, tuned: str, evaluation: str) -> str:
    """The run in MLflow; returns the version of the registered model."""
    given, place = _open(recipe, workspace)
    return str(registering.register(given, place, place.open(tuned), place.open(evaluation)).version)


@step
def promote(recipe: str, workspace: str, version: str, evaluation: str, *, decision_path: str) -> str:
    """The gate; returns models:/NAME@champion and writes the decision, also when it refuses."""
    given, place = _open(recipe, workspace)
    compared = place.open(evaluation)
    said = registering.decision(given, place, open_model(given, place, version), compared)
    Path(decision_path).write_text(said.to_markdown(), encoding="utf-8")
    promotion = registering.promote(given, place, int(version), compared, said)
    say(promotion.sentence)
    return f"models:/{promotion.model}@champion"
