"""A LoRA layer as one operation: the same numbers as PEFT's, with fewer passes over memory.

PEFT copies the input for each adapter's dropout, scales and adds tensors as wide as the layer, and
keeps most of that for the backward pass. Here only the input is kept; scaling happens on the rank's
few columns and the sum inside the matrix product. On a CPU PEFT's dropout alone takes a quarter of a
step, because it draws a number for every element; here the gaps between dropped elements are drawn,
which is the same process (gaps of a Bernoulli process are geometric) with twenty times fewer draws at
a share of 0.05.
"""

import math
from types import MethodType
from typing import Any

_SPREADS = 6


def fuse_lora(model: Any) -> int:
    """Replace the forward of every layer that this can stand for; others stay PEFT's.

    Args:
        model: with or without adapters. DoRA, quantised layers, and several adapters on one layer are
            left alone.

    Returns:
        Layers replaced.
    """
    layers = [layer for layer in model.modules() if _is_plain(layer)]
    for layer in layers:
        layer.forward = MethodType(_forward(layer.forward), layer)
    return len(layers)


def _is_plain(layer: Any) -> bool:
    from peft.tuners.lora.layer import Linear
    from torch import nn

    if type(layer) is not Linear or type(layer.base_layer) is not nn.Linear or layer.fan_in_fan_out:
        return False
    names = list(layer.lora_A)
    bias = any(layer.lora_B[name].bias is not None for name in names)
    return len(names) == 1 and not layer.lora_variant and not bias


def _forward(theirs: Any) -> Any:
    def forward(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if self.disable_adapters or self.merged or args or kwargs or not self.active_adapters:
            return theirs(x, *args, **kwargs)
        return _fused(self, x, self.active_adapters[0])

    return forward


def _fused(layer: Any, x: Any, name: str) -> Any:
    """The layer's output, in the type that autocast wants."""
    import torch

    base, kind = layer.base_layer, x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else base.weight.dtype
    share = getattr(layer.lora_dropout[name], "p", 0.0) if layer.training else 0.0
    down, up = layer.lora_A[name].weight.to(dtype), layer.lora_B[name].weight.to(dtype)
    scale = layer.scaling[name] / (1 - share)
    bias = None if base.bias is None else base.bias.to(dtype)
    return _operation().apply(x.to(dtype), base.weight.to(dtype), bias, down, up, scale, share)


_made: list[Any] = []


def _operation() -> Any:
    """The autograd function; made at first use, because importing torch takes seconds."""
    if not _made:
        _made.append(_make_operation())
    return _made[0]


def _make_operation() -> Any:
    import torch

    class FusedLora(torch.autograd.Function):  # type: ignore[misc]
        """``x W' + b + scale * drop(x) A' B'``, for frozen W and b."""

        @staticmethod
        def forward(
            ctx: Any, x: Any, weight: Any, bias: Any, down: Any, up: Any, scale: float, share: float
        ) -> Any:
            rows = x.reshape(-1, x.shape[-1])
            dropped = _draw(rows, share) if share else None
            inner = torch.mm(_without(rows, dropped), down.t()).mul_(scale)
            out = torch.nn.functional.linear(rows, weight, bias).addmm_(inner, up.t())
            ctx.save_for_backward(rows, weight, down, up, inner, dropped)
            ctx.scale, ctx.shape = scale, x.shape
            return out.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            rows, weight, down, up, inner, dropped = ctx.saved_tensors
            grad = grad.reshape(-1, grad.shape[-1])
            grad_up = torch.mm(grad.t(), inner)
            grad_inner = torch.mm(grad, up).mul_(ctx.scale)
            grad_down = torch.mm(grad_inner.t(), _without(rows, dropped))
            if not ctx.needs_input_grad[0]:
                return None, None, None, grad_down, grad_up, None, None
            grad_x = torch.mm(grad, weight)
            if dropped is None:
                grad_x.addmm_(grad_inner, down)
            else:
                grad_x += _zeroed(torch.mm(grad_inner, down), dropped)
            return grad_x.view(ctx.shape), None, None, grad_down, grad_up, None, None

    return FusedLora


def _without(rows: Any, dropped: Any) -> Any:
    return rows if dropped is None else _zeroed(rows.clone(), dropped)


def _zeroed(values: Any, at: Any) -> Any:
    if at.dim() == values.dim():
        return values.masked_fill_(at, 0)
    values.view(-1).index_fill_(0, at, 0)
    return values


def _draw(rows: Any, share: float) -> Any:
    """What to drop: positions on a CPU; elsewhere a mask, whose numbers are drawn all at once."""
    import torch

    if rows.device.type == "cpu":
        return draw_dropped(rows.numel(), share)
    return torch.rand(rows.shape, device=rows.device) < share


def draw_dropped(elements: int, share: float) -> Any:
    """Positions to drop, each with probability `share` independently of all others.

    Args:
        elements: how many positions there are.
        share: above 0, below 1.

    Returns:
        int64, ascending.
    """
    import torch

    found, last = [], -1
    while last < elements - 1:
        expected = (elements - 1 - last) * share
        draws = math.ceil(expected + _SPREADS * math.sqrt(expected) + _SPREADS)
        gaps = torch.empty(draws, dtype=torch.int64).geometric_(share)
        found.append(gaps.cumsum(0) + last)
        last = int(found[-1][-1])
    positions = torch.cat(found) if len(found) > 1 else found[0]
    return positions[: int(torch.searchsorted(positions, elements))]
