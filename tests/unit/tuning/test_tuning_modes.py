"""What learns in each mode, and that what is written answers like what was trained."""

import json
from pathlib import Path
from typing import Any

import pytest

from tongues.core.errors import PreflightError
from tongues.core.recipe import LoraSection, TuningSection
from tongues.core.records import Record
from tongues.tuning.adapter import add_up
from tongues.tuning.merge import merge
from tongues.tuning.models import load_model
from tongues.tuning.modes import trainable_model
from tongues.tuning.parity import parity, parity_of_full
from tongues.tuning.result import TuningResult
from tongues.tuning.sft import train

PROMPTS = ["Count to 3, please", "Bon dia"]
SIZES: dict[str, Any] = {"max_steps": 4, "epochs": 5, "batch_rows": 4, "precision": "fp32"}


def run(records: list[Record], base: Path, out: Path, section: TuningSection, **more: Any) -> TuningResult:
    return train(
        train_records=records[:20],
        validation_records=records[20:],
        base=base,
        out=out,
        section=section,
        seed=7,
        say=lambda _: None,
        **more,
    )


def lora(variant: str) -> TuningSection:
    shape = LoraSection.model_validate({"r": 4, "alpha": 8, "dropout": 0.1, "variant": variant})
    return TuningSection(lora=shape, learning_rate=5e-3, **SIZES)


@pytest.mark.parametrize("variant", ["standard", "rslora", "dora"])
def test_gradient_reaches_the_adapters_weights_and_no_other(variant: str, tiny_base: Path) -> None:
    import torch

    model = trainable_model(tiny_base, lora(variant), "fp32", "sdpa", adapter=None, seed=1)
    for name, weight in model.named_parameters():
        if "lora_B" in name:  # zero at the start, and then no gradient passes to lora_A
            torch.nn.init.normal_(weight)
    ids = torch.arange(40)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    moved = {name for name, w in model.named_parameters() if w.grad is not None and bool(w.grad.any())}
    assert moved == {name for name, _ in model.named_parameters() if "lora_" in name}
    assert any("magnitude" in name for name in moved) == (variant == "dora")


@pytest.mark.parametrize("variant", ["standard", "rslora", "dora"])
def test_each_variant_learns_and_merges_whole(
    variant: str, records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    result = run(records, tiny_base, tmp_path, lora(variant))
    assert result.validation_loss["all"] < result.validation_loss_before["all"]
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["use_rslora"], config["use_dora"]) == (variant == "rslora", variant == "dora")
    assert config["modules_to_save"] is None
    merge(tiny_base, tmp_path / "adapter", tmp_path / "merged")
    alike = parity(tiny_base, tmp_path / "adapter", tmp_path / "merged", PROMPTS)
    assert alike.fold == pytest.approx(1, abs=1e-3)
    assert alike.likeness.agreement == 1


def test_rslora_scales_by_the_root_of_the_rank(tiny_base: Path) -> None:
    for variant, scaling in (("standard", 8 / 4), ("rslora", 8 / 2)):
        model = trainable_model(tiny_base, lora(variant), "fp32", "sdpa", adapter=None, seed=1)
        layers = [m for m in model.modules() if hasattr(m, "lora_A")]
        assert {layer.scaling["default"] for layer in layers} == {scaling}


def test_full_mode_moves_every_weight_and_leaves_no_adapter(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    result = run(records, tiny_base, tmp_path, TuningSection(mode="full", learning_rate=1e-3, **SIZES))
    assert result.validation_loss["all"] < result.validation_loss_before["all"]
    assert not (tmp_path / "adapter").exists()
    before, after = (dict(load_model(f, "fp32").named_parameters()) for f in (tiny_base, tmp_path / "merged"))
    assert result.trainable_parameters == sum(w.numel() for w in before.values())
    assert all(not bool((before[name] == after[name]).all()) for name in before)
    trained = tmp_path / "checkpoints" / "checkpoint-4"
    alike = parity_of_full(tiny_base, trained, tmp_path / "merged", PROMPTS)
    assert (alike.likeness.agreement, alike.likeness.max_difference) == (1, 0)


def test_full_mode_resumed_is_the_uninterrupted_run(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    class PowerCutError(Exception):
        pass

    def cut(row: dict[str, float]) -> None:
        if row["step"] == 3:
            raise PowerCutError

    section = TuningSection(mode="full", learning_rate=1e-3, checkpoint_steps=2, **SIZES)
    whole = run(records, tiny_base, tmp_path / "whole", section)
    with pytest.raises(PowerCutError):
        run(records, tiny_base, tmp_path / "cut", section, on_step=cut)
    resumed = run(records, tiny_base, tmp_path / "cut", section)
    assert resumed.resumed_from == 2
    assert resumed.validation_loss == whole.validation_loss
    one, other = ((tmp_path / n / "merged" / "model.safetensors").read_bytes() for n in ("whole", "cut"))
    assert one == other


def test_four_bit_weights_are_refused_where_there_is_no_gpu(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(PreflightError, match="needs an NVIDIA GPU, and there is none here"):
        run(records, tiny_base, tmp_path, TuningSection(quantise="nf4", **SIZES))


@pytest.mark.parametrize("variant", ["standard", "rslora"])
def test_two_adapters_add_up_to_one_that_does_what_both_do(
    variant: str, records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel

    run(records, tiny_base, tmp_path / "one", lora(variant))
    merge(tiny_base, tmp_path / "one" / "adapter", tmp_path / "base")
    run(records[::-1], tmp_path / "base", tmp_path / "two", lora(variant))
    add_up(tmp_path / "one" / "adapter", tmp_path / "two" / "adapter", tmp_path / "sum")
    ids = torch.arange(60)[None]
    with torch.no_grad():
        both = PeftModel.from_pretrained(load_model(tmp_path / "base", "fp32"), tmp_path / "two" / "adapter")
        one = PeftModel.from_pretrained(load_model(tiny_base, "fp32"), tmp_path / "sum")
        assert one.peft_config["default"].r == 8
        assert torch.allclose(both(ids).logits, one(ids).logits, atol=1e-4)
