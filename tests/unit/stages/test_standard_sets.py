"""A suite whose sets are partly missing: what is there is asked, what is not is named."""

import json
from pathlib import Path

import pytest

from tongues.core.errors import PreflightError
from tongues.core.recipe_file import parse_recipe
from tongues.stages.given import Given
from tongues.stages.suite_files import open_suite
from tongues.stages.workspace import Workspace

RECIPE = """
schema_version: 1
name: tiny
languages: [es, ne]
source: {uri: rows.jsonl, dataset: tiny, licence: CC0-1.0}
base_model: {uri: base, name: Tiny, licence: MIT}
translation: {engine: {kind: apertium}}
dataset: {methods: [{method: direct}]}
evaluation: EVALUATION
registry: {model: tiny}
"""


def given_for(evaluation: dict[str, object]) -> Given:
    recipe = parse_recipe(RECIPE.replace("EVALUATION", json.dumps(evaluation)).encode(), where="test")
    return Given(recipe, recipe, "test")


def cross_file(path: Path, answers: tuple[str, str]) -> Path:
    items = {
        name: {"question": "q", "choices": ["(A) a", "(B) b"], "answer": answer}
        for name, answer in zip(("English", "Spanish"), answers, strict=True)
    }
    path.write_text(json.dumps([{"id": 1, **items}]))
    return path


def test_sets_that_cannot_be_loaded_are_named_and_the_rest_is_asked(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    cross_file(good, ("(A) a", "(A) a"))
    cross_file(bad, ("(A) a", "(B) b"))
    sets = {"cross_mmlu": {"uri": str(good)}, "cross_logiqa": {"uri": str(bad)}}
    said = list[str]()
    place = Workspace(str(tmp_path / "work"), say=said.append)
    suite = open_suite(given_for({"suite": {"standard": "crossin", "sets": sets}}), place)
    assert [(one.name, one.langs) for one in suite.sets] == [("cross_mmlu", ("en", "es"))]
    assert "not aligned" in suite.unmeasured["cross_logiqa"]
    assert "no place is named" in suite.unmeasured["cross_xquad"]
    assert sorted(line.split(": ")[1] for line in said) == ["cross_logiqa", "cross_xquad"]


def test_suite_of_which_nothing_can_be_loaded_is_an_error_that_names_all(tmp_path: Path) -> None:
    place = Workspace(str(tmp_path / "work"), say=lambda _: None)
    sets = {"cross_mmlu": {"uri": str(tmp_path / "missing.json")}}
    with pytest.raises(PreflightError) as caught:
        open_suite(given_for({"suite": {"standard": "crossin", "sets": sets}}), place)
    assert [line.split(":")[0] for line in caught.value.problems] == sorted(
        ["cross_mmlu", "cross_logiqa", "cross_xquad"], key=lambda name: name != "cross_mmlu"
    )


def test_language_without_a_file_and_programs_nobody_allowed_are_named(tmp_path: Path) -> None:
    task = {"task_id": "HumanEval/0", "prompt": "def f():", "entry_point": "f", "test": "def check(c): pass"}
    (tmp_path / "code_es.jsonl").write_text(json.dumps(task) + "\n")
    (tmp_path / "open_es.jsonl").write_text(
        json.dumps({"id": "1", "lang": "es", "prompt": "¿?", "reference": "Sí."}) + "\n"
    )
    sets = {
        "humaneval": {"uri": f"{tmp_path}/code_{{lang}}.jsonl"},
        "omgeval": {"uri": f"{tmp_path}/open_es.jsonl"},
    }
    evaluation: dict[str, object] = {"suite": {"standard": "ultralink", "sets": sets}}
    place = Workspace(str(tmp_path / "work"), say=lambda _: None)
    suite = open_suite(given_for(evaluation), place)
    assert "generated_code.run" in suite.unmeasured["humaneval"]
    assert suite.open["es"][0].reference == "Sí."
    allowed = open_suite(given_for(evaluation | {"generated_code": {"run": True}}), place)
    assert "humaneval" not in allowed.unmeasured
    assert [item.id for item in allowed.code["es"]] == ["humaneval-0"]


def test_broken_file_of_a_standard_set_does_not_end_the_others(tmp_path: Path) -> None:
    (tmp_path / "open.jsonl").write_text('{"id": "1", "lang": "es"}\n')
    (tmp_path / "code_es.jsonl").write_text("half a line")
    sets = {
        "omgeval": {"uri": f"{tmp_path}/open.jsonl"},
        "humaneval": {"uri": f"{tmp_path}/code_{{lang}}.jsonl"},
    }
    suite = {"standard": "ultralink", "sets": sets, "choices_uri": f"{tmp_path}/choices.jsonl"}
    rows = [
        {"id": "1", "lang": lang, "question": "q", "choices": ["a", "b"], "answer": "A"}
        for lang in ("en", "es", "ne")
    ]
    (tmp_path / "choices.jsonl").write_text("\n".join(map(json.dumps, rows)))
    place = Workspace(str(tmp_path / "work"), say=lambda _: None)
    found = open_suite(given_for({"suite": suite, "generated_code": {"run": True}}), place)
    assert len(found.choices) == 3
    assert "prompt" in found.unmeasured["omgeval"]
    assert "not a humaneval file" in found.unmeasured["humaneval"]
