"""`tongues promote`: let the gate decide, and move the alias."""

from typing import Annotated

import typer

from tongues.cli import terminal


def promote(
    recipe: Annotated[str, terminal.Recipe],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Let the gate decide; on a pass the alias `champion` moves, on a refusal the exit code is 3."""
    from tongues.cli.opening import open_flow

    done = open_flow(recipe, workspace).promoted
    terminal.show(done.model_dump(mode="json"), as_json=as_json, human=lambda: typer.echo(done.sentence))
