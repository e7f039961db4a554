"""What a step made of the machine: tokens/s, share of the GPU's peak, memory, processor."""

import resource
import time
from typing import Any

BF16_PEAK_TFLOPS = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125}
"""Dense bf16, as the makers' data sheets have it; looked up in the device's name, in this order."""


SYSTEM_MEASURES = ("memory_gib", "cpu_percent", "gpu_memory_gib")
"""Of what `Meter.step` returns, that which describes the machine."""


def peak_tflops() -> float | None:
    """The GPU's bf16 peak; None for a CPU and for a GPU that is not in the table."""
    import torch

    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    return next((float(peak) for known, peak in BF16_PEAK_TFLOPS.items() if known in name), None)


def flops_per_token(parameters: int, *, all_learn: bool) -> int:
    """Operations that training on a token needs, without those that are done twice to save memory.

    Forward two for each parameter, backward as many for the activations, and as many again where the
    parameter has a gradient of its own (Kaplan et al., arXiv 2001.08361, section 2.1; an adapter's own are
    left out).
    """
    return (6 if all_learn else 4) * parameters


class Meter:
    """Measures from one step to the next.

    Args:
        flops: operations per token.
        processes: that share the step, each with a device of its own.
    """

    def __init__(self, flops: int, processes: int = 1) -> None:
        import psutil

        self._flops, self._processes, self._peak = flops, processes, peak_tflops()
        self._process = psutil.Process()
        self.begin()

    def begin(self) -> None:
        """The next step starts now."""
        self._last = time.monotonic()
        self._process.cpu_percent()

    def step(self, tokens: int) -> dict[str, float]:
        """A step has ended; tokens_per_s, memory_gib (peak of this process), cpu_percent, and on a GPU
        gpu_memory_gib (peak) and mfu.

        Args:
            tokens: of the step, on all processes.
        """
        now = time.monotonic()
        rate, self._last = tokens / max(now - self._last, 1e-9), now
        seen = {"tokens_per_s": round(rate, 1), "memory_gib": round(_resident_peak() / 2**30, 3)}
        seen |= {"cpu_percent": self._process.cpu_percent()} | _gpu_memory()
        if self._peak:
            seen["mfu"] = round(rate * self._flops / (self._processes * self._peak * 1e12), 4)
        return seen


def _resident_peak() -> int:
    """Bytes; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _gpu_memory() -> dict[str, float]:
    import torch

    if not torch.cuda.is_available():
        return {}
    return {"gpu_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 3)}


def synchronised_time(device: Any) -> float:
    """Seconds on a clock of no date, once the device has done what it was given."""
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.monotonic()
