"""`tongues sign`: keys, and signatures on registered models."""

from pathlib import Path
from typing import Annotated

import typer

from tongues.cli import terminal

app = typer.Typer(help="Make keys, sign models, check signatures.", no_args_is_help=True)
Model = typer.Argument(help="MODEL@ALIAS, MODEL/VERSION, or the folder or URI of a finished stage.")


@app.command("new-key")
def new_key(
    path: Annotated[Path, typer.Argument(help="Of the private key; the public one is PATH.pub.")],
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Make a key pair; keep the private key in a Secret, give the public one to whoever serves."""
    from tongues.promotion import signing
    from tongues.stages.signatures import SIGNING_KEY, VERIFICATION_KEY

    public = signing.new_key(path)
    lines = (f"export {SIGNING_KEY}={path.resolve()}", f"export {VERIFICATION_KEY}={public.resolve()}")
    result = {"private": str(path), "public": str(public)}
    terminal.show(result, as_json=as_json, human=lambda: typer.echo("\n".join(lines)))


@app.command()
def model(
    model: Annotated[str, Model],
    key: Annotated[
        Path, typer.Option("--key", envvar="TONGUES_SIGNING_KEY", help="Private key, PEM.", show_envvar=True)
    ],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Sign a model that was registered without a signature, or replace the one it has."""
    from tongues.cli.opening import open_workspace
    from tongues.stages.lineage import artefact_of
    from tongues.stages.signatures import sign

    artefact = artefact_of(open_workspace(workspace), model)
    signature = sign(artefact, key)
    result = {"signature": str(signature), "uri": artefact.uri}
    terminal.show(result, as_json=as_json, human=lambda: typer.echo(f"signed: {signature}"))


@app.command()
def verify(
    model: Annotated[str, Model],
    key: Annotated[
        Path,
        typer.Option("--key", envvar="TONGUES_VERIFICATION_KEY", help="Public key, PEM.", show_envvar=True),
    ],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Check a model's signature; every file is hashed, and the exit code is 1 where one differs."""
    from tongues.cli.opening import open_workspace
    from tongues.promotion import signing
    from tongues.stages.lineage import artefact_of

    artefact = artefact_of(open_workspace(workspace), model)
    signing.verify(artefact.folder, key)
    result = {"verified": True, "uri": artefact.uri}
    terminal.show(result, as_json=as_json, human=lambda: typer.echo(f"{artefact.uri}: signed by {key}"))
