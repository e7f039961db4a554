"""A model of the comparison by the recipe that made it: found by digests, never made on the way."""

import json
import shutil
from pathlib import Path

import pytest

from tongues.core.errors import EvaluationError, RecipeError
from tongues.stages.assemble import assemble
from tongues.stages.finetune import identity
from tongues.stages.given import Given, read_recipe
from tongues.stages.model_reference import open_model
from tongues.stages.prepare import fetch_base_model
from tongues.stages.translations import Translations
from tongues.stages.workspace import Output, Report, Workspace

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("apertium") is None, reason="Apertium is not installed"),
]
RECIPE = """
schema_version: 1
name: tiny
languages: [es]
source: {uri: rows.jsonl, dataset: tiny, licence: CC0-1.0}
base_model: {uri: base, name: Tiny, licence: MIT}
translation: {engine: {kind: apertium}}
dataset: {methods: [{method: direct}], validation_share: 0.2}
ablation: [{name: english, methods: [{method: crossin, base: null}]}]
evaluation:
  suite: {choices_uri: choices.jsonl}
  compare_with: {english: "#english"}
registry: {model: tiny}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"instruction": f"Name number {n}", "input": "", "output": f"It is {n}."} for n in range(12)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    items = [
        {"id": "1", "lang": lang, "question": "Which one of them?", "choices": ["a", "b"], "answer": "A"}
        for lang in ("en", "es")
    ]
    (tmp_path / "choices.jsonl").write_text("\n".join(map(json.dumps, items)), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def place(folder: Path) -> Workspace:
    return Workspace(str(folder / "work"), say=lambda _: None)


def finished_base(given: Given, place: Workspace) -> None:
    """A base model under the key that it is looked for."""

    def work(out: Path) -> Report:
        (out / "weights.txt").write_text("w", encoding="utf-8")
        return Report()

    params = given.recipe.base_model.model_dump(mode="json")
    place.finish("base", recipe=given.recipe, inputs={}, params=params, work=work)


def tuned(given: Given, place: Workspace, name: str) -> Output:
    """What `tongues finetune` would leave, but for the training."""
    finished_base(given, place)
    dataset = assemble(given, place, Translations(given, place).store)

    def work(out: Path) -> Report:
        (out / "name.txt").write_text(name, encoding="utf-8")
        return Report()

    return place.finish("finetune", **identity(given, dataset, fetch_base_model(given, place)), work=work)


def test_variant_is_found_by_what_it_is_made_from(folder: Path, place: Workspace) -> None:
    given = read_recipe(str(folder / "recipe.yaml"))
    english, direct = (tuned(given.part(name), place, name) for name in ("english", "direct"))
    assert english.uri != direct.uri
    reference = given.recipe.evaluation.compare_with["english"]
    assert open_model(given, place, reference).uri == english.uri
    assert open_model(given.part("direct"), place, "#english").uri == english.uri
    assert open_model(given, place, "recipe.yaml#direct").uri == direct.uri
    assert open_model(given, place, str(folder / "recipe.yaml#english")).uri == english.uri


def test_variant_that_was_not_made_here_is_an_error_that_says_what_to_run(
    folder: Path, place: Workspace
) -> None:
    given = read_recipe(str(folder / "recipe.yaml"))
    for step in ("prepare", "finetune"):
        with pytest.raises(EvaluationError, match=f"not made here: {step} is not finished") as caught:
            open_model(given, place, "#english")
        assert f"tongues finetune '{folder}/recipe.yaml#english'" in caught.value.fix
        assert (folder / "work" / "prepare").exists() == (step == "finetune")
        tuned(given.part("direct"), place, "direct")
        assemble(given.part("english"), place, Translations(given, place).store)
    with pytest.raises(RecipeError, match="no variant 'french'"):
        open_model(given, place, "#french")
