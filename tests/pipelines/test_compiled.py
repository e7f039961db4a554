"""Every compiled pipeline: as its source compiles, and free of names that exist only on a laptop."""

import builtins
import hashlib
import importlib
import re
import symtable
from pathlib import Path

import pytest
import yaml
from kfp.compiler import Compiler

from tongues.core.recipe import KEY_STEPS

ROOT = Path(__file__).resolve().parents[2]
COMPILED = sorted((ROOT / "pipelines" / "compiled").glob("*.yaml"))
COMPONENTS = sorted(p.parent.name for p in (ROOT / "components").glob("*/component.py"))


def embedded_sources(compiled):
    """Component name to the source that KFP put into the IR and a pod will execute."""
    ir = next(yaml.safe_load_all(compiled.read_text()))
    for label, executor in ir["deploymentSpec"]["executors"].items():
        program = executor["container"]["command"][-1]
        yield re.sub(r"-\d+$", "", label.removeprefix("exec-")), program  # a second use is numbered


def test_every_pipeline_is_compiled():
    sources = {p.stem for p in (ROOT / "pipelines").glob("*.py")} - {"__init__"}
    assert {p.stem for p in COMPILED} == sources


@pytest.mark.parametrize("compiled", COMPILED, ids=lambda p: p.stem)
def test_embedded_source_uses_no_name_from_outside_its_own_body(compiled):
    """Executed in an empty namespace: what only the module of the component has, the pod has not."""
    seen = 0
    for name, program in embedded_sources(compiled):
        namespace = {}
        exec(compile(program, name, "exec"), namespace)
        function = namespace[name.replace("-", "_")]
        table = symtable.symtable(program, name, "exec")
        [inner] = [t for t in table.get_children() if t.get_name() == function.__name__]
        unknown = (
            {s.get_name() for s in inner.get_symbols() if s.is_global()} - set(dir(builtins)) - set(namespace)
        )
        assert not unknown, f"{name} leans on {unknown}"
        seen += 1
    assert seen


def test_every_component_is_in_a_pipeline():
    found = {name for compiled in COMPILED for name, _ in embedded_sources(compiled)}
    assert found == set(COMPONENTS)


NATIVE = sorted((ROOT / "pipelines" / "compiled" / "kubernetes").glob("*.yaml"))


def test_every_pipeline_stands_as_kubernetes_objects_too():
    assert [p.name for p in NATIVE] == [p.name for p in COMPILED]


@pytest.mark.parametrize("native", NATIVE, ids=lambda p: p.stem)
def test_kubernetes_objects_are_named_after_their_content(native):
    pipeline, version = yaml.safe_load_all(native.read_text())
    compiled = native.parents[1] / native.name
    assert (pipeline["kind"], version["kind"]) == ("Pipeline", "PipelineVersion")
    assert version["spec"]["pipelineName"] == pipeline["metadata"]["name"]
    digest = hashlib.sha256(compiled.read_bytes()).hexdigest()[:12]
    assert version["metadata"]["name"] == f"{pipeline['metadata']['name']}-{digest}"
    assert version["spec"]["pipelineSpec"] == next(yaml.safe_load_all(compiled.read_text()))


