"""`tongues runs`: the runs on a Kubeflow Pipelines server."""

from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import kubeflow, terminal

if TYPE_CHECKING:
    from tongues.platform.kfp_runs import Run

_LONGEST_LINE = 160
_STATES = ("PENDING", "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED", "CANCELING", "CANCELED", "PAUSED")


def runs(
    host: kubeflow.Host = None,
    namespace: kubeflow.Namespace = "",
    token_file: kubeflow.TokenFile = None,
    user: kubeflow.User = "",
    state: Annotated[str, typer.Option(help=f"Only runs in this state: {', '.join(_STATES)}.")] = "",
    name: Annotated[str, typer.Option(help="Only runs with this in their name.")] = "",
    experiment: Annotated[str, typer.Option(help="Only runs of this experiment.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 20,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """List runs, the newest first."""
    if state.upper() not in ("", *_STATES):
        raise typer.BadParameter(f"{state!r} is not one of {', '.join(_STATES)}", param_hint="--state")
    from tongues.platform.kfp_server import first
    from tongues.stages.remote_runs import experiment_runs

    server = kubeflow.connect(host, namespace, token_file, user)
    found = first(experiment_runs(server, experiment, name), limit, state.upper())
    result = {"runs": [run.as_dict() | {"url": server.run_url(run.run_id)} for run in found]}
    terminal.show(result, as_json=as_json, human=lambda: _table(found))


def _table(runs: "list[Run]") -> None:
    """Identifiers stay whole, for copying, also where the terminal is narrow."""
    from rich.console import Console
    from rich.table import Table

    from tongues.core.progress import duration
    from tongues.stages.remote_runs import now

    grid = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("run", "state", "created (UTC)", "time", "name"):
        grid.add_column(column, no_wrap=True)
    for run in runs:
        created = f"{run.created:%Y-%m-%d %H:%M}" if run.created else ""
        grid.add_row(run.run_id, run.state, created, duration(run.seconds(now())), run.name)
    console = Console()
    console.width = max(console.width, _LONGEST_LINE)
    console.print(grid, soft_wrap=True)
