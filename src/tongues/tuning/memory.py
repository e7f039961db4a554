"""What a training needs in memory, said before it starts: parts, device, and what to lower by how much.

An estimate, kept on the safe side: weights, gradients and optimiser are counted exactly, activations by
what a transformer's backward pass keeps per token (Korthikanti et al., arXiv 2205.05198, counted anew for
gated layers, with a share that was measured on top). The shares were set by runs on a CPU, which stay below
it; no GPU was at hand to compare with.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tongues.core.recipe import TuningSection
from tongues.tuning.base_model import weight_count
from tongues.tuning.models import Precision
from tongues.tuning.ranks import Ranks

_LIBRARIES_BYTES = 400 * 2**20
_NF4_BYTES = 0.6
_LOSS_CHUNK_BYTES = 3 * 64 * 2**20
_HIDDEN_COPIES, _INNER_COPIES, _ATTENDED_COPIES = 26, 8, 6
_FULL_COPIES = 1.0
_ROOM = 0.92
"""Share of the device that may be filled; the rest goes to fragments and to what else runs there."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes of one training on one device.

    Args:
        weights: frozen weights, or all where all learn.
        learning: what learns, with gradients and two optimiser moments, in fp32.
        per_token: activations of one token of a pass.
        pass_tokens: tokens of the largest pass.
        fixed: libraries, and the part of the logits that exists at once.
        per_token_recomputed: the same where activations are computed again in the backward pass.
        shares: processes that weights, gradients and optimiser are divided among.
        recomputes: whether activations are computed again.
    """

    weights: int
    learning: int
    per_token: int
    pass_tokens: int
    fixed: int
    per_token_recomputed: int
    shares: int = 1
    recomputes: bool = False

    @property
    def held(self) -> int:
        """All but the activations. Divided weights come together a layer at a time, here a tenth more."""
        whole = self.weights + self.learning
        return (whole if self.shares == 1 else whole // self.shares + self.weights // 10) + self.fixed

    @property
    def activation(self) -> int:
        """Activations of one token, as they are kept."""
        return self.per_token_recomputed if self.recomputes else self.per_token

    @property
    def total(self) -> int:
        """All of it."""
        return self.held + self.activation * self.pass_tokens

    def told(self) -> str:
        """The parts, in GiB."""
        among = f", divided among {self.shares} processes" if self.shares > 1 else ""
        parts = {
            f"weights, gradients and optimiser{among}" if among else "weights": (
                self.held - self.fixed if among else self.weights
            ),
            "gradients and optimiser": 0 if among else self.learning,
            f"activations of {self.pass_tokens} tokens": self.activation * self.pass_tokens,
            "libraries and logits": self.fixed,
        }
        parts = {name: size for name, size in parts.items() if size}
        return ", ".join(f"{name} {gib(size)}" for name, size in parts.items())


@dataclass(frozen=True, slots=True)
class Device:
    """Where the training runs: its name, and bytes that are free on it."""

    name: str
    free: int


def gib(size: float) -> str:
    """Bytes as a reader wants them."""
    return f"{size / 2**30:.1f} GiB"


def needs(base: Path, section: TuningSection, precision: Precision, lengths: Sequence[int]) -> Needs:
    """Estimate the memory of a training.

    Args:
        base: folder of the base model.
        section: the recipe's tuning section.
        precision: what frozen weights are held in.
        lengths: tokens of each training row.
    """
    config = json.loads((base / "config.json").read_text("utf-8"))
    config = config.get("text_config", config)
    parameters = weight_count(base)
    activation = 2 if precision == "bf16" else 4
    if section.mode == "full":
        weights, learning = 4 * parameters, 12 * parameters
    else:
        per_weight = _NF4_BYTES if section.quantise == "nf4" else activation
        weights, learning = int(per_weight * parameters), 16 * adapter_weights(config, section)
    per_token = _per_token(config, activation, max(lengths, default=0))
    layers = max(config.get("num_hidden_layers", 1), 1)
    return Needs(
        weights,
        learning,
        per_token,
        largest_pass(section, lengths),
        _LIBRARIES_BYTES + _LOSS_CHUNK_BYTES,
        # Each layer's input, and one layer with all that its backward pass wants.
        per_token // layers + layers * config.get("hidden_size", 0) * activation,
    )


def largest_pass(section: TuningSection, lengths: Sequence[int]) -> int:
    """Tokens of the largest pass there can be: the budget's, or of the longest rows, or of one row."""
    longest = sorted(lengths, reverse=True)[: section.batch_rows]
    return max(min(section.batch_tokens, sum(longest)), longest[0] if longest else 0)


