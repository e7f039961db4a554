"""`tongues lineage`: what a model was made from, and whether all of it is still as it was."""

from typing import Annotated

import typer

from tongues.cli import terminal

app = typer.Typer(help="Show and verify what a model was made from.", no_args_is_help=True)
Model = typer.Argument(help="MODEL@ALIAS, MODEL/VERSION, or the folder of a finished stage.")


@app.command()
def show(
    model: Annotated[str, Model],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Show the chain from a model back to the source rows, each link by digest."""
    from tongues.cli.opening import open_workspace
    from tongues.promotion.lineage import render
    from tongues.stages.lineage import chain_of

    last = chain_of(open_workspace(workspace), model).last
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
