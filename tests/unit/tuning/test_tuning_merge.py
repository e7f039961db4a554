"""Merging and the parity check, with faults planted in what is merged."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tongues.core.digests import digest_files
from tongues.core.errors import TuningError
from tongues.core.recipe import LoraSection, TuningSection
from tongues.core.records import Record
from tongues.tuning.merge import _round_to_bf16, merge
from tongues.tuning.parity import parity, parity_of_full
from tongues.tuning.sft import train

PROMPTS = ["Count to 3, please", "Bon dia"]


@pytest.fixture(scope="module")
def bf16_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base stored in bf16, as fetched models are."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("bf16") / "base"
    shutil.copytree(tiny_base, folder)
    AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(bf16_base: Path, records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gently trained adapter: its change is small against the steps of bf16."""
    out = tmp_path_factory.mktemp("tuned")
    lora = LoraSection(r=4, alpha=8, dropout=0.0)
    section = TuningSection(lora=lora, learning_rate=2e-3, max_steps=8, epochs=5, precision="fp32")
    train(
        train_records=records,
        validation_records=[],
        base=bf16_base,
        out=out,
        section=section,
        seed=1,
        say=lambda _: None,
    )
    return out / "adapter"


def scaled(adapter: Path, folder: Path, factor: float) -> Path:
    shutil.copytree(adapter, folder)
    path = folder / "adapter_config.json"
    config: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"lora_alpha": config["lora_alpha"] * factor}))
    return folder


def test_merge_keeps_a_change_smaller_than_the_rounding_step(
    bf16_base: Path, adapter: Path, tmp_path: Path
) -> None:
    merge(bf16_base, adapter, tmp_path / "merged")
    result = parity(bf16_base, adapter, tmp_path / "merged", PROMPTS)
    assert result.fold == pytest.approx(1, abs=0.02)
    assert result.likeness.prompts == 2
    assert result.likeness.tokens == 48


def test_merge_rounding_is_right_on_average_and_leaves_bf16_numbers_alone() -> None:
    import torch

    step = 2.0**-7  # between neighbours of 1 in bf16; to the nearest, a quarter of it is lost whole
    between = torch.nn.Linear(100, 100, bias=False)
    on_grid = torch.nn.Linear(100, 100, bias=False)
    torch.nn.init.constant_(between.weight, 1 + step / 4)
    on_grid.weight.data = on_grid.weight.data.bfloat16().float()
    before = on_grid.weight.clone()
    _round_to_bf16(torch.nn.ModuleList([between, on_grid]))
    assert set(between.weight.flatten().tolist()) == {1.0, 1 + step}
    assert float(between.weight.detach().float().mean()) == pytest.approx(1 + step / 4, abs=step / 50)
    assert bool((on_grid.weight.float() == before).all())


def test_merge_twice_gives_the_same_bytes(bf16_base: Path, adapter: Path, tmp_path: Path) -> None:
    merge(bf16_base, adapter, tmp_path / "one")
    merge(bf16_base, adapter, tmp_path / "two")
    assert digest_files(tmp_path / "one") == digest_files(tmp_path / "two")


