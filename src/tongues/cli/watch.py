"""`tongues watch`: a run on Kubeflow Pipelines, until it ends."""

from typing import Annotated

import typer

from tongues.cli import kubeflow, terminal


def watch(
    run: kubeflow.RunName,
    host: kubeflow.Host = None,
    namespace: kubeflow.Namespace = "",
    token_file: kubeflow.TokenFile = None,
    user: kubeflow.User = "",
    every_s: Annotated[
        float, typer.Option(min=0.01, help="Seconds between two looks; more when nothing changes.")
    ] = 2.0,
    patience_s: Annotated[
        float, typer.Option(min=0, help="Seconds that the server may be away before this gives up.")
    ] = 900.0,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Show each step of a run until the run ends.

    Exit code 0 where it succeeded, 3 where the gate refused, 1 where it failed or was cancelled. Ctrl-C stops
    watching; the run goes on.
    """
    from tongues.stages.remote_runs import Pace

    server = kubeflow.connect(host, namespace, token_file, user)
    pace = Pace(first_s=every_s, patience_s=patience_s)
    kubeflow.watch_to_end(server, server.find(run).run_id, pace, as_json=as_json)
