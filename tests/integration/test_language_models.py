"""A model for each language from one recipe: trained, measured, registered and promoted one by one."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.test_pipeline_run import ROOT, TONGUES, apertium, run, write_inputs
from tongues.core.recipe_file import load_recipe
from tongues.platform.pipelines import run_local

__all__ = ["apertium"]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def per_language(folder: Path, *, rate: float = 0.0) -> Path:
    """The tiny recipe, with TaCo's chains and two stages, for two languages apart."""
    recipe = write_inputs(folder, rate=rate)
    text = recipe.read_text().replace("languages: [es, gl]\n", "languages: [es, gl]\nmodels: per-language\n")
    methods = "{method: direct, english_rows: 4}, {method: crossin, en2x: 4, x2x: 4}"
    assert methods in text
    text = text.replace(methods, "{method: taco, english_rows: 4, system_line: none, layout: plain}")
    stages = '[{name: english, take: {stages: ["1"]}}, {name: chains, take: {stages: ["2"]}}]'
    text = text.replace("tuning: {", f"tuning: {{stages: {stages}, ")
    recipe.write_text(text.replace("gate: {", "gate: {max_format_failures: 1, "))
    return recipe


def tell(*arguments: object) -> dict:
    command = [TONGUES, *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory, apertium):
    """Both models, without KFP."""
    folder = tmp_path_factory.mktemp("languages")
    recipe = per_language(folder / "in")
    code, answer, log = run(recipe, folder / "work", "--runner", "direct")
    assert code == 0, log
    return recipe, folder / "work", answer


def test_each_language_has_a_champion_of_its_own(made):
    _, workspace, answer = made
    assert {lang: one["model"] for lang, one in answer["models"].items()} == {
        "es": "models:/tiny-es/1",
        "gl": "models:/tiny-gl/1",
    }
    assert all(one["champion"] for one in answer["models"].values())
    tuned = sorted(workspace.glob("finetune/*/recipe.yaml"))
    assert sorted(load_recipe(path).languages for path in tuned) == [("es",), ("gl",)]


def test_adapter_learnt_its_language_and_english_and_no_other(made):
    _, workspace, _ = made
    for path in workspace.glob("finetune/*/manifest.json"):
        manifest = json.loads(path.read_text())
        (lang,) = load_recipe(path.parent / "recipe.yaml").languages
        assert set(manifest["tallies"]) == {"en", lang}
        assert set(manifest["facts"]["stages"]) == {"english", "chains"}
    weights = {p.read_bytes() for p in workspace.glob("finetune/*/adapter/adapter_model.safetensors")}
    assert len(weights) == 2


def test_both_share_source_base_and_their_translations(made):
    _, workspace, _ = made
    counts = {stage: len(list(workspace.glob(f"{stage}/*/manifest.json"))) for stage in ("prepare", "base")}
    assert counts == {"prepare": 1, "base": 1}


def test_lineage_of_one_adapter_is_verified_and_names_its_language(made):
    _, workspace, _ = made
    for lang in ("es", "gl"):
        assert tell("lineage", "verify", f"tiny-{lang}@champion", "-w", workspace)["verified"] is True


def test_pipeline_fans_out_and_finds_what_the_terminal_made(made, tmp_path):
    recipe, workspace, _ = made
    before = {p: p.stat().st_mtime_ns for p in workspace.rglob("manifest.json")}
    compiled = ROOT / "pipelines" / "compiled" / "language_models.yaml"
    run_local(compiled, {"recipe": str(recipe), "workspace": str(workspace)}, tmp_path, print)
    [told] = (path.read_text("utf-8") for path in (workspace / "runs").glob("*.json"))
    assert '"promote"' in told and '"failed"' not in told, told
    assert {p: p.stat().st_mtime_ns for p in workspace.rglob("manifest.json")} == before, "done twice"


def test_one_language_alone_is_found_finished(made):
    recipe, workspace, _ = made
    code, answer, log = run(f"{recipe}#gl", workspace, "--runner", "direct")
    assert (code, answer["model"], answer["steps_now"]) == (0, "models:/tiny-gl/1", 0), log


def test_model_that_the_gate_refuses_holds_back_no_other(tmp_path, apertium):
    recipe = per_language(tmp_path / "in", rate=1.0)
    code, answer, log = run(recipe, tmp_path / "work", "--runner", "direct")
    assert code == 3
    assert "2 of 2 models refused" in answer["error"]["what"]
    assert "es:" in answer["error"]["what"] and "gl:" in answer["error"]["what"]
    assert "model gl (2 of 2)" in log


def test_verb_for_one_model_asks_which(made):
    recipe, workspace, _ = made
    command = [TONGUES, "finetune", str(recipe), "-w", str(workspace)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and f"{recipe}#es" in done.stderr
