"""`tongues submit`: start a recipe's run on Kubeflow Pipelines."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import kubeflow, terminal

if TYPE_CHECKING:
    from tongues.stages.given import Given
    from tongues.stages.remote_submit import Submission

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
        Path | None, typer.Option(help="Compiled pipeline; the one for the recipe's node_pools when absent.")
    ] = None,
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
    from tongues.stages.remote_submit import Order
    from tongues.stages.remote_submit import submit as start

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
        )
        submission = start(server, order, again=again)
    if watch:
        _tell(submission, err=True)
        kubeflow.watch_to_end(server, submission.run.run_id, Pace(), as_json=as_json)
    terminal.show(submission.as_dict(), as_json=as_json, human=lambda: _tell(submission))


@contextmanager
def _compiled(pipeline: Path | None, given: "Given") -> Iterator[Path]:
    """The pipeline's file: named, shipped, or compiled for the recipe's node pools."""
    import tempfile

    from tongues.core.errors import PreflightError
    from tongues.core.shipped import shipped_folder
    from tongues.platform.pipelines import compile_pipelines

    pools, name = given.recipe.node_pools, _PIPELINES[given.recipe.models]
    if pipeline is not None and not pipeline.is_file():
        raise PreflightError(["no such file"], where=str(pipeline), fix="`tongues compile` makes one")
    if pipeline is not None or not pools:
        yield pipeline or shipped_folder("compiled") / f"{name}.yaml"
        return
    if not Path("pipelines/__init__.py").is_file():
        problem = "node_pools: a pipeline for them is compiled in a checkout, and this is none"
        fix = "run this at the root of a checkout, or name a compiled one with --pipeline"
        raise PreflightError([problem], where=given.origin, fix=fix)
    with tempfile.TemporaryDirectory() as folder:
        compile_pipelines(Path("pipelines"), Path(folder), pools)
        yield Path(folder) / f"{name}.yaml"


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
