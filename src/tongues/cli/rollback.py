"""`tongues rollback`: make the previous champion the champion again."""

from typing import Annotated

import typer

from tongues.cli import terminal


def rollback(
    model: Annotated[str, typer.Argument(help="Registered model name, such as quickstart.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the history for good.")],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Make the previous champion the champion again; a second rollback undoes the first."""
    from tongues.cli.opening import open_workspace
    from tongues.stages.champions import rollback as roll_back

    done = roll_back(open_workspace(workspace), model, reason=reason)
    terminal.show(done.model_dump(mode="json"), as_json=as_json, human=lambda: typer.echo(done.sentence))
