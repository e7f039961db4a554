"""An ablation: variants of one recipe that differ in nothing but what they name."""

import pytest

from tongues.core.errors import RecipeError
from tongues.core.recipe import Recipe
from tongues.stages.given import read_recipe

RECIPE = """
schema_version: 1
name: tiny
languages: [es, ca]
source: {uri: rows.jsonl, dataset: tiny, licence: CC0-1.0}
base_model: {uri: base, name: Tiny, licence: MIT}
translation: {engine: {kind: apertium}, selection: {decider: direct}}
dataset:
  methods: [{method: direct, english_rows: 5}]
  mixture: {budget_rows: 50}
evaluation: {suite: {choices_uri: choices.jsonl}}
registry: {model: tiny}
ablation:
  - {name: chain, methods: [{method: taco}]}
  - {name: selected, methods: [{method: sphinx}], selection: {decider: rules}}
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return tmp_path / "tiny.yaml"


def different(one: Recipe, other: Recipe) -> set[str]:
    """Sections in which two recipes differ."""
    left, right = one.model_dump(mode="json"), other.model_dump(mode="json")
    return {name for name in left if left[name] != right[name]}


def test_a_variant_changes_its_methods_and_nothing_else(path):
    whole, chain = read_recipe(str(path)), read_recipe(f"{path}#chain")
    assert different(whole.recipe, chain.recipe) == {"name", "dataset", "ablation"}
    assert [section.method for section in chain.recipe.dataset.methods] == ["taco"]
    assert chain.recipe.dataset.mixture == whole.recipe.dataset.mixture
    assert (chain.recipe.name, chain.recipe.ablation) == ("tiny-chain", ())


def test_a_variant_may_select_otherwise(path):
    selected = read_recipe(f"{path}#selected").recipe
    assert selected.translation.selection.decider == "rules"
    assert read_recipe(f"{path}#direct").recipe.translation.selection.decider == "direct"


def test_files_of_a_variant_lie_beside_the_recipe(path):
    assert read_recipe(f"{path}#chain").located.source.uri == str(path.parent / "rows.jsonl")


def test_a_folder_or_file_with_a_number_sign_is_found(path):
    folder = path.parent / "c#"
    folder.mkdir()
    for name in ("tiny.yaml", "my#1.yaml"):
        (folder / name).write_text(RECIPE)
    assert read_recipe(str(folder / "my#1.yaml")).recipe.name == "tiny"
    assert read_recipe(f"{folder / 'tiny.yaml'}#chain").recipe.name == "tiny-chain"


def test_an_unknown_variant_is_named_with_those_there_are(path):
    with pytest.raises(RecipeError) as error:
        read_recipe(f"{path}#chian")
    assert error.value.problems == ("no variant 'chian' in ablation; there are direct, chain, selected",)


@pytest.mark.parametrize("name", ["direct", "chain"])
def test_two_variants_of_one_name_are_refused(path, name):
    path.write_text(RECIPE + f"  - {{name: {name}, methods: [{{method: taco}}]}}\n")
    with pytest.raises(RecipeError, match=f"{name} is there twice"):
        read_recipe(str(path))


def test_a_variant_that_does_not_hold_together_is_refused_with_its_name(path):
    path.write_text(RECIPE.replace("selection: {decider: rules}", "selection: {decider: model}"))
    with pytest.raises(RecipeError, match=r"selected: .*decider: model needs engines of kind openai"):
        read_recipe(str(path))
