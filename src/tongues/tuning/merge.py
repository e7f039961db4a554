"""Write full weights, from an adapter or as they are, rounded so that nothing learnt is lost.

Base weights lie on the bf16 grid, and much of an adapter's change is smaller than half a step of it:
rounding to the nearest would put those weights back to where they were. On a 135 M model after 60
steps a quarter of the adapter was lost that way, in some layers half. Merged weights are therefore
rounded stochastically, up or down with the odds of their distance (Gupta et al. 2015, arXiv
1502.02551), from a fixed seed: the change is kept on average, and the log-probabilities came out four
times closer. That they answer like what was trained is `tongues.tuning.parity`'s to show.
"""

import shutil
from pathlib import Path
from typing import Any

from tongues.core.errors import TuningError
from tongues.tuning.adapter import copy_companions
from tongues.tuning.models import Precision, load_model

_SEED = 0


def merge(base: Path, adapter: Path, merged: Path) -> None:
    """Write full weights with the adapter folded in, in the type the base is stored in.

    The sum is taken in fp32 and rounded once; the same inputs give the same bytes.

    Args:
        base: folder of the base model.
        adapter: folder written by `train`.
        merged: replaced if it exists; gets safetensors, tokenizer, template, generation config.

    Raises:
        TuningError: base or adapter cannot be read, or do not belong together.
    """
    model = with_adapter(base, adapter).merge_and_unload(safe_merge=True)
    if _stored_precision(base) == "bf16":
        _round_to_bf16(model)
    shutil.rmtree(merged, ignore_errors=True)
    model.save_pretrained(merged)
    copy_companions(adapter, merged)


def export_full(model: Any, base: Path, merged: Path) -> None:
    """Write weights that were trained as a whole, in the type the base is stored in.

    Args:
        model: in fp32; rounded in place.
        base: folder of the base model, whose tokenizer files are copied byte for byte.
        merged: replaced if it exists.
    """
    if _stored_precision(base) == "bf16":
        _round_to_bf16(model)
    shutil.rmtree(merged, ignore_errors=True)
    model.save_pretrained(merged)
    copy_companions(base, merged)


def _round_to_bf16(model: Any) -> None:
    """Round every weight up or down at random; one that is a bf16 number already stays as it is."""
    import torch

    draw = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            bits = weight.float().contiguous().view(torch.int32)
            dither = torch.randint(0, 1 << 16, bits.shape, generator=draw, dtype=torch.int32)
            weight.copy_(((bits + dither) & -(1 << 16)).view(torch.float32))
    model.to(torch.bfloat16)


def _stored_precision(base: Path) -> Precision:
    from transformers import AutoConfig

    dtype = str(AutoConfig.from_pretrained(base, local_files_only=True).dtype)
    return "fp32" if dtype == "torch.float32" else "bf16"


def with_adapter(base: Path, adapter: Path) -> Any:
    """The adapter beside its base, both in fp32.

    Raises:
        TuningError: they cannot be read, or do not belong together.
    """
    from peft import PeftModel

    model = load_model(base, "fp32")
    try:
        return PeftModel.from_pretrained(model, adapter, use_safetensors=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise TuningError(
            f"the adapter does not fit the base model ({str(error).strip().splitlines()[0]})",
            where=str(adapter),
            fix="train it again on this base model",
        ) from error
