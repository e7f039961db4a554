"""Open what most verbs start from: a recipe, a workspace, and the flow between them."""

from pathlib import Path
from typing import TYPE_CHECKING

from tongues.core.shipped import shipped_folder

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
