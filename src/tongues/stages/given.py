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

    def variant(self, name: str) -> "Given":
        """The recipe of one variant of the ablation, or of its baseline.

        Raises:
            RecipeError: there is none of that name.
        """
        names = [self.recipe.baseline, *(one.name for one in self.recipe.ablation)]
        if name not in names:
            known = ", ".join(names)
            raise RecipeError([f"no variant {name!r} in ablation; there are {known}"], where=self.origin)
        recipe, located = self.recipe.variant(name), self.located.variant(name)
        return Given(recipe, located, f"{self.origin}#{name}")

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
        recipe: local path, ``s3://`` or ``file://`` URI, with ``#NAME`` behind it for one variant of its
            ablation; or the YAML itself (it has a line break).

    Raises:
        RecipeError: missing or not valid; lists every problem.
    """
    if "\n" in recipe:
        parsed = parse_recipe(recipe.encode(), where="inline recipe")
        return Given(parsed, located(parsed, str(Path.cwd())), "inline")
    uri, variant = _parted(recipe)
    content = storage.read_bytes(uri)
    if content is None:
        raise RecipeError(["no such file"], where=uri, fix="`tongues recipe ls` lists the shipped recipes")
    parsed = parse_recipe(content, where=uri)
    path = storage.local_path(uri)
    base = str(path.resolve().parent) if path else uri.rsplit("/", 1)[0]
    given = Given(parsed, located(parsed, base), str(path.resolve()) if path else uri)
    return given if variant is None else given.variant(variant)


def _parted(recipe: str) -> tuple[str, str | None]:
    """Address and variant; a file whose own name has a ``#`` is meant as a whole."""
    if "#" not in recipe or storage.exists(recipe):
        return recipe, None
    uri, _, variant = recipe.rpartition("#")
    return uri, variant
