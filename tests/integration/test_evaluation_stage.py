"""The evaluate stage on two tiny models: chains, a judge over HTTP, report and paired tests in one folder."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.tiny_models import make_tiny_base
from tongues.core.recipe_file import parse_recipe
from tongues.evaluation.samples import read_samples
from tongues.stages.evaluate import Evaluation, evaluate
from tongues.stages.given import Given
from tongues.stages.measure import measure_model
from tongues.stages.weights import MERGED
from tongues.stages.workspace import Output, Report, Workspace

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

from scoring import ScoringEndpoint

pytest.importorskip("torch")
pytestmark = pytest.mark.integration

RECIPE = """
schema_version: 1
name: tiny
languages: [es]
source: {{uri: rows.jsonl, dataset: tiny, licence: CC0-1.0}}
base_model: {{uri: base, name: Tiny, licence: MIT}}
translation: {{engine: {{kind: apertium}}}}
dataset: {{methods: [{{method: taco}}]}}
evaluation:
  suite: {{open_uri: "{folder}/open.jsonl", math_uri: "{folder}/mgsm_{{lang}}.tsv", math_format: mgsm}}
  max_new_tokens: 4
  judge:
    pairwise: true
    engine: {{kind: openai, model: judge-1, endpoints: [{{base_url: "{url}"}}]}}
gate: {{compare_to: base}}
registry: {{model: tiny}}
"""


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "work"), say=lambda _: None)


def model(place: Workspace, given: Given, stage: str, folder: str, source: Path, name: str = "") -> Output:
    def work(out: Path) -> Report:
        shutil.copytree(source, out / folder, dirs_exist_ok=True)
        (out / "name.txt").write_text(name, encoding="utf-8")
        return Report()

    return place.finish(stage, recipe=given.recipe, inputs={}, params=[stage, name], work=work)


def judged(tmp_path: Path, place: Workspace, url: str) -> Evaluation:
    recipe = parse_recipe(RECIPE.format(folder=tmp_path, url=url).encode(), where="test")
    given = Given(recipe, recipe, "test")
    tiny = tmp_path / "tiny"
    if not tiny.exists():
        make_tiny_base(tiny)
    base = model(place, given, "base", ".", tiny)
    tuned = model(place, given, "finetune", MERGED, tiny)
    english = model(place, given, "finetune", MERGED, tiny, "english")
    section = recipe.evaluation.model_copy(update={"compare_with": {"english": english.uri}})
    recipe = recipe.model_copy(update={"evaluation": section})
    given = Given(recipe, recipe, "test")
    return evaluate(given, place, tuned, base)


def test_evaluate_tuned_model_answers_in_chains_the_base_plainly_and_both_are_judged(
    tmp_path: Path, place: Workspace
) -> None:
    rows = [
        {"id": str(n), "lang": lang, "prompt": f"{lang} {n}?"} for lang in ("en", "es") for n in range(12)
    ]
    (tmp_path / "open.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "mgsm_es.tsv").write_text("¿Cuántos son dos y dos?\t4\n", encoding="utf-8")

    def say(messages: list[dict[str, str]], limit: int) -> str:
        return "Rating: [[6]]" if "<answer>" in messages[1]["content"] else "[[A]]"

    with ScoringEndpoint(say) as end:
        evaluation = judged(tmp_path, place, end.base_url)
        asked = len(end.requests)
        again = judged(tmp_path, place, end.base_url)
    assert len(end.requests) == asked
    assert again.output.manifest.content_sha256 == evaluation.output.manifest.content_sha256
    base, candidate = evaluation.role("base"), evaluation.candidate
    assert base is not None
    # random weights write no labels: every chain fails, is rated lowest, and loses without a judge
    assert candidate.measurements["open/es/format_failure_rate"].value == 1.0
    assert candidate.measurements["open/es/judge"].value == 1.0
    assert candidate.measurements["math/es/format_failure_rate"].n == 1
    assert "open/es/format_failure_rate" not in base.measurements
    assert "open/en/format_failure_rate" not in candidate.measurements
    assert base.suite_sha256 == candidate.suite_sha256
    assert candidate.measurements["open/en/judge"] == base.measurements["open/en/judge"]
    assert candidate.measurements["open/en/ties_base"].value == 1.0  # the same weights, the same answers
    assert [one.role for one in evaluation.scores] == ["base", "english", "candidate"]
    english = evaluation.role("english")
    assert english is not None and english.measurements["open/es/format_failure_rate"].value == 1.0
    page = evaluation.report.read_text(encoding="utf-8")
    assert "change against english" in page and 'id="judge"' in page
    kept = json.loads((evaluation.output.folder / "comparison.json").read_bytes())
    differences = {(d["lang"], d["metric"]): d for d in kept["against"]["base"]}
    assert {metric for _, metric in differences} >= {"target_language_rate", "judge"}
    # the judge's ratings are paired over the questions: down to 1 for every chain that failed
    change = differences["es", "judge"]["change"]
    assert change["value"] == pytest.approx(1.0 - base.measurements["open/es/judge"].value)
    assert change["n"] == 12 and change["low"] <= change["value"] <= change["high"]
    assert differences["es", "judge"]["interval"] == "bootstrap"
    assert kept["contamination"] is None  # these folders do not say what they were trained on
    assert "math/en/accuracy" not in candidate.measurements  # there is no file of that language
    assert evaluation.report.stat().st_size > 10_000


def test_one_model_alone_is_measured_with_the_recipes_runner_and_found_again(
    tmp_path: Path, place: Workspace
) -> None:
    rows = [{"id": str(n), "lang": lang, "prompt": f"{lang} {n}?"} for lang in ("en", "es") for n in range(3)]
    (tmp_path / "open.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "mgsm_es.tsv").write_text("¿Cuántos son dos y dos?\t4\n", encoding="utf-8")
    tiny = tmp_path / "tiny"
    make_tiny_base(tiny)
    text = RECIPE.format(folder=tmp_path, url="http://127.0.0.1:9/v1").replace("uri: base", f"uri: {tiny}")
    recipe = parse_recipe(text.encode(), where="test")
    given = Given(recipe, recipe, "test")
    scores, folder = measure_model(given, place, "base")
    assert (scores.role, scores.model) == ("base", "Tiny")
    assert scores.measurements["open/es/target_language_rate"].n == 3
    assert "open/es/format_failure_rate" not in scores.measurements  # the base model is asked plainly
    assert len(read_samples(folder / "samples")) == 7
    said = list[str]()
    assert measure_model(given, Workspace(place.uri, say=said.append), "base") == (scores, folder)
    assert any(line.startswith("score: found finished") for line in said)
    tuned = model(place, given, "finetune", MERGED, tiny)
    scores, _ = measure_model(given, place, tuned.uri)
    assert (scores.role, scores.model) == ("measured", tuned.uri)
    assert scores.measurements["open/es/format_failure_rate"].value == 1.0  # it is asked for chains
