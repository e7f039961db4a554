"""`tongues submit`: start a recipe's run on Kubeflow Pipelines."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import kubeflow, terminal

if TYPE_CHECKING:
    from tongues.stages.given import Given
    from tongues.stages.remote_submit import Recurring, Submission

_PIPELINES = {"one": "multilingual_tuning", "per-language": "language_models"}


def submit(
    recipe: Annotated[str, terminal.Recipe],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    host: kubeflow.Host = None,
    namespace: kubeflow.Namespace = "",
    token_file: kubeflow.TokenFile = None,
    user: kubeflow.User = "",
    experiment: Annotated[
        str, typer.Option(envvar="KF_PIPELINES_DEFAULT_EXPERIMENT_NAME", help="Experiment to list it under.")
    ] = "tongues",
    run_name: Annotated[
        str, typer.Option(help="Beginning of the run's name; the recipe's name when absent.")
    ] = "",
    service_account: Annotated[
        str, typer.Option(help="Service account of the pods; the server's default when absent.")
    ] = "",
    pipeline: Annotated[
        str,
        typer.Option(
            help="A shipped pipeline, such as evaluate_model, or a compiled file; by the recipe if absent."
        ),
    ] = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Further parameter of the pipeline; may be repeated."
        ),
    ] = None,
    every: Annotated[
        str,
        typer.Option(help="Run it again and again: 6h, 1d, 2w, or a cron line of six fields, in UTC."),
    ] = "",
    upload: Annotated[
        bool, typer.Option("--upload", help="Put the recipe and its files into the workspace first.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Start another run even if the same one is there.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Watch it until it ends.")] = False,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Start a recipe's run on Kubeflow Pipelines, unless the same one is there already.

    The recipe and the workspace must be reachable from pods; nothing is sent before both are checked.
    """
    from tongues.cli.opening import open_recipe
    from tongues.stages.remote_preflight import check_remote, pod_recipe, remote_notes
    from tongues.stages.remote_preflight import upload as put
    from tongues.stages.remote_runs import Pace
    from tongues.stages.remote_submit import Order, schedule
    from tongues.stages.remote_submit import submit as start
    from tongues.stages.schedule import trigger_of

    further = _parameters(parameter or [])
    if every:
        if watch or again:
            raise typer.BadParameter("a recurring run is not watched or started again", param_hint="--every")
        trigger_of(every)  # before anything is uploaded
    given = open_recipe(recipe)
    given = put(given, workspace) if upload else given
    check_remote(given, workspace)
    for note in remote_notes(given):
        typer.echo(f"note: {note}", err=True)
    server = kubeflow.connect(host, namespace, token_file, user)
    with _compiled(pipeline, given) as file:
        order = Order(
            pipeline=file,
            recipe=pod_recipe(given),
            recipe_sha256=given.recipe.digest(),
            workspace=workspace.rstrip("/"),
            experiment=experiment,
            run_name=run_name or given.recipe.name,
            service_account=service_account,
            further=further,
        )
        if every:
            _recur(schedule(server, order, every), as_json=as_json)
            return
        submission = start(server, order, again=again)
    if watch:
        _tell(submission, err=True)
        kubeflow.watch_to_end(server, submission.run.run_id, Pace(), as_json=as_json)
    terminal.show(submission.as_dict(), as_json=as_json, human=lambda: _tell(submission))


def _parameters(given: list[str]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if wrong := [name for name, equals, _ in pairs if not (name and equals)]:
        raise typer.BadParameter(f"{wrong[0]!r} is not NAME=VALUE", param_hint="--set")
    return {name: value for name, _, value in pairs}


@contextmanager
def _compiled(pipeline: str, given: "Given") -> Iterator[Path]:
    """The pipeline's file: named, shipped, or compiled for the recipe's node pools."""
    import tempfile

    from tongues.core.errors import PreflightError
    from tongues.core.shipped import shipped_folder
    from tongues.platform.pipelines import compile_pipelines

    file, shipped = Path(pipeline or "-"), shipped_folder("compiled")
    if file.is_file():
        yield file
        return
    name = pipeline or ("ablation" if given.recipe.ablation else _PIPELINES[given.recipe.models])
    known = sorted(path.stem for path in shipped.glob("*.yaml"))
    if name not in known:
        fix = f"name a compiled file, or one of {', '.join(known)}"
        raise PreflightError(["no such file and no such pipeline"], where=f"--pipeline {pipeline}", fix=fix)
    if not given.recipe.node_pools:
        yield shipped / f"{name}.yaml"
        return
    if not Path("pipelines/__init__.py").is_file():
        problem = "node_pools: a pipeline for them is compiled in a checkout, and this is none"
        fix = "run this at the root of a checkout, or name a compiled one with --pipeline"
        raise PreflightError([problem], where=given.origin, fix=fix)
    with tempfile.TemporaryDirectory() as folder:
        compile_pipelines(Path("pipelines"), Path(folder), given.recipe.node_pools)
        yield Path(folder) / f"{name}.yaml"


def _recur(recurring: "Recurring", *, as_json: bool) -> None:
    state = "Scheduled" if recurring.started else "Found, and left as it is"
    lines = f"{state}: {recurring.name}\nPipeline: {recurring.version}\nPage: {recurring.url} (pause, delete)"
    terminal.show(recurring.__dict__, as_json=as_json, human=lambda: typer.echo(lines))


def _tell(submission: "Submission", *, err: bool = False) -> None:
    run = submission.run
    if submission.started:
        version = f"{submission.version} ({'uploaded' if submission.uploaded else 'there already'})"
        before = f"\nBefore:   the same run ended {submission.earlier}" if submission.earlier else ""
        typer.echo(f"Started:  {run.name}\nPipeline: {version}{before}", err=err)
    else:
        told = f"Found:    {run.name}, {run.state}: the same pipeline, recipe and workspace"
        typer.echo(f"{told}\nNothing was started; --again starts another run", err=err)
    typer.echo(f"Run:      {run.run_id}\nPage:     {submission.url}", err=err)
