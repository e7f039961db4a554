"""models: per-language: each language's recipe is the one somebody would have written for it alone."""

import pytest

from tongues.core.errors import RecipeError
from tongues.core.recipe_file import dump_recipe, parse_recipe
from tongues.stages.given import model_recipes, read_recipe
from tongues.stages.workspace import Workspace

RECIPE = """
schema_version: 1
name: tiny
languages: [es, zh-Hans]
models: per-language
source: {uri: rows.jsonl, dataset: tiny, licence: CC0-1.0}
base_model: {uri: base, name: Tiny, licence: MIT}
translation: {engine: {kind: apertium}}
dataset:
  methods: [{method: taco, rows_per_language: 5}]
  mixture: {languages: {en: 1, es: 2, zh-Hans: 3}}
evaluation: {suite: {choices_uri: choices.jsonl}}
registry: {model: tiny}
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return tmp_path / "tiny.yaml"


def test_language_is_addressed_behind_a_number_sign(path):
    part = read_recipe(f"{path}#zh-Hans")
    assert part.recipe.languages == ("zh-Hans",)
    assert (part.recipe.name, part.recipe.registry.model) == ("tiny-zh-hans", "tiny-zh-hans")
    assert part.recipe.dataset.mixture.languages == {"en": 1, "zh-Hans": 3}
    assert part.located.source.uri == str(path.parent / "rows.jsonl")


def test_languages_recipe_is_the_one_written_by_hand(path):
    by_hand = RECIPE.replace("models: per-language\n", "").replace("[es, zh-Hans]", "[es]")
    by_hand = by_hand.replace("name: tiny\n", "name: tiny-es\n").replace("{model: tiny}", "{model: tiny-es}")
    by_hand = by_hand.replace(", zh-Hans: 3", "")
    assert read_recipe(f"{path}#es").recipe.digest() == parse_recipe(by_hand.encode(), where="t").digest()


def test_resolved_recipe_has_the_same_languages(path):
    whole = read_recipe(str(path)).recipe
    again = parse_recipe(dump_recipe(whole).encode(), where="t")
    assert again == whole and again.parts == ("es", "zh-Hans")


def test_unknown_language_is_refused_with_those_there_are(path):
    with pytest.raises(RecipeError, match="no language 'gl' in languages; there are es, zh-Hans"):
        read_recipe(f"{path}#gl")


def test_verb_that_makes_one_model_asks_which(path):
    with pytest.raises(RecipeError, match=r"name one: .*tiny\.yaml#es, .*tiny\.yaml#zh-Hans"):
        read_recipe(str(path)).require_one_model()
    read_recipe(f"{path}#es").require_one_model()


def test_address_of_each_model(path, tmp_path):
    work = Workspace(str(tmp_path / "work"))
    assert model_recipes(read_recipe(str(path)), work.uri) == [f"{path}#es", f"{path}#zh-Hans"]
    assert model_recipes(read_recipe(f"{path}#es"), work.uri) == [f"{path}#es"]


def test_recipe_given_as_text_gets_an_address_that_pods_can_read(path, tmp_path):
    text = path.read_text().replace("rows.jsonl", "s3://bucket/rows.jsonl")
    given = read_recipe(text)
    addresses = model_recipes(given, str(tmp_path / "work"))
    assert [read_recipe(one).recipe for one in addresses] == [
        given.recipe.part(x) for x in given.recipe.parts
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("registry: {model: tiny}", "registry: {model: " + "a" * 46 + "}"),
            "zh-Hans: registry.model: String",
        ),
        (("registry:", "ablation: [{name: x, methods: [{method: direct}]}]\nregistry:"), "compares single"),
        (("per-language", "each"), "models"),
    ],
)
def test_recipe_that_cannot_be_parted_is_refused(path, change, told):
    with pytest.raises(RecipeError, match=told):
        parse_recipe(RECIPE.replace(*change).encode(), where="t")
