"""The log of steps, and the callback that keeps it, reports progress and watches over the loss."""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tongues.core.manifest import write_atomically
from tongues.core.progress import Progress
from tongues.tuning.checkpoints import LOG_NAME, Checkpoints, checkpoint_step
from tongues.tuning.eviction import Eviction
from tongues.tuning.health import LossWatch
from tongues.tuning.speed import Meter
from tongues.tuning.trainer import diverged


class StepLog:
    """``training-log.jsonl``: one object per optimiser step, one curve however often it is resumed.

    Args:
        path: the file.
        last: checkpoint the run goes on from, None for a fresh start; later lines, of an interrupted run,
            are taken out, and where there are too few, as on another machine, its own are taken.
        writes: whether this process keeps the file; the others of a training only count.
    """

    def __init__(self, path: Path, last: Path | None, *, writes: bool = True) -> None:
        self.path, self._writes = path, writes
        step = checkpoint_step(last) if last else 0
        self.rows = [row for row in _read(path) if row["step"] <= step] if writes else []
        if last and len(self.rows) < step:
            self.rows = _read(last / LOG_NAME)
        self.rows_of_this_run: list[dict[str, float]] = []
        self._elapsed_before = self.rows[-1]["elapsed_s"] if self.rows else 0.0
        self._started = time.monotonic()
        if writes:
            write_atomically(path, b"".join(map(_line, self.rows)))

    def begin(self) -> None:
        """Start the clock: the first step is about to be taken."""
        self._started = time.monotonic()

    def add(self, row: dict[str, float]) -> dict[str, float]:
        """Append a step; adds the seconds trained so far, earlier runs included."""
        row = row | {"elapsed_s": round(self._elapsed_before + time.monotonic() - self._started, 3)}
        self.rows.append(row)
        self.rows_of_this_run.append(row)
        if not self._writes:
            return row
        with self.path.open("ab") as stream:
            stream.write(_line(row))
            stream.flush()
            os.fsync(stream.fileno())
        return row

    def final_loss(self) -> float:
        """Mean loss over the last tenth of the steps, weighted by trained tokens."""
        tail = self.rows[-math.ceil(len(self.rows) / 10) :] if self.rows else []
        weight = sum(row["label_tokens"] for row in tail)
        return sum(row["loss"] * row["label_tokens"] for row in tail) / weight if weight else math.nan


def _line(row: dict[str, float]) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _read(path: Path) -> list[dict[str, float]]:
    """The lines of a log; a last one that a kill cut short is left out."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


_PREFERENCE = {"rewards/margins": "reward_margin", "rewards/accuracies": "reward_accuracy"}
"""What TRL's DPO trainer says of a step: nats by which the better answer is ahead, share of pairs."""


def step_callback(
    log: StepLog,
    facts: Callable[[int], tuple[int, int]],
    checkpoints: Checkpoints,
    progress: Progress,
    on_step: Callable[[dict[str, float]], None] | None,
    loss_watch: LossWatch,
    eviction: Eviction,
    meter: Meter,
) -> Any:
    """A transformers TrainerCallback.

    Args:
        log: takes each step.
        facts: step to its tokens and labelled tokens.
        checkpoints: name the last good one where the run breaks.
        progress: counts tokens.
        on_step: called with each logged row.
        loss_watch: looks at each loss.
        eviction: where it is asked for, the step is saved and is the last one.
        meter: what each step made of the machine.
    """
    from transformers import TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Data and model are ready."""
            log.begin()
            meter.begin()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """The weights have moved; the trainer reads from `control` what is to follow."""
            if eviction.asked_anywhere():
                control.should_save = control.should_training_stop = True

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            """A step's figures have arrived; the closing summary has no "loss"."""
            if not logs or "loss" not in logs:
                return
            step = state.global_step
            for name in ("loss", "grad_norm"):
                if not math.isfinite(logs[name]):
                    raise diverged(step, f"{name} {logs[name]}", checkpoints.newest())
            tokens, label_tokens = facts(step)
            row = {"step": step, "loss": logs["loss"], "learning_rate": logs["learning_rate"]}
            row |= {"grad_norm": logs["grad_norm"], "tokens": tokens, "label_tokens": label_tokens}
            row |= meter.step(tokens)
            row = log.add(row | {ours: logs[name] for name, ours in _PREFERENCE.items() if name in logs})
            progress.advance(tokens, step=f"{step}/{state.max_steps}", loss=logs["loss"])
            if seen := loss_watch.diverges(logs["loss"]):
                raise diverged(step, seen, checkpoints.newest())
            if on_step:
                on_step(row)

    return Steps()
