"""The adapter's folder: the same bytes for the same weights, and everything needed to serve it."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

from tongues.tuning.models import TOKENIZER_FILES

_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
_COMPANIONS = (*TOKENIZER_FILES, "generation_config.json")


def export_adapter(
    model: Any, base: Path, folder: Path, *, base_name: str, weights: dict[str, Any] | None = None
) -> None:
    """Write the adapter with the base model's own tokenizer and chat template beside it.

    Args:
        model: a PEFT model.
        base: folder of the base model, whose tokenizer files are copied byte for byte.
        folder: replaced if it exists.
        base_name: stands in the config where PEFT writes a local path.
        weights: the model's state, where the model itself holds a part of it; None takes the model's own.
    """
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(
        folder,
        safe_serialization=True,
        save_embedding_layers=False,
        selected_adapters=["default"],
        state_dict=weights,
    )
    (folder / "README.md").unlink(missing_ok=True)  # a form with nothing filled in
    config = {key: _stable(value) for key, value in _read_config(folder).items()}
    _write_config(folder, config | {"base_model_name_or_path": base_name})
    copy_companions(base, folder)


def add_up(below: Path, above: Path, folder: Path) -> None:
    """Write one adapter that does what two do, one trained on top of the other folded into the base.

    Low-rank changes add up exactly: B1 A1 + B2 A2 = [B1 B2] [A1; A2], of the rank of both together. The
    scalings go into B, so that the result has scaling 1.

    Args:
        below: adapter that was folded into the base first.
        above: adapter that was trained on the result, on the same layers.
        folder: replaced if it exists; its tokenizer files are those of `above`.
    """
    import torch
    from safetensors.torch import load_file, save_file

    parts = [load_file(adapter / _WEIGHTS) for adapter in (below, above)]
    configs = [_read_config(adapter) for adapter in (below, above)]
    scalings = [_scaling(config) for config in configs]
    whole = {}
    for name in sorted(parts[1]):
        first, second = (part[name] for part in parts)
        if ".lora_A." in name:
            whole[name] = torch.cat([first, second], dim=0)
        else:
            whole[name] = torch.cat([first * scalings[0], second * scalings[1]], dim=1)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(above, folder)
    save_file(whole, folder / _WEIGHTS, metadata={"format": "pt"})
    rank = sum(config["r"] for config in configs)
    _write_config(folder, configs[1] | {"r": rank, "lora_alpha": rank, "use_rslora": False})


def _scaling(config: dict[str, Any]) -> float:
    root = math.sqrt(config["r"]) if config["use_rslora"] else config["r"]
    return float(config["lora_alpha"] / root)


def _read_config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / _CONFIG).read_text("utf-8"))
    return config


def _write_config(folder: Path, config: dict[str, Any]) -> None:
    (folder / _CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def copy_companions(base: Path, folder: Path) -> None:
    """Copy tokenizer, chat template and generation config; what served them to training serves on."""
    for name in _COMPANIONS:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)


def _stable(value: Any) -> Any:
    """PEFT keeps module names in sets, whose order changes from process to process."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return sorted(value)
    return value
