"""The recipe as a stage is given it: as written, for digests, and located, for reading files."""

from dataclasses import dataclass
from pathlib import Path

from tongues.core.errors import RecipeError
from tongues.core.recipe import Recipe
from tongues.core.recipe_file import dump_recipe, located, parse_recipe
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

    def part(self, name: str) -> "Given":
        """The recipe of one language's model, of one variant of the ablation, or of its baseline.

        Raises:
            RecipeError: there is none of that name.
        """
        if name not in self.recipe.parts:
            what = (
                "language {} in languages"
                if self.recipe.models == "per-language"
                else "variant {} in ablation"
            )
            known = ", ".join(self.recipe.parts)
            raise RecipeError([f"no {what.format(repr(name))}; there are {known}"], where=self.origin)
        return Given(self.recipe.part(name), self.located.part(name), f"{self.origin}#{name}")

    def require_one_model(self) -> None:
        """Refuse a recipe of several models where one is made.

        Raises:
            RecipeError: with how to name one of them.
        """
        if self.recipe.models == "per-language":
            names = ", ".join(f"{self.origin}#{name}" for name in self.recipe.parts)
            problem = f"each language has a model of its own; name one: {names} (`tongues run` makes all)"
            raise RecipeError([problem], where=self.origin)

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
        recipe: local path, ``s3://`` or ``file://`` URI, with ``#NAME`` behind it for one language of
            models: per-language, or one variant of its ablation; or the YAML itself (it has a line break).

    Raises:
        RecipeError: missing or not valid; lists every problem.
    """
    if "\n" in recipe:
        parsed = parse_recipe(recipe.encode(), where="inline recipe")
        return Given(parsed, located(parsed, str(Path.cwd())), "inline")
    uri, part = _parted(recipe)
    content = storage.read_bytes(uri)
    if content is None:
        raise RecipeError(["no such file"], where=uri, fix="`tongues recipe ls` lists the shipped recipes")
    parsed = parse_recipe(content, where=uri)
    path = storage.local_path(uri)
    base = str(path.resolve().parent) if path else uri.rsplit("/", 1)[0]
    given = Given(parsed, located(parsed, base), str(path.resolve()) if path else uri)
    return given if part is None else given.part(part)


def recipe_uri(recipe: Recipe, workspace_uri: str) -> str:
    """Where a workspace keeps a recipe that other pods are to read."""
    return storage.join(workspace_uri, "recipes", f"{recipe.digest()[:20]}.yaml")


def kept_recipe(recipe: Recipe, workspace_uri: str) -> str:
    """Put a recipe there, all defaults written out; files that it names by relative paths stay behind."""
    uri = recipe_uri(recipe, workspace_uri)
    storage.write_bytes(uri, dump_recipe(recipe).encode())
    return uri


def model_recipes(given: Given, workspace_uri: str) -> list[str]:
    """Address of the recipe of each model: one for each language, or the recipe itself.

    One that was given as text has no address yet, and gets one in the workspace.
    """
    inline = given.origin == "inline"
    address = kept_recipe(given.recipe, workspace_uri) if inline else given.origin
    if given.recipe.models == "one":
        return [address]
    return [f"{address}#{name}" for name in given.recipe.parts]


def _parted(recipe: str) -> tuple[str, str | None]:
    """Address and part; a file whose own name has a ``#`` is meant as a whole."""
    if "#" not in recipe or storage.exists(recipe):
        return recipe, None
    uri, _, part = recipe.rpartition("#")
    return uri, part
