"""What training measures, shown to Prometheus as it goes: loss, speed, share of the device's peak."""

import time
from collections.abc import Callable
from typing import Any

from tongues.core.meters import METER

_NAME = "tongues_tuning_"
_PEAKS = {
    "H200": 989.4e12,
    "H100 PCIe": 756e12,
    "H100": 989.4e12,
    "A100": 312e12,
    "L40S": 362.05e12,
    "L4": 121e12,
    "A10": 125e12,
}
"""Dense bf16 operations per second of a device whose name has the key, the first that fits (NVIDIA's data
sheets; for the SXM form where there are several). Others have no share of a peak here."""


def peak_of(device: str) -> float | None:
    """Dense bf16 operations per second of a device by its name; None where it is not known."""
    words = device.replace("-", " ").split()
    return next((peak for key, peak in _PEAKS.items() if set(key.split()) <= set(words)), None)


def operations_per_token(parameters: int, trained: int) -> float:
    """Floating point operations that the model's own arithmetic takes for one trained token.

    Two per weight forwards, two for the gradient of activations, two for that of each trained weight
    (Kaplan et al. 2020, appendix B, where all weights are trained: 6 N). Attention over the sequence is left
    out, and so is what gradient checkpointing computes twice, as is usual for MFU.
    """
    return 4.0 * parameters + 2.0 * trained


def meter_callback(facts: Callable[[int], tuple[int, int]]) -> Any:
    """A transformers TrainerCallback that shows each step.

    Args:
        facts: step, from 1, to its tokens and labelled tokens.
    """
    from transformers import TrainerCallback

    class Shown(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Data and model are ready."""
            METER.set(_NAME + "steps", state.max_steps)
            self.share_per_token = _share_per_token(kwargs["model"])
            self.before = time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            """A step's figures have arrived; the closing summary has no "loss"."""
            if not logs or "loss" not in logs:
                return
            now, tokens = time.monotonic(), facts(state.global_step)[0]
            _show_step(state.global_step, logs["loss"], tokens, now - self.before, self.share_per_token)
            self.before = now

    return Shown()


def _share_per_token(model: Any) -> float | None:
    """Seconds at the devices' peak that one token takes; None where the peak is not known."""
    import torch

    peak = peak_of(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
    if peak is None:
        return None
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    trained = sum(size for size, is_trained in sizes if is_trained)
    return operations_per_token(sum(size for size, _ in sizes), trained) / peak


def _show_step(step: int, loss: float, tokens: int, seconds: float, share_per_token: float | None) -> None:
    rate = tokens / max(seconds, 1e-9)
    METER.set(_NAME + "step", step)
    METER.set(_NAME + "loss", loss)
    METER.set(_NAME + "tokens_total", METER.get(_NAME + "tokens_total") + tokens)
    METER.set(_NAME + "tokens_per_second", rate)
    if share_per_token is not None:
        METER.set(_NAME + "mfu_ratio", rate * share_per_token)
