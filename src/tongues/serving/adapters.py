"""LoRA adapters as vLLM takes them: refused for what it could not serve, and written out for it to load."""

import filecmp
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tongues.core.errors import ServingError
from tongues.core.manifest import write_atomically

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_TOKENIZER, _BASE = "tokenizer.json", "base_model_name_or_path"
_LENGTH_BYTES = 8
_MOST_HEADER_BYTES = 64 << 20


def check_adapter(folder: Path, *, base: Path, max_rank: int) -> None:
    """Refuse an adapter that the server would refuse, or would serve as something else.

    Args:
        folder: adapter as PEFT saved it.
        base: folder of the base model that is served.
        max_rank: highest rank the server was started for.

    Raises:
        ServingError: with every reason at once.
    """
    if reasons := list(_reasons(folder, base, max_rank)):
        fix = "serve it merged, tune it again, or start the endpoint for it"
        raise ServingError("; ".join(reasons), where=str(folder), fix=fix)


def _reasons(folder: Path, base: Path, max_rank: int) -> Iterator[str]:
    config = _json(folder / CONFIG)
    if config.get("peft_type") != "LORA":
        yield f"peft_type is {config.get('peft_type')!r}, not LORA"
    ranks = [config.get("r", 0), *(config.get("rank_pattern") or {}).values()]
    if max(ranks) > max_rank:
        yield f"rank {max(ranks)} is above the server's {max_rank}"
    for name in ("use_dora", "modules_to_save", "trainable_token_indices", "lora_bias", "layer_replication"):
        if config.get(name):
            yield f"vLLM serves no {name} ({config[name]})"
    if foreign := [name for name in _tensors(folder / WEIGHTS) if ".lora_" not in name]:
        yield f"weights that are no LoRA, as of added tokens: {', '.join(foreign[:3])}"
    if extra := sorted(_added_tokens(folder) - _added_tokens(base)):
        yield f"tokens that the base does not have: {', '.join(extra[:5])}"


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ServingError(f"cannot be read ({error})", where=str(path), fix="tune it again") from error
    return found


def _tensors(path: Path) -> list[str]:
    """Names of the tensors in a safetensors file: its first bytes are their length and then their JSON."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            header = json.loads(stream.read(min(length, _MOST_HEADER_BYTES)))
    except (OSError, ValueError) as error:
        raise ServingError(
            f"not a safetensors file ({error})", where=str(path), fix="tune it again"
        ) from error
    return [name for name in header if name != "__metadata__"]


def _added_tokens(folder: Path) -> set[str]:
    path = folder / _TOKENIZER
    return {token["content"] for token in _json(path)["added_tokens"]} if path.is_file() else set()


def write_for_vllm(folder: Path, target: Path, *, base: str) -> Path:
    """Write an adapter out for the server, all or nothing; the same one that stands there is kept.

    Args:
        folder: verified adapter.
        target: folder to make, below the only one that the server loads from.
        base: the server's own --model argument, which vLLM's resolver compares letter by letter.
    """
    if target.is_dir():
        if _json(target / CONFIG).get(_BASE) == base and _same(folder / WEIGHTS, target / WEIGHTS):
            return target
        shutil.rmtree(target)
    making = target.with_name(f".{target.name}.partial")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    shutil.copyfile(folder / WEIGHTS, making / WEIGHTS)
    config = _json(folder / CONFIG) | {_BASE: base}
    write_atomically(making / CONFIG, json.dumps(config, indent=1, sort_keys=True).encode())
    making.rename(target)
    return target


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)
