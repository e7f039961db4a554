"""`tongues register`: the run in MLflow and the model version by URI and digest."""

from typing import Annotated

import typer

from tongues.cli import terminal


def register(
    recipe: Annotated[str, terminal.Recipe],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Record the run in MLflow and register the tuned model; doing it twice changes nothing."""
    from tongues.cli.opening import open_flow

    done = open_flow(recipe, workspace).registered
    line = f"{done.model} version {done.version} (run {done.run_id}) at {done.tracking_uri}"
    terminal.show(done.model_dump(), as_json=as_json, human=lambda: typer.echo(line))
