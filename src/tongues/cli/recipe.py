"""`tongues recipe`: list, show, copy and validate recipes."""

from pathlib import Path
from typing import Annotated

import typer

from tongues.cli import terminal

app = typer.Typer(help="List, show, copy and validate recipes.", no_args_is_help=True)


@app.command()
def ls(as_json: Annotated[bool, terminal.Json] = False) -> None:
    """List the recipes that come with tongues."""
    from tongues.cli.opening import shipped_recipes

    about = {name: _first_comment(path) for name, path in shipped_recipes().items()}
    terminal.show(
        about, as_json=as_json, human=lambda: terminal.table("Recipes", ("name", "what"), [*about.items()])
    )


@app.command()
def show(recipe: Annotated[str, terminal.Recipe], as_json: Annotated[bool, terminal.Json] = False) -> None:
    """Print the resolved recipe, every default written out, and its digest."""
    from tongues.cli.opening import open_recipe
    from tongues.core.recipe_file import dump_recipe

    given = open_recipe(recipe)
    result = {"recipe": given.recipe.model_dump(mode="json"), "sha256": given.recipe.digest()}
    text = f"# sha256 {given.recipe.digest()}\n{dump_recipe(given.recipe)}"
    terminal.show(result, as_json=as_json, human=lambda: typer.echo(text, nl=False))


@app.command()
def cp(
    recipe: Annotated[str, typer.Argument(help="Name of a shipped recipe.")],
    to: Annotated[Path, typer.Argument(help="File to write; must not exist yet.")],
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Copy a shipped recipe, with its comments and its data, to start your own from."""
    from tongues.cli.opening import shipped_recipes
    from tongues.core.errors import RecipeError

    known = shipped_recipes()
    if recipe not in known:
        raise RecipeError([f"no shipped recipe {recipe!r}; there are: {', '.join(known)}"], where="recipe cp")
    copied = [str(path) for path in _copy(known[recipe], to)]
    terminal.show({"copied": copied}, as_json=as_json, human=lambda: typer.echo("\n".join(copied)))


@app.command()
def validate(
    recipe: Annotated[str, terminal.Recipe], as_json: Annotated[bool, terminal.Json] = False
) -> None:
    """Check a recipe and this machine against it; every problem is listed at once."""
    from tongues.cli.opening import open_recipe
    from tongues.stages.preflight import preflight

    given = open_recipe(recipe)
    preflight(given)
    result = {"valid": True, "name": given.recipe.name, "sha256": given.recipe.digest()}
    line = f"{given.origin}: valid, sha256 {given.recipe.digest()[:12]}"
    terminal.show(result, as_json=as_json, human=lambda: typer.echo(line))


@app.command()
def languages(as_json: Annotated[bool, terminal.Json] = False) -> None:
    """List the languages: BCP-47 code, name, script, FLORES code, resource tier, direction."""
    from tongues.core.languages import languages as known

    rows = [(r.code, r.name, r.script, r.flores or "-", r.tier, r.direction) for r in known().values()]
    columns = ("code", "name", "script", "flores", "tier", "direction")
    result = {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for row in rows}
    terminal.show(result, as_json=as_json, human=lambda: terminal.table("Languages", columns, rows))


def _first_comment(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


def _copy(recipe: Path, to: Path) -> list[Path]:
    """The recipe and the files it names beside itself; folders that stand there already are refused."""
    import shutil

    from tongues.core.errors import RecipeError
    from tongues.core.recipe_file import load_recipe, relative_uris

    files = relative_uris(load_recipe(recipe))
    folders = sorted({to.parent / Path(name).parts[0] for name in files})
    taken = [path for path in (to, *folders) if path.exists()]
    if taken:
        raise RecipeError(
            [f"{path} exists already" for path in taken], where="recipe cp", fix="name another file"
        )
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(recipe, to)
    there = [name for name in files if (recipe.parent / name).is_file()]
    for name in there:
        (to.parent / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(recipe.parent / name, to.parent / name)
    return [to, *folders] if there else [to]
