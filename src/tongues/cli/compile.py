"""`tongues compile`: the KFP pipelines into YAML."""

from pathlib import Path
from typing import Annotated

import typer

from tongues.cli import terminal


def compile(
    recipe: Annotated[
        str | None, typer.Argument(help="Recipe whose node_pools the steps run on; none when absent.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the compiled pipelines.")] = Path(
        "pipelines/compiled"
    ),
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Compile the KFP pipelines of this checkout into YAML that any KFP 2.17 runs."""
    from tongues.cli.opening import open_recipe
    from tongues.platform.pipelines import compile_pipelines

    pools = open_recipe(recipe).recipe.node_pools if recipe else {}
    files = [str(path) for path in compile_pipelines(Path("pipelines"), out, pools)]
    terminal.show({"files": files}, as_json=as_json, human=lambda: typer.echo("\n".join(files)))