def adapter_weights(config: dict[str, Any], section: TuningSection) -> int:
    """Weights of an adapter on all linear layers: rank times the sum of each layer's two sides."""
    hidden, layers = config.get("hidden_size", 0), config.get("num_hidden_layers", 0)
    inner = config.get("intermediate_size", 4 * hidden)
    return int(layers * section.lora.r * (8 * hidden + 3 * (hidden + inner)))


def _per_token(config: dict[str, Any], size: int, longest: int) -> int:
    hidden, layers = config.get("hidden_size", 0), config.get("num_hidden_layers", 0)
    inner, heads = config.get("intermediate_size", 4 * hidden), config.get("num_attention_heads", 1)
    kept = _HIDDEN_COPIES * hidden + _INNER_COPIES * inner + _ATTENDED_COPIES * heads * min(longest, 384) / 2
    return int(layers * kept * size)


def find_device(processes: int = 1) -> Device:
    """The GPU if there is one, else the memory this process may take: the smaller of free and limit.

    Args:
        processes: of this node, which share the machine's memory; each has a GPU to itself.
    """
    import torch

    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return Device(torch.cuda.get_device_name(), int(free))
    name = "this machine" if processes == 1 else f"each of {processes} processes"
    return Device(name, min(_free_here(), _cgroup_free()) // processes)


def _free_here() -> int:
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return pages
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable")), pages)


def _cgroup_free() -> int:
    """What a container's limit leaves; without a limit, more than any machine has."""
    place = Path("/sys/fs/cgroup")
    try:
        limit = (place / "memory.max").read_text("ascii").strip()
        used = int((place / "memory.current").read_text("ascii"))
    except (OSError, ValueError):
        return 1 << 62
    return max(int(limit) - used, 0) if limit.isdigit() else 1 << 62


def plan_memory(needed: Needs, device: Device, section: TuningSection, ranks: Ranks) -> Needs:
    """The cheapest way that fits; the most frugal one that is allowed where none does.

    Dividing weights costs messages, computing activations again costs a third more time: each is done
    where the recipe says so, or says "auto" and it is needed.

    Args:
        needed: as `needs` estimates it.
        device: that each process has.
        section: the recipe's tuning section.
        ranks: the processes of the training.
    """
    hardware = section.hardware
    shares = {"auto": [1, ranks.count], "none": [1], "full": [ranks.count]}[hardware.sharding]
    if section.quantise != "none":
        shares = [1]  # 4-bit weights have no slices
    again = {"auto": [False, True], "never": [False], "always": [True]}[hardware.gradient_checkpointing]
    ways = [replace(needed, shares=one, recomputes=other) for other in again for one in shares]
    return next((way for way in ways if way.total <= device.free * _ROOM), ways[-1])


def memory_problem(needed: Needs, device: Device, section: TuningSection) -> str | None:
    """Why the training would not fit, and what to lower by how much; None if it fits."""
    room = int(device.free * _ROOM)
    if needed.total <= room:
        return None
    told = f"about {gib(needed.total)} of memory are needed ({needed.told()})"
    head = f"{told}, but {device.name} has {gib(device.free)} free"
    left = (room - needed.held) // max(needed.activation, 1)
    if left >= section.max_seq_tokens:
        return f"{head}; set tuning.batch_tokens to {left // 64 * 64} (it is {section.batch_tokens})"
    if left >= 128:
        tokens = left // 64 * 64
        return (
            f"{head}; set tuning.batch_tokens and tuning.max_seq_tokens to {tokens}; longer rows are dropped"
        )
    return f"{head}; even without activations it does not fit: {_smaller(section)}"


def _smaller(section: TuningSection) -> str:
    if section.mode == "full":
        return "set tuning.mode to lora, or take a smaller base model"
    if section.quantise == "none":
        return "set tuning.quantise to nf4 (on a GPU), or take a smaller base model"
    return "take a smaller base model, or a larger device"
