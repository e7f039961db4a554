"""What the tuning section refuses, before anything is loaded."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tongues.core.recipe import Recipe, TuningSection
from tongues.core.recipe_file import load_recipe

QUICKSTART = Path(__file__).resolve().parents[3] / "recipes" / "quickstart.yaml"


def refused(**section: object) -> str:
    with pytest.raises(ValidationError) as caught:
        TuningSection.model_validate(section)
    return str(caught.value)


def test_full_mode_has_a_gentler_learning_rate_unless_one_is_given() -> None:
    assert TuningSection().learning_rate == 2e-4
    assert TuningSection(mode="full").learning_rate == 2e-5
    assert TuningSection(mode="full", learning_rate=1e-3).learning_rate == 1e-3


def test_full_mode_with_four_bit_weights_is_refused() -> None:
    assert "4-bit weights cannot be trained" in refused(mode="full", quantise="nf4")


def test_stages_that_cannot_follow_each_other_are_all_named() -> None:
    stages = [{"name": "one", "adapter": "merge"}, {"name": "one", "adapter": "merge"}]
    message = refused(stages=stages, lora={"variant": "dora"})
    assert "two stages are named 'one'" in message
    assert "no adapter stands before it" in message
    assert "two DoRA adapters do not add up" in message


def test_full_mode_has_no_adapter_to_merge() -> None:
    stages = [{"name": "one"}, {"name": "two", "adapter": "merge"}]
    assert "mode full trains no adapter" in refused(mode="full", stages=stages)


def test_stage_named_preference_beside_a_preference_section_is_refused() -> None:
    assert "two stages are named 'preference'" in refused(stages=[{"name": "preference"}], preference={})


def test_stage_that_takes_an_unknown_language_is_refused() -> None:
    assert "xx" in refused(stages=[{"name": "one", "take": {"languages": ["xx"]}}])


@pytest.mark.parametrize(
    ("tuning", "reason"),
    [
        ({"mode": "full"}, "tuning.mode full trains no adapter"),
        ({"lora": {"variant": "dora"}}, "serves no DoRA"),
    ],
)
def test_recipe_that_serves_an_adapter_vllm_cannot_have_is_refused(
    tuning: dict[str, object], reason: str
) -> None:
    recipe = load_recipe(QUICKSTART).model_dump(mode="json")
    with pytest.raises(ValidationError, match=reason):
        Recipe.model_validate(recipe | {"tuning": tuning, "serving": {"mode": "adapter"}})
    assert Recipe.model_validate(recipe | {"tuning": tuning, "serving": {"mode": "merged"}})