@pytest.mark.parametrize("compiled", COMPILED, ids=lambda p: p.stem)
def test_secrets_come_by_reference_and_engine_keys_only_where_engines_are_called(compiled):
    ir, platform = yaml.safe_load_all(compiled.read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for label, executor in ir["deploymentSpec"]["executors"].items():
        said = {one["name"] for one in executor["container"].get("env", [])}
        assert said == {"TONGUES_METRICS_PORT"}, "nothing secret stands in the pipeline itself"
        secrets = {one["secretName"] for one in executors[label]["secretAsEnv"]}
        calls = label.removeprefix("exec-").rsplit("-", 1)[0 if label[-1].isdigit() else -1] in KEY_STEPS
        assert ("tongues-pipeline-engines" in secrets) == calls, label
        assert all(one["optional"] for one in executors[label]["secretAsEnv"])


def test_a_run_that_fails_is_reported_too():
    for compiled in COMPILED:
        ir = next(yaml.safe_load_all(compiled.read_text()))
        task = ir["root"]["dag"]["tasks"]["report"]
        assert task["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"


def test_trying_again_waits_longer_each_time_and_no_step_hangs_for_ever():
    ir, platform = yaml.safe_load_all((ROOT / "pipelines/compiled/multilingual_tuning.yaml").read_text())
    retry = ir["components"]["comp-exit-handler-1"]["dag"]["tasks"]["finetune"]["retryPolicy"]
    assert retry == {
        "maxRetryCount": 3,
        "backoffDuration": "30s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "600s",
    }
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(executors) == set(ir["deploymentSpec"]["executors"])
    assert all(int(one["activeDeadlineSeconds"]) > 0 for one in executors.values())


@pytest.mark.parametrize("name", ["multilingual_tuning", "promote_model"])
def test_serving_is_left_out_unless_asked_for_and_comes_after_the_gate(name):
    ir, platform = yaml.safe_load_all((ROOT / f"pipelines/compiled/{name}.yaml").read_text())
    asked = ir["root"]["inputDefinitions"]["parameters"]
    for switch in ("serve", "with_runtime"):
        assert (asked[switch]["parameterType"], asked[switch]["defaultValue"]) == ("BOOLEAN", False)
    road = ir["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    (behind,) = (task for task in road.values() if "condition" in task.get("triggerPolicy", {}))
    assert behind["triggerPolicy"]["condition"].endswith("--serve'] == true")
    assert behind["dependentTasks"] == ["promote"]
    (step,) = ir["components"][behind["componentRef"]["name"]]["dag"]["tasks"].values()
    assert step["componentRef"]["name"] == "comp-serve"
    assert step["cachingOptions"] == {} and step["retryPolicy"]["maxRetryCount"] == 2
    outputs = ir["components"]["comp-serve"]["outputDefinitions"]
    assert outputs["artifacts"]["state"]["artifactType"]["schemaTitle"] == "system.Markdown"
    assert outputs["parameters"]["Output"]["parameterType"] == "STRING"
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert int(executors["exec-serve"]["activeDeadlineSeconds"]) > 0


def test_a_body_that_leans_on_its_module_is_caught(tmp_path):
    """The check above must be able to fail."""
    program = "import kfp\n\ndef bad(x: int) -> int:\n    return x + LIMIT\n"
    table = symtable.symtable(program, "bad", "exec")
    [inner] = [t for t in table.get_children() if t.get_name() == "bad"]
    assert {s.get_name() for s in inner.get_symbols() if s.is_global()} - set(dir(builtins)) == {"LIMIT"}


@pytest.mark.parametrize("compiled", COMPILED, ids=lambda p: p.stem)
def test_compiled_pipeline_is_what_the_source_compiles_to(compiled, tmp_path):
    pipeline = importlib.import_module(f"pipelines.{compiled.stem}").build({})
    Compiler().compile(pipeline, str(tmp_path / "again.yaml"))
    assert (tmp_path / "again.yaml").read_text() == compiled.read_text(), "run `make compile` and commit"


@pytest.mark.parametrize("compiled", COMPILED, ids=lambda p: p.stem)
def test_pipeline_form_is_short_and_starts_with_the_recipe(compiled):
    ir = next(yaml.safe_load_all(compiled.read_text()))
    inputs = list(ir["root"]["inputDefinitions"]["parameters"])
    assert "recipe" in inputs and len(inputs) <= 8
    assert all(p.get("description") for p in ir["root"]["inputDefinitions"]["parameters"].values())


@pytest.mark.parametrize("compiled", COMPILED, ids=lambda p: p.stem)
def test_images_are_pinned_and_nothing_is_installed_at_run_time(compiled):
    text = compiled.read_text()
    images = re.findall(r"image: (\S+)", text)
    assert images and all(":" in i and not i.endswith(":latest") for i in images)
    assert "pip install" not in text
