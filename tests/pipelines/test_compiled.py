"""Every compiled pipeline: as its source compiles, and free of names that exist only on a laptop."""

import builtins
import importlib
import re
import symtable
from pathlib import Path

import pytest
import yaml
from kfp.compiler import Compiler

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
    if compiled.stem == "multilingual_tuning":
        assert seen >= len(COMPONENTS)


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
