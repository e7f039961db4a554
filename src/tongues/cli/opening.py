"""Open what most verbs start from: a recipe, a workspace, and the flow between them."""

from pathlib import Path
from typing import TYPE_CHECKING

from tongues.core.errors import RecipeError

if TYPE_CHECKING:
    from tongues.stages.flow import Flow
    from tongues.stages.given import Given
    from tongues.stages.workspace import Workspace


def open_recipe(recipe: str) -> "Given":
    """Read a recipe by path, URI, or the name of a shipped one."""
    from tongues.stages.given import read_recipe

    name, hash_, variant = recipe.partition("#")
    shipped = shipped_recipes().get(name)
    return read_recipe(f"{shipped}{hash_}{variant}" if shipped else recipe)


def open_workspace(workspace: str) -> "Workspace":
    """The workspace at a folder or URI."""
    from tongues.stages.workspace import Workspace

    return Workspace(workspace if "://" in workspace else str(Path(workspace).resolve()))


def open_flow(recipe: str, workspace: str, *, replay_only: bool = False) -> "Flow":
    """A recipe's flow, after all preflight checks; on request answered from the ledger alone."""
    from tongues.stages.flow import Flow

    given = open_recipe(recipe)
    return Flow(given.replaying() if replay_only else given, open_workspace(workspace))


def shipped_recipes() -> dict[str, Path]:
    """Name to file of the recipes that come with tongues."""
    return {path.stem: path for path in sorted(shipped_folder("recipes").glob("*.yaml"))}


def shipped_folder(name: str) -> Path:
    """A folder that the wheel carries inside the package and a checkout at its top level.

    Raises:
        RecipeError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1] / ("pipelines/compiled" if name == "compiled" else name)
    for folder in (package / name, checkout):
        if folder.is_dir():
            return folder
    raise RecipeError([f"this installation carries no {name}"], where=str(package), fix="reinstall tongues")
