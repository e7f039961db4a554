"""Every recipe that comes with tongues can be read, and what it names is there."""

import re
from pathlib import Path

import pytest

from tongues.core.languages import language
from tongues.core.recipe_file import load_recipe, located, parse_recipe
from tongues.methods.registry import methods

RECIPES = Path(__file__).parents[3] / "recipes"
SHIPPED = sorted(RECIPES.glob("*.yaml"))
ON_QUICKSTART_DATA = {
    "quickstart",
    "sphinx-quick",
    "taco-quick",
    "crossin-quick",
    "ultralink-quick",
    "ablation-quick",
}
OF_A_PAPER = {"sphinx", "taco", "crossin", "ultralink"}
OF_SEVERAL = {"combined", "ablation"}


def test_shipped_recipes_are_all_looked_at() -> None:
    assert {path.stem for path in SHIPPED} >= ON_QUICKSTART_DATA | OF_A_PAPER | OF_SEVERAL


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipe_is_valid_and_named_as_its_file(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert {section.method for section in recipe.dataset.methods} <= methods().keys()


@pytest.mark.parametrize("name", sorted(ON_QUICKSTART_DATA))
def test_shipped_small_recipe_finds_its_data_beside_it(name: str) -> None:
    recipe = located(load_recipe(RECIPES / f"{name}.yaml"), str(RECIPES))
    suite = recipe.evaluation.suite
    uris = (recipe.source.uri, suite.choices_uri, suite.translation_uri, suite.open_uri)
    assert all(uri and Path(uri).is_file() for uri in uris)


def test_shipped_sphinx_recipe_has_the_languages_and_sizes_that_its_comments_state() -> None:
    recipe = load_recipe(RECIPES / "sphinx.yaml")
    langs = [*recipe.languages, recipe.source.lang]
    rows = recipe.dataset.methods[0].rows
    assert len(langs) == 51
    assert sum(getattr(rows, language(lang).tier) for lang in langs) == 2_650_000


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipe_opens_with_what_it_does_and_how_to_run_it(path: Path) -> None:
    head = path.read_text(encoding="utf-8").split("schema_version")[0]
    assert all(word in head for word in ("# Command:", "# Hardware:", "# Time:"))


def test_shipped_ultralink_recipe_reads_as_it_says_without_its_comment_marks() -> None:
    path = RECIPES / "ultralink-quick.yaml"
    _, body = path.read_text(encoding="utf-8").split("schema_version", 1)
    whole = "schema_version" + re.sub(r"^#", "", body, flags=re.MULTILINE)
    recipe = located(parse_recipe(whole.encode(), where=path.name), str(RECIPES))
    (method,) = recipe.dataset.methods
    assert recipe.generation is not None
    assert [file.lang for file in method.dialogues.passages.files] == list(recipe.languages)
    assert all(Path(file.uri).is_file() for file in method.dialogues.passages.files)
