from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.errors import RecipeError
from tongues.core.recipe_file import dump_recipe, load_recipe, located, parse_recipe

GOOD = """
schema_version: 1
name: tiny
languages: [es, ca]
source: {uri: rows.jsonl, dataset: tiny, licence: CC-BY-4.0}
base_model: {uri: "hf://org/name@main", name: Tiny, licence: Apache-2.0}
translation: {engine: {kind: apertium}}
dataset: {methods: [{method: direct}]}
evaluation: {suite: {choices_uri: sub/choices.jsonl}}
registry: {model: tiny}
tuning: {learning_rate: 1e-4}
"""


def problems_of(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text.encode(), where="r.yaml")
    return "\n".join(caught.value.problems)


def test_parse_valid_recipe_reads_exponents_as_numbers_and_fills_defaults():
    recipe = parse_recipe(GOOD.encode(), where="r.yaml")
    assert recipe.tuning.learning_rate == 1e-4
    assert recipe.tuning.lora.r == 16
    assert recipe.seed == 42


def test_parse_unquoted_no_is_norwegian():
    assert parse_recipe(GOOD.replace("[es, ca]", "[no, es]").encode(), where="r").languages == ("no", "es")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed", "seed", None),
        ("name: tiny\n", "name: tiny\nseeds: 1\n", "seeds: unknown key; did you mean 'seed'?"),
        ("[es, ca]", "[es, klingon]", "unknown language 'klingon'"),
        ("[es, ca]", "[es, spanish]", "write its BCP-47 code, 'es'"),
        ("[es, ca]", "[zh]", "did you mean 'zh-Hans', 'zh-Hant'?"),
        ("[es, ca]", "[es, es]", "'es' is named twice"),
        ("[es, ca]", "[en]", "the language of the source itself"),
        ("[es, ca]", "[]", "languages: tuple should have at least 1 item"),
        ("kind: apertium", "kind: apertum", "'apertum' is not one of 'apertium', 'openai'"),
        ("method: direct", "method: direct, english_row: 3", "did you mean 'english_rows'?"),
        ("method: direct", "method: direct, english_rows: yes", "dataset.methods.0.english_rows"),
        (", licence: CC-BY-4.0", "", "source.licence: missing; SPDX identifier"),
        ("1e-4", "-1", "tuning.learning_rate: input should be greater than 0, got -1"),
        ("schema_version: 1", "schema_version: 2", "this tongues reads 1"),
        ("choices_uri: sub/choices.jsonl", "", "name a standard suite, or one of choices_uri"),
    ],
)
def test_parse_bad_value_names_key_value_and_remedy(old, new, said):
    text = GOOD.replace(old, new, 1)
    if said is None:
        parse_recipe(text.encode(), where="r.yaml")
    else:
        assert said in problems_of(text)


def test_parse_many_mistakes_lists_them_all_at_once():
    text = GOOD.replace("name: tiny", "nam: tiny", 1).replace("[es, ca]", "[xx]").replace("1e-4", "fast")
    said = problems_of(text)
    assert all(part in said for part in ("nam: unknown key", "name: missing", "'xx'", "learning_rate"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\na: 2", "duplicate key"),
        (b"a: [1", "not YAML"),
        (b"- 1", "does not hold a mapping"),
        (b"\xff\xfe", "not UTF-8"),
        (b"", "does not hold a mapping"),
        (b"a: !!python/object:os.system x", "not YAML"),
    ],
)
def test_parse_broken_file_says_what_is_broken(content, said):
    with pytest.raises(RecipeError, match=said):
        parse_recipe(content, where="r.yaml")


def test_load_missing_file_points_to_the_list(tmp_path):
    with pytest.raises(RecipeError, match=r"no such file.*recipe ls"):
        load_recipe(tmp_path / "none.yaml")


def test_located_makes_relative_uris_absolute_and_leaves_the_rest(tmp_path):
    recipe = parse_recipe(GOOD.encode(), where="r.yaml")
    here = located(recipe, str(tmp_path))
    assert here.source.uri == str(Path(tmp_path).resolve() / "rows.jsonl")
    assert here.base_model.uri == "hf://org/name@main"
    assert located(recipe, "s3://bucket/r").evaluation.suite.choices_uri == "s3://bucket/r/sub/choices.jsonl"


def test_dump_loads_back_to_the_same_digest():
    recipe = parse_recipe(GOOD.encode(), where="r.yaml")
    assert parse_recipe(dump_recipe(recipe).encode(), where="again").digest() == recipe.digest()


@given(st.binary(max_size=300))
def test_parse_any_bytes_never_crashes_otherwise(content):
    with pytest.raises(RecipeError):
        parse_recipe(content, where="fuzz")
