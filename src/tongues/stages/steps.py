"""The door for KFP components: plain values in, plain values out, one call per step."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tongues.core.errors import GateRefusedError, PreflightError
from tongues.core.log_lines import run_id
from tongues.core.meters import METER
from tongues.core.recipe_file import dump_recipe
from tongues.platform.kubernetes_api import namespace_here
from tongues.stages import assemble as assembling
from tongues.stages import evaluate as evaluating
from tongues.stages import finetune as tuning
from tongues.stages import gather as gathering
from tongues.stages import generate as generating
from tongues.stages import kserve as serving
from tongues.stages import prepare as preparing
from tongues.stages import register as registering
from tongues.stages import run_journal
from tongues.stages import translate as translating
from tongues.stages.ablate import TABLE_NAME, ablate
from tongues.stages.fan_out import Job, jobs
from tongues.stages.finetune_nodes import finetune_where_it_belongs, free_nodes
from tongues.stages.given import Given, model_recipes, read_recipe
from tongues.stages.model_reference import open_model
from tongues.stages.preflight import preflight
from tongues.stages.step_run import say, step
from tongues.stages.translation_report import HTML_NAME
from tongues.stages.workspace import Output, Workspace

LogMetric = Callable[[str, float], None]
"""Shows a figure beside the step."""


class Artefact(Protocol):
    """What a pipeline step shows of a finished folder: where it stands and what it is."""

    uri: str
    metadata: dict[str, Any]


def _show(artefact: Artefact, output: Output, **facts: Any) -> None:
    artefact.uri = output.uri
    artefact.metadata = {"digest": output.manifest.digest(), "rows": output.manifest.rows_out} | facts


def _open(recipe: str, workspace: str) -> tuple[Given, Workspace]:
    given = read_recipe(recipe)
    METER.common |= {"model": given.recipe.registry.model}
    return given, Workspace(workspace, say=say)


@step
def prepare(recipe: str, workspace: str, *, source_rows: Artefact) -> dict[str, Any]:
    """Preflight, source rows, base model; returns source, base, the jobs of translation, and the recipes of
    the models."""
    given, place = _open(recipe, workspace)
    preflight(given, place)
    source, base = preparing.prepare(given, place), preparing.fetch_base_model(given, place)
    _show(source_rows, source)
    return {
        "source": source.uri,
        "base": base.uri,
        "jobs": list(map(str, jobs(given.recipe))),
        "models": model_recipes(given, place.uri),
    }


@step
def translate(recipe: str, workspace: str, source: str, job: str, *, log_metric: LogMetric) -> str:
    """One language's shard, as "es 2/4"; returns the URI of the translated rows, logs what it took."""
    given, place = _open(recipe, workspace)
    output = translating.translate(given, place, place.open(source), Job.parse(job))
    for name, value in translating.figures(output).items():
        log_metric(name, value)
    return output.uri


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
def assemble(
    recipe: str, workspace: str, store: str, written: str, *, card_path: str, dataset: Artefact
) -> str:
    """Training data; returns its URI, shows it and writes its card."""
    given, place = _open(recipe, workspace)
    output = assembling.assemble(given, place, place.open(store), place.open(written) if written else None)
    shutil.copyfile(output.folder / assembling.CARD_NAME, card_path)
    _show(dataset, output, licence=output.manifest.facts["licence"])
    return output.uri


@step
def finetune(
    recipe: str, workspace: str, dataset: str, base: str, *, model: Artefact, log_metric: LogMetric
) -> str:
    """Adapter and merged weights; returns their URI and shows them, logs losses and speed."""
    given, place = _open(recipe, workspace)
    output = finetune_where_it_belongs(given, place, place.open(dataset), place.open(base))
    for name, value in tuning.figures(output).items():
        log_metric(name, value)
    _show(model, output, **output.manifest.facts)
    return output.uri


