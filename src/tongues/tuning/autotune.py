"""The largest pass that fits: real steps of growing passes, on the model, the rows and the device at hand.

A pass larger than the longest rows of one step together would change nothing, so the search ends there.
On a GPU a pass that does not fit says so; on a CPU it would end the process, so none is tried that a line
through those before does not promise to fit.
"""

import gc
import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path

from tongues.core.errors import TuningError
from tongues.core.progress import Say
from tongues.core.recipe import TuningSection
from tongues.tuning.attention import choose_layout
from tongues.tuning.batches import packed_columns, padded_columns
from tongues.tuning.fused_lora import fuse_lora
from tongues.tuning.masks import Example
from tongues.tuning.memory import Device, gib
from tongues.tuning.models import choose_attention
from tongues.tuning.modes import inner_model, trainable_model
from tongues.tuning.preflight import Prepared
from tongues.tuning.speed import synchronised_time
from tongues.tuning.trainer import answer_nll, keep_inputs_as_they_are, use_answer_head

ROOM = 0.9
"""Share of the device that the largest pass may fill: real steps differ from those that were tried."""

_UNIT = 64


@dataclass(frozen=True, slots=True)
class Trial:
    """One pass that was tried.

    Args:
        tokens: of the pass.
        peak: bytes at its highest; None where it did not fit.
        seconds: of forward pass, backward pass and optimiser.
    """

    tokens: int
    peak: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of the search.

    Args:
        batch_tokens: the largest budget that fits.
        limit: bytes that could be filled.
        whole_step: whether it takes all rows of a step at once, so that more would change nothing.
        trials: all that was tried, in order.
    """

    batch_tokens: int
    limit: int
    whole_step: bool
    trials: tuple[Trial, ...]


def autotune(
    base: Path, prepared: Prepared, section: TuningSection, device: Device, seed: int, say: Say
) -> Tuned:
    """Find the largest `tuning.batch_tokens` for these rows, this mode and this device.

    Args:
        base: folder of the base model.
        prepared: rows and precision.
        section: the recipe's tuning section.
        device: what is free before anything is loaded.
        seed: of the adapter.
        say: takes a line for each pass that was tried.

    Raises:
        TuningError: not even one row of the longest fits.
    """
    lengths = sorted((len(row.input_ids) for row in prepared.training), reverse=True)
    most = sum(lengths[: section.batch_rows])
    limit = _used() + int(device.free * ROOM)
    attempt = _pass(base, prepared, section, seed)
    at_rest = _used(loaded=True)
    return search(partial(_told, attempt, say), least=lengths[0], most=most, at_rest=at_rest, limit=limit)


def search(attempt: Callable[[int], Trial], *, least: int, most: int, at_rest: int, limit: int) -> Tuned:
    """Double from the longest row, then take what the line through the peaks allows, and try that.

    Args:
        attempt: takes tokens.
        least: tokens of the smallest pass of use.
        most: tokens beyond which nothing changes.
        at_rest: bytes that are taken with no pass under way.
        limit: bytes.

    Raises:
        TuningError: the smallest does not fit.
    """
    trials = [attempt(least)]
    if not _fits(trials[0], limit):
        raise TuningError(
            f"not even a pass of {least} tokens, the longest row, fits into {gib(limit)}",
            fix="lower tuning.max_seq_tokens, hold the base in 4 bits (tuning.quantise: nf4), or write "
            "tuning.hardware.gradient_checkpointing: always",
        )
    rest = Trial(0, at_rest, 0.0)
    while (tokens := _next([rest, *trials], most, limit)) > max(t.tokens for t in trials if _fits(t, limit)):
        trials.append(attempt(tokens))
    best = max(trial.tokens for trial in trials if _fits(trial, limit))
    return Tuned(best, limit, best >= most, tuple(trials))


def _fits(trial: Trial, limit: int) -> bool:
    return trial.peak is not None and trial.peak <= limit


def _next(trials: Sequence[Trial], most: int, limit: int) -> int:
    """What to try next; not more than the largest that fitted where there is nothing left to try."""
    fitting = sorted((t for t in trials if _fits(t, limit)), key=lambda t: t.tokens)
    failed = min((t.tokens for t in trials if not _fits(t, limit)), default=None)
    largest = fitting[-1]
    if failed is not None:
        middle = (largest.tokens + failed) // 2 // _UNIT * _UNIT
        return middle if failed - largest.tokens > largest.tokens // 8 else 0
    doubled = min(2 * largest.tokens, most)
    promised = _line(fitting, limit)
    return doubled if promised >= doubled else promised // _UNIT * _UNIT


def _line(fitting: Sequence[Trial], limit: int) -> int:
    """Tokens at which a line through the last two peaks reaches the limit."""
    before, last = fitting[-2:]
    peak = last.peak or 0
    per_token = (peak - (before.peak or 0)) / (last.tokens - before.tokens)
    return last.tokens + int((limit - peak) / max(per_token, 1.0))


def _told(attempt: Callable[[int], Trial], say: Say, tokens: int) -> Trial:
    trial = attempt(tokens)
    peak = (
        "does not fit" if trial.peak is None else f"{gib(trial.peak)}, {tokens / trial.seconds:.0f} tokens/s"
    )
    say(f"autotune: a pass of {tokens} tokens: {peak}")
    return trial


def _pass(base: Path, prepared: Prepared, section: TuningSection, seed: int) -> Callable[[int], Trial]:
    """A function that trains on one pass of so many tokens, on the device."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    longest = max(len(row.input_ids) for row in prepared.training)
    attention = choose_attention(longest)
    model = trainable_model(base, section, prepared.precision, attention, adapter=None, seed=seed).to(device)
    inner = inner_model(model)
    if prepared.memory.recomputes:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    layout = choose_layout(inner, prepared.precision)
    if device == "cuda":
        from trl.trainer.utils import add_fused_lm_head

        add_fused_lm_head(inner)
    use_answer_head(inner)
    keep_inputs_as_they_are(model, prepared.precision)
    fuse_lora(model)
    model.train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.0, fused=True)
    rows = sorted(prepared.training, key=lambda row: -len(row.input_ids))
    pad_id = prepared.tokenizer.pad_token_id or 0

    def attempt(tokens: int) -> Trial:
        pairs = [(row.input_ids, row.labels) for row in _longest(rows, tokens)]
        columns = packed_columns(pairs) if layout == "packed" else padded_columns(pairs, pad_id)
        batch = {name: v.to(device) if hasattr(v, "to") else v for name, v in columns.items()}
        _forget_peak()
        started = synchronised_time(device)
        try:
            with torch.autocast(device, torch.bfloat16, enabled=prepared.precision == "bf16"):
                loss = answer_nll(model, batch)
            loss.backward()
            optimiser.step()
        except torch.OutOfMemoryError:
            return Trial(tokens, None, 0.0)
        finally:
            optimiser.zero_grad(set_to_none=True)
            gc.collect()
        return Trial(tokens, _peak(), synchronised_time(device) - started)

    return attempt


def _longest(rows: Sequence[Example], tokens: int) -> list[Example]:
    """The longest rows, again and again, as many as fit; the memory of attention grows with a row."""
    chosen: list[Example] = []
    for row in cycle(rows):
        tokens -= len(row.input_ids)
        if chosen and tokens < 0:
            return chosen
        chosen.append(row)
    return chosen


def _forget_peak() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM starts anew


def _peak() -> int:
    import torch

    return int(torch.cuda.max_memory_reserved()) if torch.cuda.is_available() else _resident("VmHWM")


def _used(*, loaded: bool = False) -> int:
    """What this process holds of the device; of a GPU nothing until a model is loaded."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated()) if loaded else 0
    return _resident("VmRSS")


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text("ascii", errors="replace").splitlines()
    kib = next((line.split()[1] for line in lines if line.startswith(field + ":")), None)
    return int(kib) * 1024 if kib else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
