"""What the verbs for a Kubeflow Pipelines server share: its options, and how a run is shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from rich.table import Table

    from tongues.platform.kfp_runs import Run
    from tongues.platform.kfp_server import KfpServer
    from tongues.stages.remote_runs import Outcome, Pace

Host = Annotated[
    str | None,
    typer.Option(
        envvar=["TONGUES_KFP_HOST", "KF_PIPELINES_ENDPOINT"],
        help="Address of the Kubeflow Pipelines server, such as http://localhost:8888.",
    ),
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        envvar="TONGUES_KFP_NAMESPACE",
        help="Kubernetes namespace; a multi-user server needs it.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        envvar=["TONGUES_KFP_TOKEN_FILE", "KF_PIPELINES_SA_TOKEN_PATH"],
        help="File with a bearer token; else the variable TONGUES_KFP_TOKEN, or the pod's projected token.",
    ),
]
User = Annotated[
    str,
    typer.Option(
        envvar="TONGUES_KFP_USER", help="kubeflow-userid header, for a connection past the gateway."
    ),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Identifier or name of the run.")]

INTERRUPTED = 130


def connect(host: str | None, namespace: str, token_file: Path | None, user: str) -> "KfpServer":
    """The server that the options and the environment name."""
    import os

    from tongues.platform.kfp_access import access_to
    from tongues.platform.kfp_server import KfpServer

    access = access_to(host, namespace=namespace, token_file=token_file, user=user)
    return KfpServer(access, ui=os.environ.get("KF_PIPELINES_UI_ENDPOINT", ""))


def watch_to_end(server: "KfpServer", run_id: str, pace: "Pace", *, as_json: bool) -> None:
    """Show a run until it ends, then what came of it; ends the program with its exit code."""
    from tongues.stages.remote_runs import follow, outcome

    last: list[Run] = []
    try:
        for run in _shown(follow(server, run_id, pace, _say), server):
            last[:] = [run]
    except KeyboardInterrupt:
        _stopped(run_id, last, as_json=as_json)
    found = outcome(server, last[0])
    terminal.show(found.as_dict(), as_json=as_json, human=lambda: _tell(found))
    raise typer.Exit(found.exit_code)


def steps_table(run: "Run") -> "Table":
    """The steps of a run, as they stand."""
    from rich.table import Table

    from tongues.core.progress import duration
    from tongues.stages.remote_runs import now

    moment = now()
    title = f"{run.name}  {run.state}  {duration(run.seconds(moment))}"
    grid = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in ("step", "state", "done", "time", "retries"):
        grid.add_column(column, justify="left" if column in ("step", "state") else "right")
    for step in run.steps:
        done = f"{step.done}/{step.tasks}" if step.tasks > 1 else ""
        grid.add_row(step.name, step.state, done, duration(step.seconds(moment)), str(step.retries or ""))
    return grid


def _say(line: str) -> None:
    from tongues.core.progress import say_on_stderr

    say_on_stderr(line)


def _shown(runs: "Iterator[Run]", server: "KfpServer") -> "Iterator[Run]":
    """Pass runs on, and show them: a table that changes in a terminal, a line for each change elsewhere."""
    import sys

    from rich.console import Console
    from rich.live import Live

    if not sys.stderr.isatty():
        yield from _told(runs)
        return
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        for run in runs:
            live.update(steps_table(run), refresh=True)
            yield run


def _told(runs: "Iterator[Run]") -> "Iterator[Run]":
    from tongues.core.progress import duration
    from tongues.stages.remote_runs import now

    before: dict[str, tuple[str, int, int]] = {}
    for run in runs:
        for step in run.steps:
            facts = (step.state, step.done, step.retries)
            if before.get(step.name) != facts:
                many = f" {step.done}/{step.tasks}" if step.tasks > 1 else ""
                tried = f", retry {step.retries}" if step.retries else ""
                _say(f"{step.name}: {step.state}{many} ({duration(step.seconds(now()))}{tried})")
            before[step.name] = facts
        yield run


def _tell(found: "Outcome") -> None:
    """The failing step's message first, then the steps."""
    import sys

    from rich.console import Console

    if found.exit_code:
        said = "the gate refused" if found.exit_code == terminal.REFUSED else found.run.state.lower()
        sys.stderr.write(f"error: {found.run.name}: {said}: {found.message}\nlog: {found.log}\n")
    Console().print(steps_table(found.run))
    typer.echo(f"Run: {found.url}")


def _stopped(run_id: str, last: "list[Run]", *, as_json: bool) -> None:
    then = f"watch it again: tongues watch {run_id}; end it: tongues cancel {run_id}"
    state = last[0].state if last else None
    result = {"run_id": run_id, "state": state, "watching": False, "exit_code": INTERRUPTED}
    _say(f"stopped watching; the run goes on; {then}")
    terminal.show(result, as_json=as_json, human=lambda: None)
    raise typer.Exit(INTERRUPTED)