@step
def evaluate(
    recipe: str,
    workspace: str,
    tuned: str,
    base: str,
    *,
    report_path: str,
    summary_path: str,
    log_metric: LogMetric,
) -> str:
    """Scores and report; returns their URI, copies the pages, logs the tuned model's measurements."""
    given, place = _open(recipe, workspace)
    base_model = place.open(base) if base else preparing.fetch_base_model(given, place)
    evaluation = evaluating.evaluate(given, place, open_model(given, place, tuned), base_model)
    shutil.copyfile(evaluation.report, report_path)
    shutil.copyfile(evaluation.output.folder / evaluating.SUMMARY_NAME, summary_path)
    for name, measurement in evaluation.candidate.measurements.items():
        log_metric(name, measurement.value)
    return evaluation.output.uri


@step
def register(recipe: str, workspace: str, tuned: str, evaluation: str, *, registered: Artefact) -> str:
    """The run in MLflow; returns the version of the registered model and shows it."""
    given, place = _open(recipe, workspace)
    model = place.open(tuned)
    done = registering.register(given, place, model, place.open(evaluation))
    _show(registered, model, version=f"models:/{done.model}/{done.version}", mlflow_run=done.run_id)
    return str(done.version)


@step
def promote(recipe: str, workspace: str, version: str, evaluation: str, *, decision_path: str) -> str:
    """The gate; returns models:/NAME@champion and writes the decision, also when it refuses."""
    given, place = _open(recipe, workspace)
    compared = place.open(evaluation)
    said = registering.decision(given, place, open_model(given, place, version), compared)
    Path(decision_path).write_text(said.to_markdown(), encoding="utf-8")
    try:
        promotion = registering.promote(given, place, int(version), compared, said)
    except GateRefusedError:
        METER.set("tongues_gate_decision", 0)
        raise
    METER.set("tongues_gate_decision", 1)
    say(promotion.sentence)
    return f"models:/{promotion.model}@champion"


@step
def serve(recipe: str, workspace: str, model: str, with_runtime: bool, *, state_path: str) -> str:
    """The version on KServe, in the namespace of the run; returns where it answers and writes its state."""
    given, place = _open(recipe, workspace)
    made, ready = serving.serve_what_stands(
        place,
        model,
        namespace=namespace_here(),
        with_runtime=with_runtime,
        registry=given.recipe.registry,
    )
    Path(state_path).write_text(serving.state_page(made, ready), encoding="utf-8")
    version = made.registered.version
    say(f"serve: {version.model} version {version.version} is ready at {ready.url}")
    return ready.url


@step
def vary(recipe: str, workspace: str) -> list[str]:
    """The recipes of an ablation's variants, the baseline first; each is a recipe for the other steps."""
    given, place = _open(recipe, workspace)
    if not given.recipe.ablation:
        fix = "name variants under `ablation`, as recipes/ablation.yaml does"
        raise PreflightError(["ablation: no variants to compare"], where=given.origin, fix=fix)
    names = [given.recipe.baseline, *(one.name for one in given.recipe.ablation)]
    variants = [given.part(name) for name in names]
    for variant in variants:
        preflight(variant, place)
    written = given.origin == "inline"
    return [dump_recipe(one.recipe) if written else one.origin for one in variants]


@step
def compare(recipe: str, workspace: str, evaluations: list[str], *, table_path: str) -> str:
    """The table of an ablation, from what its variants have finished; returns its URI."""
    given, place = _open(recipe, workspace)
    for evaluation in evaluations:
        place.open(evaluation)
    output = ablate(given, place).output
    shutil.copyfile(output.folder / TABLE_NAME, table_path)
    return output.uri


@step
def report(recipe: str, workspace: str, state: str, message: str, *, report_path: str) -> None:
    """What became of the run: gathers the lines that its steps left, writes the report, frees its nodes."""
    given, place = _open(recipe, workspace)
    done = run_journal.close(place.uri, run_id() or "local", state, message)
    Path(report_path).write_text(done.to_markdown(), encoding="utf-8")
    bad = [f"{entry.step} {entry.job}".strip() for entry in done.entries if entry.outcome != "succeeded"]
    say(
        f"report: {done.state.lower()}, {len(done.entries)} steps"
        + (f", not done: {', '.join(bad)}" if bad else "")
    )
    free_nodes(given.recipe, say)
