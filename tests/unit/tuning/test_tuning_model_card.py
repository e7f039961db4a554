"""The card that travels with the weights."""

from typing import Any

import pytest
import yaml

from tongues.core.recipe import LoraSection, TuningSection
from tongues.tuning.model_card import CardFacts, model_card, with_results
from tongues.tuning.result import TuningResult

STAGES: list[dict[str, Any]] = [
    {"name": "english", "kind": "supervised", "records": 40, "steps": 5, "tokens": 900},
    {"name": "preference", "kind": "preference", "records": 6, "steps": 2, "tokens": 80},
]
for stage, rate in zip(STAGES, (2e-4, 5e-6), strict=True):
    stage["learning_rate"] = rate


def facts(**more: Any) -> CardFacts:
    given: dict[str, Any] = {
        "base_name": "Tiny-1B",
        "base_licence": "Apache-2.0",
        "data_licence": "CC-BY-4.0 AND MIT",
        "data_card": "s3://bucket/assemble/1/card.md",
        "data_sha256": "ab" * 32,
        "rows": {"no": 2000, "es": 30},
        "is_adapter": True,
    }
    return CardFacts(**given | more)


@pytest.fixture
def result() -> TuningResult:
    return TuningResult(
        steps_run=7,
        steps_total=7,
        resumed_from=None,
        tokens=980,
        label_tokens=490,
        rows=46,
        train_loss=1.5,
        validation_loss={"no": 2.0, "es": 1.0, "all": 1.5},
        validation_loss_before={"no": 3.0, "es": 2.5, "all": 2.75},
        dropped=[],
        seconds=1.0,
        tokens_per_s=980.0,
        padding_share=0.0,
        precision="bf16",
        trainable_parameters=1234567,
    )


def head(card: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return loaded


def test_head_is_yaml_that_any_reader_reads_alike(result: TuningResult) -> None:
    card = model_card(facts(rows={"no": 5}), TuningSection(), STAGES, result)
    assert head(card) == {
        "license": "apache-2.0",
        "base_model": "Tiny-1B",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "language": ["no"],
        "tags": ["tongues"],
    }
    assert head(model_card(facts(is_adapter=False), TuningSection(), STAGES, result))["library_name"] == (
        "transformers"
    )


def test_card_has_stages_losses_data_and_the_limits_that_apply(result: TuningResult) -> None:
    section = TuningSection(lora=LoraSection(variant="dora"))
    card = model_card(facts(), section, STAGES, result)
    for line in (
        "| Spanish | `es` | 30 |",
        "- weights that learnt: 1,234,567",
        "| english | next token | 40 | 5 | 900 | 0.0002 |",
        "| preference | preference (DPO) | 6 | 2 | 80 | 5e-06 |",
        "| es | 2.500 | 1.000 |",
        "[Card of the training data](s3://bucket/assemble/1/card.md)",
        "licence CC-BY-4.0 AND MIT",
        "vLLM serves it only merged",
    ):
        assert line in card
    assert "Fewer than 1000 records: Spanish." in card
    full = model_card(facts(is_adapter=False), TuningSection(mode="full"), STAGES, result)
    assert "- mode: all weights" in full
    assert "DoRA" not in full


def test_results_stand_at_the_end_of_the_registrys_copy(result: TuningResult) -> None:
    card = model_card(facts(), TuningSection(), STAGES, result)
    assert with_results(card, "| a | b |\n").endswith("## Evaluation\n\n| a | b |\n")
