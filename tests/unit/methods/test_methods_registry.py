from typing import get_args

import pytest

from tongues.core.errors import RecipeError
from tongues.core.recipe import MethodSection
from tongues.methods import crossin, direct, qalign, sphinx, taco
from tongues.methods.registry import builder, methods


def test_registry_holds_every_method_that_a_recipe_can_name() -> None:
    sections = get_args(get_args(MethodSection)[0])
    named = {get_args(section.model_fields["method"].annotation)[0] for section in sections}
    assert named <= methods().keys()
    assert len(sections) == len(named) >= 5


@pytest.mark.parametrize("module", [direct, sphinx, taco, crossin, qalign])
def test_registry_finds_a_method_by_the_name_of_its_module(module) -> None:
    assert builder(module.__name__.rpartition(".")[2]) is module.build


def test_registry_holds_no_module_that_is_not_a_method() -> None:
    others = {
        "agnostic",
        "asking",
        "demand",
        "dialogues",
        "draws",
        "likeness",
        "pairs",
        "sift",
        "prompts",
        "registry",
        "shots",
    }
    assert not others & methods().keys()


def test_registry_of_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"unknown method 'sphynx'; known: crossin, direct"):
        builder("sphynx")
