"""`tongues logs`: what the pods of a run on Kubeflow Pipelines have printed."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tongues.cli import kubeflow, terminal

if TYPE_CHECKING:
    from tongues.platform.kfp_runs import Run
    from tongues.platform.kfp_server import KfpServer


def logs(
    run: kubeflow.RunName,
    host: kubeflow.Host = None,
    namespace: kubeflow.Namespace = "",
    token_file: kubeflow.TokenFile = None,
    user: kubeflow.User = "",
    step: Annotated[str, typer.Option(help="Only this step; all that have begun when absent.")] = "",
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Print the log of each pod of a run; where the server has none, say which kubectl command shows it."""
    server = kubeflow.connect(host, namespace, token_file, user)
    found = server.find(run)
    read = _read(server, found, step, as_json=as_json)
    missing = [pod for pod in read if pod["missing"]]
    result = {"run_id": found.run_id, "logs": read}
    terminal.show(result, as_json=as_json, human=lambda: None)
    raise typer.Exit(1 if len(missing) == len(read) else 0)


def _read(server: "KfpServer", run: "Run", step: str, *, as_json: bool) -> list[dict[str, Any]]:
    """Each pod's log: printed as it comes, or kept for the one object."""
    from tongues.core.errors import PipelineServerError
    from tongues.stages.remote_runs import logs as pods_of

    read: list[dict[str, Any]] = []
    for one, pod, lines in pods_of(server, run, step):
        kept: list[str] = []
        told: dict[str, Any] = {"step": one.name, "pod": pod, "lines": kept, "missing": ""}
        read.append(told)
        try:
            _print(f"== {one.name} {pod}", lines, kept, as_json=as_json)
        except PipelineServerError as error:
            told["missing"] = f"{error.what}; {server.kubectl(run.run_id, pod)}"
            sys.stderr.write(f"{one.name}: the server has no log: {told['missing']}\n")
    return read


def _print(title: str, lines: Any, kept: list[str], *, as_json: bool) -> None:
    if not as_json:
        typer.echo(title)
    for line in lines:
        if as_json:
            kept.append(line)
        else:
            typer.echo(line)
