"""Attention that stays inside each row of a packed line, on every device.

transformers' own kernels see one long line: on sdpa they need a mask of tokens x tokens, which costs
as much as attending to everything, and with the cache on they do attend to everything. Here the line
is cut at the rows' bounds. On a GPU torch's variable-length flash kernel does it in one call; on a CPU
each row is attended to on its own, so that nothing is computed between rows.

Whether a model really keeps rows apart is not read from its class but measured: a row must come out
of a packed line as it comes out alone. Models that carry a state along (Mamba and its kin) do not.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tongues.tuning.batches import packed_columns
from tongues.tuning.models import Precision
from tongues.tuning.packing import Layout

ROWS_APART = "tongues_rows_apart"
"""Name of this kernel in transformers' registry, for ``attn_implementation``."""

_SHORT_TOKENS = 384
_PROBE = ((5, 3, 7, 4, 6), (7, 4, 6), (3, 8, 5, 4, 3, 6, 7))
_TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "bf16": 0.1}


def register() -> None:
    """Make the kernel known to transformers; may be called often."""
    from transformers import AttentionInterface

    AttentionInterface.register(ROWS_APART, rows_apart)


def rows_apart(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    cu_seq_lens_q: Any = None,
    max_length_q: int = 0,
    **others: Any,
) -> tuple[Any, None]:
    """Causal attention within each row of a packed line.

    Args:
        module: the model's attention layer.
        query: ``[1, heads, tokens, size]``; `key` and `value` may have fewer heads.
        key: as `query`.
        value: as `query`.
        attention_mask: must be None: the rows' bounds are the mask.
        dropout: of attention weights.
        scaling: of the scores.
        sliding_window: tokens that a token sees, itself included; None for all before it.
        softcap: bends the scores as Gemma 2 does.
        cu_seq_lens_q: where rows start, and the end: ``[rows + 1]``.
        max_length_q: tokens of the longest row.
        others: a sink or bias on the scores is refused.

    Returns:
        ``[1, tokens, heads, size]``.

    Raises:
        ValueError: no bounds, or something this kernel does not do.
    """
    unknown = [name for name in ("s_aux", "position_bias") if others.get(name) is not None]
    if cu_seq_lens_q is None or attention_mask is not None or unknown:
        raise ValueError(f"packed attention needs the rows' bounds, no mask and no {unknown or 'bias'}")
    half = query.element_size() == 2
    if query.device.type == "cuda" and half and softcap is None and not dropout:
        return _on_gpu(query, key, value, scaling, sliding_window, cu_seq_lens_q, max_length_q), None
    bend = _Bend(dropout, scaling or query.shape[-1] ** -0.5, sliding_window, softcap)
    return _row_by_row(query, key, value, cu_seq_lens_q.diff().tolist(), bend), None


@dataclass(frozen=True, slots=True)
class _Bend:
    """What is done to scores and weights; see `rows_apart`."""

    dropout: float
    scale: float
    window: int | None
    softcap: float | None


def _row_by_row(query: Any, key: Any, value: Any, rows: list[int], bend: _Bend) -> Any:
    """Heads that share keys stand beside each other, so that keys and values are never repeated."""
    import torch

    kept = key.shape[1]
    query = query[0].unflatten(0, (kept, -1)).transpose(1, 2).contiguous()  # [kept, tokens, sharing, size]
    key, value = key[0].contiguous(), value[0].contiguous()
    parts = zip(query.split(rows, dim=1), key.split(rows, dim=1), value.split(rows, dim=1), strict=True)
    attended = [_one_row(q, k, v, bend) for q, k, v in parts]
    return torch.cat(attended, dim=1).transpose(0, 1).flatten(1, 2)[None]


def _on_gpu(query: Any, key: Any, value: Any, scale: Any, window: Any, bounds: Any, longest: int) -> Any:
    from torch.nn.attention.varlen import varlen_attn

    line = [part[0].transpose(0, 1) for part in (query, key, value)]
    seen = (window - 1 if window else -1, 0)
    return varlen_attn(
        *line, bounds, bounds, longest, longest, scale=scale, window_size=seen, enable_gqa=True
    )[None]


