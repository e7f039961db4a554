"""The score stage with a vLLM server of its own, beside transformers: the same choices, no server left."""

import json
import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: install tongues[serve-cpu]")

from tongues.core.recipe_file import parse_recipe
from tongues.evaluation.agreement import agreement, item_agreements
from tongues.evaluation.compare import by_task
from tongues.evaluation.samples import read_samples
from tongues.serving.endpoint import running
from tongues.stages.evaluate import score
from tongues.stages.given import Given
from tongues.stages.suite_files import open_suite
from tongues.stages.workspace import Report, Workspace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
DATA = Path(__file__).resolve().parents[2] / "recipes" / "quickstart" / "evaluation"
RECIPE = """
schema_version: 1
name: two-runners
languages: [es]
source: {{uri: rows.jsonl, dataset: d, licence: CC0-1.0}}
base_model: {{uri: base, name: Base, licence: Apache-2.0}}
translation: {{engine: {{kind: apertium}}}}
dataset: {{methods: [{{method: direct}}]}}
evaluation:
  runner: {runner}
  suite: {{choices_uri: {folder}/choices.jsonl, open_uri: {folder}/open.jsonl}}
  max_new_tokens: 12
  max_items: 8
registry: {{model: two-runners}}
serving: {{max_model_len: 512}}
"""


@pytest.fixture
def weights() -> Path:
    path = os.environ.get("TONGUES_TEST_MODEL")
    if not path:
        pytest.skip("TONGUES_TEST_MODEL names no model folder; `make demo` makes one to point it at")
    return Path(path)


def samples_of(runner: str, folder: Path, weights: Path):
    recipe = parse_recipe(RECIPE.format(runner=runner, folder=folder).encode(), where="test")
    given, place = Given(recipe, recipe, "test"), Workspace(str(folder / "work"), say=print)

    def copy(out: Path) -> Report:
        shutil.copytree(weights, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json"))
        return Report()

    base = place.finish("base", recipe=recipe, inputs={}, params={}, work=copy)
    output = score(given, place, base, open_suite(given, place), "base")
    assert list(running(place.local)) == []
    return by_task(read_samples(output.folder / "samples"))


def test_both_runners_choose_and_write_the_same(weights: Path, tmp_path: Path) -> None:
    for task in ("choices", "open"):
        rows = map(json.loads, (DATA / f"{task}.jsonl").read_text(encoding="utf-8").splitlines())
        few = [json.dumps(row) for row in rows if row["lang"] in ("en", "es")]
        (tmp_path / f"{task}.jsonl").write_text("\n".join(few), encoding="utf-8")
    served, local = (samples_of(runner, tmp_path, weights) for runner in ("vllm", "transformers"))
    found = {(one["task"], one["lang"]): one for one in agreement(item_agreements(local, served))}
    assert set(found) == {(task, lang) for task in ("choices", "open") for lang in ("en", "es")}
    for lang in ("en", "es"):
        assert found["choices", lang]["same"].value == 1.0
        assert found["choices", lang]["largest_difference"] < 0.05
        assert found["open", lang]["same"].value >= 0.75  # a tie in float32 may fall either way
