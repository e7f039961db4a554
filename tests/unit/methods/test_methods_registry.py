from typing import get_args

import pytest

from tongues.core.errors import RecipeError
from tongues.core.recipe import CrossInMethod, DirectMethod
from tongues.methods import crossin, direct
from tongues.methods.registry import builder, methods


def test_registry_holds_every_method_that_a_recipe_can_name() -> None:
    sections = (DirectMethod, CrossInMethod)
    named = {get_args(section.model_fields["method"].annotation)[0] for section in sections}
    assert named <= methods().keys()
    assert (builder("direct"), builder("crossin")) == (direct.build, crossin.build)


def test_registry_holds_no_module_that_is_not_a_method() -> None:
    assert not {"draws", "prompts", "registry"} & methods().keys()


def test_registry_of_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"unknown method 'sphynx'; known: crossin, direct"):
        builder("sphynx")
