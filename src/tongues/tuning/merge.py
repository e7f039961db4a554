"""Write full weights, from an adapter or as they are, and show that they answer like what was trained.

Base weights lie on the bf16 grid, and much of an adapter's change is smaller than half a step of it:
rounding to the nearest would put those weights back to where they were. On a 135 M model after 60
steps a quarter of the adapter was lost that way, in some layers half. Merged weights are therefore
rounded stochastically, up or down with the odds of their distance (Gupta et al. 2015, arXiv
1502.02551), from a fixed seed: the change is kept on average, and the log-probabilities came out four
times closer.
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_file
from tongues.core.errors import TuningError
from tongues.tuning.adapter import copy_companions
from tongues.tuning.models import Precision, load_model, load_tokenizer

MAX_FOLD_ERROR = 0.02
"""How far the part of the adapter that is found in the merged weights may be from 1, beyond six
standard errors of the rounding, which on a real model are below 0.01 over all layers together; an
adapter scaled by 1.1 is off by 0.1."""

MIN_AGREEMENT = 0.95
"""Least share of positions at which both models prefer the same token. Both are computed in fp32, so
only the rounding of the merged weights to bf16 (relative error below 2^-7) is left to differ; it
decides a position only where two tokens are nearly equally likely."""

MAX_MEAN_DIFFERENCE = 0.02
"""Largest mean |difference| of log-probabilities, in nats, over the tokens of the answers; rounding
alone gives about 0.005."""

MAX_DIFFERENCE = 0.5
"""Largest |difference| of one token's log-probability, in nats: far above rounding, far below what a
broken layer does."""

_STANDARD_ERRORS = 6
_SEED = 0
_ANSWER_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Parity:
    """How alike adapter-on-base and merged weights answer.

    Args:
        fold: part of the adapter found in the merged weights, 1 if all of it.
        prompts: how many were compared.
        tokens: answer positions compared.
        agreement: share of them at which both prefer the same token, 0 to 1.
        mean_difference: mean |log-probability difference|, nats.
        max_difference: largest of them.
    """

    fold: float
    prompts: int
    tokens: int
    agreement: float
    mean_difference: float
    max_difference: float


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
    model = _with_adapter(base, adapter).merge_and_unload(safe_merge=True)
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


def parity(base: Path, adapter: Path, merged: Path, prompts: Sequence[str]) -> Parity:
    """Compare adapter-on-base with the merged model on what the former answers.

    The adapter's model continues each prompt greedily; both models then score those same tokens.

    Args:
        base: folder of the base model.
        adapter: folder of the adapter.
        merged: folder written by `merge`.
        prompts: user turns; at least one.

    Raises:
        TuningError: tokenizer or chat template differ, or the answers do beyond the stated bounds.
    """
    _same_text_side(adapter, merged)
    with_adapter, found = _with_adapter(base, adapter).eval(), load_model(merged, "fp32").eval()
    fold = _check_fold(with_adapter, found, where=str(merged))
    return _compare(with_adapter, found, merged, prompts, fold=fold)


def parity_of_full(base: Path, trained: Path, merged: Path, prompts: Sequence[str]) -> Parity:
    """Compare weights as they were trained, in fp32, with what was written of them.

    Args:
        base: folder of the base model, whose template and tokenizer the result must have.
        trained: folder with the trained weights: the last checkpoint.
        merged: folder written by `export_full`.
        prompts: user turns; at least one.

    Raises:
        TuningError: tokenizer or chat template differ, or the answers do beyond the stated bounds.
    """
    _same_text_side(base, merged)
    expected, found = load_model(trained, "fp32").eval(), load_model(merged, "fp32").eval()
    return _compare(expected, found, merged, prompts, fold=1.0)


def _compare(expected: Any, found: Any, merged: Path, prompts: Sequence[str], *, fold: float) -> Parity:
    tokenizer = load_tokenizer(merged)
    prompt_ids = [_prompt_ids(tokenizer, prompt) for prompt in prompts]
    rows = [_continue(expected, ids) for ids in prompt_ids]
    scores = [_scores(model, rows, prompt_ids) for model in (expected, found)]
    return _judge(fold, len(prompts), *scores, where=str(merged))


def _stored_precision(base: Path) -> Precision:
    from transformers import AutoConfig

    dtype = str(AutoConfig.from_pretrained(base, local_files_only=True).dtype)
    return "fp32" if dtype == "torch.float32" else "bf16"


def _with_adapter(base: Path, adapter: Path) -> Any:
    """The adapter beside its base, both in fp32."""
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


def _deltas(with_adapter: Any, merged: Any) -> Iterator[tuple[str, Any, Any]]:
    """Per adapted layer: its name, the change the adapter asks for, the change that was made."""
    layers = dict(merged.named_modules())
    for name, layer in with_adapter.get_base_model().named_modules():
        if hasattr(layer, "get_delta_weight"):
            asked = _asked_change(layer)
            yield name, asked, layers[name].weight.detach() - layer.base_layer.weight.detach()


def _asked_change(layer: Any) -> Any:
    """What a layer's adapter adds to its weights; DoRA sets the length of each row besides."""
    adapter = layer.active_adapters[0]
    change = layer.get_delta_weight(adapter).detach()
    if not layer.use_dora.get(adapter):
        return change
    weight = layer.base_layer.weight.detach()
    length = (weight + change).norm(dim=1)
    magnitude = layer.lora_magnitude_vector[adapter].weight.detach()
    return (magnitude / length)[:, None] * (weight + change) - weight


