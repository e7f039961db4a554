"""`tongues lineage`: what a model was made from, and whether all of it is still as it was."""

from pathlib import Path
from typing import Annotated

import typer

from tongues.cli import terminal

app = typer.Typer(help="Show and verify what a model was made from.", no_args_is_help=True)
Model = typer.Argument(help="MODEL@ALIAS, MODEL/VERSION, or the folder or URI of a finished stage.")


@app.command()
def show(
    model: Annotated[str, Model],
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Write the chain as a picture (SVG) to this file.")
    ] = None,
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Show the chain from a model back to the source rows, each link by digest."""
    from tongues.cli.opening import open_workspace
    from tongues.promotion.lineage import render
    from tongues.stages.lineage import chain_of

    chain = chain_of(open_workspace(workspace), model)
    if picture is not None:
        picture.write_text(chain.picture(), encoding="utf-8")
    last = chain.last
    links = [
        {"name": k.name, "digest": k.digest, "location": k.location, "inputs": [i.digest for i in k.inputs]}
        for k in last.walk()
    ]
    terminal.show({"links": links}, as_json=as_json, human=lambda: typer.echo(render(last)))


@app.command()
def verify(
    model: Annotated[str, Model],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Hash every file of the chain again; exit code 1 and the exact file where one differs."""
    from tongues.cli.opening import open_workspace
    from tongues.stages.lineage import chain_of

    chain = chain_of(open_workspace(workspace), model)
    faults = chain.verify()
    links = sum(1 for _ in chain.last.walk())
    lines = faults or [f"{links} links verified, nothing changed"]
    result = {"verified": not faults, "links": links, "faults": faults}
    terminal.show(result, as_json=as_json, human=lambda: typer.echo("\n".join(lines)))
    raise typer.Exit(1 if faults else 0)


@app.command()
def diff(
    before: Annotated[str, Model],
    after: Annotated[str, Model],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Say what differs between two models, what changed first at the top."""
    from tongues.cli.opening import open_workspace
    from tongues.stages.lineage import compare

    changes = compare(open_workspace(workspace), before, after)
    result = {"changes": [change.model_dump() for change in changes]}
    lines = [change.sentence for change in changes] or ["both were made from the same, in the same way"]
    terminal.show(result, as_json=as_json, human=lambda: typer.echo("\n".join(lines)))