def test_merge_writes_a_whole_model_in_bf16_with_its_template(
    bf16_base: Path, adapter: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    merge(bf16_base, adapter, tmp_path / "merged")
    merged, base = (load_file(f / "model.safetensors") for f in (tmp_path / "merged", bf16_base))
    assert merged.keys() == base.keys()
    assert {str(w.dtype) for w in merged.values()} == {"torch.bfloat16"}
    assert bool((merged["model.embed_tokens.weight"] == base["model.embed_tokens.weight"]).all())
    for name in ("chat_template.jinja", "tokenizer.json", "generation_config.json"):
        assert (tmp_path / "merged" / name).read_bytes() == (bf16_base / name).read_bytes()


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_parity_scaled_adapter_is_refused(
    factor: float, bf16_base: Path, adapter: Path, tmp_path: Path
) -> None:
    merge(bf16_base, scaled(adapter, tmp_path / "planted", factor), tmp_path / "merged")
    with pytest.raises(TuningError) as caught:
        parity(bf16_base, adapter, tmp_path / "merged", PROMPTS)
    found = re.search(r"hold ([\d.]+) of the adapter", caught.value.what)
    assert found is not None
    assert float(found[1]) == pytest.approx(factor, abs=0.03)


def test_parity_base_instead_of_merged_is_refused(bf16_base: Path, adapter: Path) -> None:
    with pytest.raises(TuningError, match=r"hold 0\.000 of the adapter"):
        parity(bf16_base, adapter, bf16_base, PROMPTS)


def test_parity_fault_outside_the_adapted_layers_is_refused(
    bf16_base: Path, adapter: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    merge(bf16_base, adapter, tmp_path / "merged")
    path = tmp_path / "merged" / "model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"] *= 1.5
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(TuningError, match="do not answer like what was trained"):
        parity(bf16_base, adapter, tmp_path / "merged", PROMPTS)


def test_parity_template_with_one_newline_more_is_refused(
    bf16_base: Path, adapter: Path, tmp_path: Path
) -> None:
    merge(bf16_base, adapter, tmp_path / "merged")
    template = tmp_path / "merged" / "chat_template.jinja"
    template.write_text(template.read_text() + "\n")
    with pytest.raises(
        TuningError, match=r"chat_template\.jinja of what was trained and what was written differ"
    ):
        parity(bf16_base, adapter, tmp_path / "merged", PROMPTS)


def test_merge_adapter_of_another_shape_is_refused(bf16_base: Path, adapter: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    foreign = tmp_path / "foreign"
    shutil.copytree(adapter, foreign)
    weights = load_file(foreign / "adapter_model.safetensors")
    cut = {name: w[:, :-1].contiguous() if "lora_A" in name else w for name, w in weights.items()}
    save_file(cut, foreign / "adapter_model.safetensors")
    with pytest.raises(TuningError, match="does not fit the base model"):
        merge(bf16_base, foreign, tmp_path / "merged")


@pytest.fixture(scope="module")
def dora(bf16_base: Path, records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DoRA adapter of the same kind."""
    out = tmp_path_factory.mktemp("dora")
    lora = LoraSection(r=4, alpha=8, dropout=0.0, variant="dora")
    train(
        train_records=records,
        validation_records=[],
        base=bf16_base,
        out=out,
        section=TuningSection(lora=lora, learning_rate=2e-3, max_steps=8, epochs=5, precision="fp32"),
        seed=1,
        say=lambda _: None,
    )
    return out / "adapter"


def test_parity_of_a_dora_adapter_holds_and_a_scaled_one_is_refused(
    bf16_base: Path, dora: Path, tmp_path: Path
) -> None:
    merge(bf16_base, dora, tmp_path / "merged")
    assert parity(bf16_base, dora, tmp_path / "merged", PROMPTS).fold == pytest.approx(1, abs=0.02)
    merge(bf16_base, scaled(dora, tmp_path / "planted", 1.1), tmp_path / "merged")
    with pytest.raises(TuningError, match="of the adapter, 1 is right"):
        parity(bf16_base, dora, tmp_path / "merged", PROMPTS)


@pytest.fixture(scope="module")
def fully(bf16_base: Path, records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that tuned all weights: trained in fp32, written in bf16."""
    out = tmp_path_factory.mktemp("fully")
    train(
        train_records=records,
        validation_records=[],
        base=bf16_base,
        out=out,
        section=TuningSection(mode="full", learning_rate=1e-3, max_steps=8, epochs=5, precision="fp32"),
        seed=1,
        say=lambda _: None,
    )
    return out


def test_parity_of_full_weights_allows_rounding_and_nothing_more(
    bf16_base: Path, fully: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    trained, merged = fully / "checkpoints" / "checkpoint-8", tmp_path / "merged"
    shutil.copytree(fully / "merged", merged)
    result = parity_of_full(bf16_base, trained, merged, PROMPTS)
    assert 0 < result.likeness.max_difference < 0.5
    weights = load_file(merged / "model.safetensors")
    assert {str(w.dtype) for w in weights.values()} == {"torch.bfloat16"}
    weights["model.norm.weight"] *= 1.1
    save_file(weights, merged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TuningError, match="do not answer like what was trained"):
        parity_of_full(bf16_base, trained, merged, PROMPTS)


def test_parity_of_full_weights_with_another_template_is_refused(
    bf16_base: Path, fully: Path, tmp_path: Path
) -> None:
    merged = tmp_path / "merged"
    shutil.copytree(fully / "merged", merged)
    template = merged / "chat_template.jinja"
    template.write_text(template.read_text() + "\n")
    with pytest.raises(TuningError, match=r"chat_template\.jinja .* differ"):
        parity_of_full(bf16_base, fully / "checkpoints" / "checkpoint-8", merged, PROMPTS)