def _one_row(query: Any, key: Any, value: Any, bend: _Bend) -> Any:
    """Plain products for short rows, whose backward pass is quicker on a CPU; else the fused kernel."""
    import torch

    tokens, sharing = query.shape[1:3]
    if tokens > _SHORT_TOKENS and bend.softcap is None:
        return _fused(query, key, value, bend)
    bias = _bias(tokens, sharing, bend.window, query.dtype, query.device).expand(len(key), -1, -1)
    line, turned = query.flatten(1, 2), key.transpose(1, 2)
    if bend.softcap is None:
        scores = torch.baddbmm(bias, line, turned, alpha=bend.scale)
    else:
        scores = torch.tanh(torch.bmm(line, turned) * (bend.scale / bend.softcap)) * bend.softcap + bias
    weights = torch.dropout(torch.softmax(scores, dim=-1), bend.dropout, bool(bend.dropout))
    return torch.bmm(weights, value).unflatten(1, (tokens, sharing))


def _fused(query: Any, key: Any, value: Any, bend: _Bend) -> Any:
    from torch.nn.functional import scaled_dot_product_attention

    kept, tokens, sharing, size = query.shape
    heads = query.transpose(1, 2).reshape(1, kept * sharing, tokens, size)
    key, value = (x[:, None].expand(-1, sharing, -1, -1).reshape(1, -1, tokens, size) for x in (key, value))
    windowed = bend.window and tokens > bend.window
    seen = ~_hidden(tokens, bend.window, query.device) if windowed else None
    out = scaled_dot_product_attention(
        heads, key, value, seen, bend.dropout, is_causal=seen is None, scale=bend.scale
    )
    return out.view(kept, sharing, tokens, size).transpose(1, 2)


@lru_cache(maxsize=32)
def _bias(tokens: int, sharing: int, window: int | None, dtype: Any, device: Any) -> Any:
    """Added to scores: minus infinity where a token may not look; a line for each head that shares keys."""
    import torch

    bias = torch.zeros(tokens, tokens, dtype=dtype, device=device)
    return bias.masked_fill_(_hidden(tokens, window, device), float("-inf")).repeat_interleave(sharing, dim=0)


def _hidden(tokens: int, window: int | None, device: Any) -> Any:
    """What a token may not see: all after it, and all before its window."""
    import torch

    all_pairs = torch.ones(tokens, tokens, dtype=torch.bool, device=device)
    later = all_pairs.triu(1)
    return later | all_pairs.tril(-window) if window and window < tokens else later


def choose_layout(model: Any, precision: Precision) -> Layout:
    """Pack rows if the model then computes for each row what it computes for the row alone.

    Three short rows go through the model one by one with the kernel it was loaded with, then in one
    packed line with this kernel. If their hidden states agree to rounding, the model is left with this
    kernel; otherwise it gets its own back.

    Args:
        model: the causal language model inside any PEFT wrapper.
        precision: what it will be trained in.
    """
    import torch

    register()
    own, was_training = model.config._attn_implementation, model.training
    model.eval()
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
        alone = torch.cat([_states(model, {"input_ids": torch.tensor([row])})[0] for row in _PROBE])
        packed = _packed_states(model)
    model.train(was_training)
    if packed is not None and _agree(packed, alone, precision):
        return "packed"
    model.set_attn_implementation(own)
    return "padded"


def _packed_states(model: Any) -> Any:
    """The probe's hidden states in one line; None if the model cannot do it."""
    try:
        model.set_attn_implementation(ROWS_APART)
        return _states(model, packed_columns([(row, row) for row in _PROBE]))[0]
    except (TypeError, ValueError, RuntimeError, NotImplementedError, ImportError):
        return None


def _agree(one: Any, other: Any, precision: Precision) -> bool:
    """Every token in fp32. In bf16 single tokens differ by 0.8 of their size between two right kernels (a
    135M model, its rare tokens), but half of them by 0.03 at most, and by 0.3 where rows see each other."""
    if precision == "fp32":
        return bool((one - other).abs().max() <= _TOLERANCE[precision] * other.abs().max())
    own = slice(len(_PROBE[0]), None)  # nothing stands before the first row
    apart = (one[own] - other[own]).norm(dim=-1) / other[own].norm(dim=-1)
    return bool(apart.median() <= _TOLERANCE[precision])


def _states(model: Any, columns: dict[str, Any]) -> Any:
    ready = {k: v.to(model.device) if hasattr(v, "to") else v for k, v in columns.items() if k != "labels"}
    return model.base_model(**ready, use_cache=False).last_hidden_state.float()
