"""Which fused kernels a model computes with, and why."""

import importlib.util
from typing import Any, Literal


def use_fused_kernels(model: Any, wanted: Literal["auto", "torch"]) -> str:
    """Give a model Liger's kernels (arXiv 2410.10989) for norms, rotations and gated layers, where they run.

    The loss stays ours: it is taken at labelled positions alone, which Liger's is not.

    Args:
        model: the causal language model inside any PEFT wrapper, on its device.
        wanted: the recipe's `tuning.hardware.kernels`.

    Returns:
        What was chosen, with the reason, as half a sentence.
    """
    import torch

    if wanted == "torch":
        return "torch's kernels: the recipe says so"
    if not torch.cuda.is_available():
        return "torch's kernels: Liger's need a GPU"
    if importlib.util.find_spec("liger_kernel") is None:
        return "torch's kernels: the package liger-kernel is not installed"
    from liger_kernel.transformers import monkey_patch  # type: ignore[import-not-found]

    kind = model.config.model_type
    if kind not in monkey_patch.MODEL_TYPE_TO_APPLY_LIGER_FN:
        return f"torch's kernels: Liger has none for {kind}"
    monkey_patch._apply_liger_kernel_to_instance(
        model=model, cross_entropy=False, fused_linear_cross_entropy=False
    )
    return "Liger's kernels for norms, rotations and gated layers"