def _check_fold(with_adapter: Any, merged: Any, *, where: str) -> float:
    """Project the change that was made on the change asked for: 1 means that all of it is there."""
    along = squares = noise = 0.0
    wrong = []
    for name, asked, made in _deltas(with_adapter, merged):
        square, product = float((asked * asked).sum()), float((asked * made).sum())
        variance = float(((made - asked) * asked).square().sum())
        along, squares, noise = along + product, squares + square, noise + variance
        if not _is_whole(product, square, variance):
            wrong.append(f"{name} holds {product / square:.3f} of it")
    fold = along / squares if squares else 1.0
    if wrong or not _is_whole(along, squares, noise):
        raise TuningError(
            f"the merged weights hold {fold:.3f} of the adapter, 1 is right {'; '.join(wrong[:3])}",
            where=where,
            fix="merge again from the adapter and the base it was trained on",
        )
    return fold


def _is_whole(product: float, square: float, variance: float) -> bool:
    """Whether <asked, made> / <asked, asked> is 1 but for rounding; so it is where nothing is asked."""
    allowed = MAX_FOLD_ERROR * square + _STANDARD_ERRORS * math.sqrt(variance)
    return abs(product - square) <= allowed


def _same_text_side(trained: Path, merged: Path) -> None:
    for name in ("chat_template.jinja", "tokenizer.json"):
        both = [(folder / name) for folder in (trained, merged)]
        if not all(path.is_file() for path in both) or len({digest_file(path) for path in both}) > 1:
            raise TuningError(
                f"{name} of what was trained and what was written differ: it would be served with other text "
                "than it was trained on",
                where=str(merged),
                fix="merge again",
            )


def _prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    chat = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _continue(model: Any, prompt_ids: list[int]) -> list[int]:
    """Prompt and greedy answer; the answer runs on past a stop token, so that there is always one."""
    import torch

    ids = torch.tensor([prompt_ids])
    with torch.no_grad():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=_ANSWER_TOKENS,
            min_new_tokens=_ANSWER_TOKENS,
        )
    row: list[int] = out[0].tolist()
    return row


def _scores(model: Any, rows: list[list[int]], prompt_ids: list[list[int]]) -> list[tuple[int, float]]:
    """At each answer position: the preferred token, and the log-probability of the given one."""
    import torch

    scores: list[tuple[int, float]] = []
    with torch.no_grad():
        for row, prompt in zip(rows, prompt_ids, strict=True):
            ids, start = torch.tensor([row]), len(prompt)
            logits = model(input_ids=ids, use_cache=False).logits[0, start - 1 : -1].float()
            chosen = logits.log_softmax(-1).gather(1, ids[0, start:, None])[:, 0]
            scores += zip(logits.argmax(-1).tolist(), chosen.tolist(), strict=True)
    return scores


def _judge(
    fold: float,
    prompts: int,
    expected: list[tuple[int, float]],
    found: list[tuple[int, float]],
    *,
    where: str,
) -> Parity:
    differences = [abs(a[1] - b[1]) for a, b in zip(expected, found, strict=True)]
    agreement = sum(a[0] == b[0] for a, b in zip(expected, found, strict=True)) / len(expected)
    mean = sum(differences) / len(differences)
    result = Parity(fold, prompts, len(expected), agreement, mean, max(differences))
    finite = all(map(math.isfinite, differences))
    if (
        not finite
        or agreement < MIN_AGREEMENT
        or mean > MAX_MEAN_DIFFERENCE
        or max(differences) > MAX_DIFFERENCE
    ):
        raise TuningError(
            f"the weights written do not answer like what was trained: agreement {agreement:.3f} "
            f"(at least {MIN_AGREEMENT}), mean log-probability difference {mean:.4f} (at most "
            f"{MAX_MEAN_DIFFERENCE}), largest {max(differences):.3f} (at most {MAX_DIFFERENCE})",
            where=where,
            fix="merge again from the adapter and the base it was trained on",
        )
    return result
