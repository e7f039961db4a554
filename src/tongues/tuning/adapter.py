"""The adapter's folder: the same bytes for the same weights, and everything needed to serve it."""

import json
import shutil
from pathlib import Path
from typing import Any

from tongues.tuning.models import TOKENIZER_FILES

_COMPANIONS = (*TOKENIZER_FILES, "generation_config.json")


def export_adapter(model: Any, base: Path, folder: Path, *, base_name: str) -> None:
    """Write the adapter with the base model's own tokenizer and chat template beside it.

    Args:
        model: a PEFT model.
        base: folder of the base model, whose tokenizer files are copied byte for byte.
        folder: replaced if it exists.
        base_name: stands in the config where PEFT writes a local path.
    """
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # a form with nothing filled in
    path = folder / "adapter_config.json"
    config = {key: _stable(value) for key, value in json.loads(path.read_text("utf-8")).items()}
    config["base_model_name_or_path"] = base_name
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    copy_companions(base, folder)


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
