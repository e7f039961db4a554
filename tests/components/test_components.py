"""Every component: thin, and with the arguments of its step."""

import ast
import importlib
import inspect
from pathlib import Path
from typing import get_args

import pytest

from tongues.core.recipe import StepName
from tongues.stages import steps

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(p.parent.name for p in (ROOT / "components").glob("*/component.py"))


def component(name):
    return getattr(importlib.import_module(f"components.{name}.component"), name)


def function_of(source, name):
    [node] = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == name]
    return node


def test_all_components_are_visited():
    steps_of_a_run = get_args(StepName)
    assert sorted(steps_of_a_run) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_body_has_at_most_12_lines_and_one_call_of_its_step(name):
    code = function_of(inspect.getsource(component(name).python_func), name).body
    assert code[-1].end_lineno - code[0].lineno + 1 <= 12
    calls = [n for n in ast.walk(ast.Module(code, [])) if isinstance(n, ast.Call)]
    assert [c.func.attr for c in calls if getattr(getattr(c.func, "value", None), "id", "") == "steps"] == [
        name
    ]


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_those_of_the_step(name):
    step = inspect.signature(getattr(steps, name)).parameters
    spec = component(name).component_spec
    positional = [n for n, p in step.items() if p.kind is not p.KEYWORD_ONLY]
    # How a run ended is one input in KFP and two plain values for the step.
    given = [n for one in spec.inputs for n in (("state", "message") if one == "status" else (one,))]
    assert given == positional
