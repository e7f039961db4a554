"""The recipe as a stage is given it: as written, for digests, and located, for reading files."""

from dataclasses import dataclass
from pathlib import Path

from tongues.core.errors import RecipeError
from tongues.core.recipe import Recipe
from tongues.core.recipe_file import located, parse_recipe
from tongues.platform import storage


@dataclass(frozen=True)
class Given:
    """A recipe and where it came from.

    Args:
        recipe: as written; its digest is the same on every machine.
        located: the same with absolute URIs.
        origin: the URI it was read from, or "inline".
    """

    recipe: Recipe
    located: Recipe
    origin: str

    def replaying(self) -> "Given":
        """The same recipe, answered from the ledger alone."""
        recipe, located = (_replaying(one) for one in (self.recipe, self.located))
        return Given(recipe, located, self.origin)


def _replaying(recipe: Recipe) -> Recipe:
    sections = {"translation": recipe.translation, "generation": recipe.generation}
    replaying = {name: one.model_copy(update={"replay_only": True}) for name, one in sections.items() if one}
    return recipe.model_copy(update=replaying)


def read_recipe(recipe: str) -> Given:
    """Read a recipe from a path, a URI, or its own text.

    Args:
        recipe: local path, ``s3://`` or ``file://`` URI, or the YAML itself (it has a line break).

    Raises:
        RecipeError: missing or not valid; lists every problem.
    """
    if "\n" in recipe:
        parsed = parse_recipe(recipe.encode(), where="inline recipe")
        return Given(parsed, located(parsed, str(Path.cwd())), "inline")
    content = storage.read_bytes(recipe)
    if content is None:
        raise RecipeError(["no such file"], where=recipe, fix="`tongues recipe ls` lists the shipped recipes")
    parsed = parse_recipe(content, where=recipe)
    path = storage.local_path(recipe)
    base = str(path.resolve().parent) if path else recipe.rsplit("/", 1)[0]
    return Given(parsed, located(parsed, base), str(path.resolve()) if path else recipe)
