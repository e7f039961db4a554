"""The log of steps, and the callback that keeps it, reports progress and completes checkpoints."""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tongues.core.manifest import write_atomically
from tongues.core.progress import Progress
from tongues.tuning.checkpoints import Checkpoints
from tongues.tuning.trainer import diverged


class StepLog:
    """``training-log.jsonl``: one object per optimiser step, one curve however often it is resumed.

    Args:
        path: the file.
        step: step the run goes on after; later lines, of an interrupted run, are taken out.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.rows = [row for row in _read(path) if row["step"] <= step]
        self.rows_of_this_run: list[dict[str, float]] = []
        self._elapsed_before = self.rows[-1]["elapsed_s"] if self.rows else 0.0
        self._started = time.monotonic()
        write_atomically(path, b"".join(map(_line, self.rows)))

    def begin(self) -> None:
        """Start the clock: the first step is about to be taken."""
        self._started = time.monotonic()

    def add(self, row: dict[str, float]) -> dict[str, float]:
        """Append a step; adds the seconds trained so far, earlier runs included."""
        row = row | {"elapsed_s": round(self._elapsed_before + time.monotonic() - self._started, 3)}
        self.rows.append(row)
        self.rows_of_this_run.append(row)
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


def step_callback(
    log: StepLog,
    facts: Callable[[int], tuple[int, int]],
    checkpoints: Checkpoints,
    progress: Progress,
    on_step: Callable[[dict[str, float]], None] | None,
) -> Any:
    """A transformers TrainerCallback.

    Args:
        log: takes each step.
        facts: step to its tokens and labelled tokens.
        checkpoints: completes what the trainer has saved.
        progress: counts tokens.
        on_step: called with each logged row.
    """
    from transformers import TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """Data and model are ready."""
            log.begin()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            """A step's figures have arrived; the closing summary has no "loss"."""
            if not logs or "loss" not in logs:
                return
            step = state.global_step
            for name in ("loss", "grad_norm"):
                if not math.isfinite(logs[name]):
                    raise diverged(step, f"{name} {logs[name]}", checkpoints.last())
            tokens, label_tokens = facts(step)
            row = {"step": step, "loss": logs["loss"], "learning_rate": logs["learning_rate"]}
            row |= {"grad_norm": logs["grad_norm"], "tokens": tokens, "label_tokens": label_tokens}
            row = log.add(row)
            progress.advance(tokens, step=f"{step}/{state.max_steps}", loss=logs["loss"])
            if on_step:
                on_step(row)

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            """The trainer has written a checkpoint."""
            checkpoints.finish(checkpoints.folder / f"checkpoint-{state.global_step}")

    return Steps()
