"""The training loop under everything that may end it: each end leaves a checkpoint and says which."""

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongues.core.errors import TuningError
from tongues.core.manifest import write_atomically
from tongues.core.progress import Progress, Say
from tongues.core.recipe import TuningSection
from tongues.tuning.checkpoints import Checkpoints, checkpoint_step
from tongues.tuning.eviction import Eviction, evicted
from tongues.tuning.health import LossWatch, Watchdog
from tongues.tuning.mirror import Mirror
from tongues.tuning.ranks import Ranks
from tongues.tuning.speed import Meter, flops_per_token
from tongues.tuning.step_meters import meter_callback
from tongues.tuning.steps import StepLog, step_callback

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

OnStep = Callable[[dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Course:
    """What surrounds one training loop.

    Args:
        checkpoints: where it saves.
        last: checkpoint it goes on from; None for a fresh start.
        log: takes each step.
        facts: step, from 1, to its tokens and labelled tokens.
        progress: counts tokens.
        section: the recipe's tuning section.
        eviction: tells whether the machine is asked back.
        mirror: takes each checkpoint to the object store; None where the disk is enough.
        say: takes lines for the user.
        on_step: called with each logged row.
    """

    checkpoints: Checkpoints
    last: Path | None
    log: StepLog
    facts: Callable[[int], tuple[int, int]]
    progress: Progress
    section: TuningSection
    eviction: Eviction
    mirror: Mirror | None
    say: Say
    on_step: OnStep | None = None


def drive(trainer: Any, course: Course) -> float:
    """Train from the last checkpoint, or from the start, to the end.

    Args:
        trainer: a transformers Trainer with its model and data.
        course: what surrounds it.

    Returns:
        Seconds the loop took.

    Raises:
        TrainingInterruptedError: evicted, or stalled.
        TuningError: diverged, out of memory, or the disk is full.
    """
    watchdog = Watchdog(course.section.safety, course.checkpoints.last_good, course.say)
    _add_callbacks(trainer, course, watchdog)
    _save_whole_or_not_at_all(trainer, course, watchdog)
    started = time.monotonic()
    with ExitStack() as around:
        if course.mirror:
            around.enter_context(course.mirror)
        around.enter_context(course.eviction.waits_for_the_step())
        around.enter_context(watchdog)
        around.enter_context(_told_in_our_words(course))
        around.enter_context(Ranks.here().told_if_alone())
        trainer.train(resume_from_checkpoint=str(course.last) if course.last else None)
    if course.eviction.asked_anywhere():
        raise evicted(course.checkpoints.last_good())
    return time.monotonic() - started


def _add_callbacks(trainer: Any, course: Course, watchdog: Watchdog) -> None:
    from transformers import PrinterCallback, TrainerCallback

    class Beat(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            """A step is done."""
            watchdog.beat()

    watch = LossWatch(course.section.safety, [row["loss"] for row in course.log.rows])
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Beat)
    trainer.add_callback(meter_callback(course.facts))
    trainer.add_callback(
        step_callback(
            course.log,
            course.facts,
            course.checkpoints,
            course.progress,
            course.on_step,
            watch,
            course.eviction,
            _meter(trainer, course.section),
        )
    )


def _meter(trainer: Any, section: TuningSection) -> Meter:
    parameters = sum(p.numel() for p in trainer.model.parameters())
    return Meter(flops_per_token(parameters, all_learn=section.mode == "full"), Ranks.here().count)


def _save_whole_or_not_at_all(trainer: Any, course: Course, watchdog: Watchdog) -> None:
    """Complete what the trainer saves; what it cannot save is removed and ends the run."""
    from safetensors import SafetensorError

    write, told, ranks = trainer._save_checkpoint, False, Ranks.here()

    def save(model: Any, trial: Any) -> None:
        nonlocal told
        path, started = (
            course.checkpoints.folder / f"checkpoint-{trainer.state.global_step}",
            time.monotonic(),
        )
        try:
            write(model, trial)
            _bring_random_states(path, ranks)
            if ranks.leads:
                course.checkpoints.finish(path, course.log.path)
            else:
                course.checkpoints.follow(path)
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(path, ignore_errors=True)
            raise _not_saved(path, error, course.checkpoints.last_good()) from error
        if course.mirror:
            course.mirror.note(path)
        needed, grace = watchdog.median_s + time.monotonic() - started, course.section.safety.grace_s
        if needed > grace and not told:
            course.say(_grace_line(needed, grace))
            told = True
        watchdog.beat(step=False)

    trainer._save_checkpoint = save


def _bring_random_states(path: Path, ranks: Ranks) -> None:
    """Each process has written its own; they all belong to the leader's checkpoint, on whatever disk."""
    own = path / f"rng_state_{ranks.rank}.pth"
    states = ranks.gathered(own.read_bytes() if ranks.count > 1 else b"")
    if ranks.far:
        shutil.rmtree(path, ignore_errors=True)
    for rank, state in enumerate(states[1:], 1):
        if ranks.leads:
            write_atomically(path / f"rng_state_{rank}.pth", state)


def _grace_line(needed_s: float, grace_s: float) -> str:
    return (
        f"finetune: a step and a checkpoint take {needed_s:.0f} s, and the grace after SIGTERM is "
        f"{grace_s:.0f} s: an eviction may lose the steps since the last checkpoint. Lower "
        "tuning.checkpoint_steps, or raise the pod's terminationGracePeriodSeconds and tuning.safety.grace_s"
    )


def _not_saved(path: Path, error: Exception, last_good: str) -> TuningError:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return TuningError(
        f"the checkpoint of step {checkpoint_step(path)} cannot be written ({line}); {last_good}",
        where=str(path.parent),
        fix="make room on this disk and run the same command again",
    )


@contextmanager
def _told_in_our_words(course: Course) -> Iterator[None]:
    """Full disk and full memory, wherever in the loop they show."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise _out_of_memory(course, str(error)) from error
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise TuningError(
            f"the disk is full ({error.strerror}); {course.checkpoints.last_good()}",
            where=str(course.checkpoints.folder),
            fix="make room on this disk and run the same command again",
        ) from error


def _out_of_memory(course: Course, detail: str) -> TuningError:
    line = (detail.strip().splitlines() or [""])[0]
    return TuningError(
        f"out of memory on the device ({line}); {course.checkpoints.last_good()}",
        fix=f"lower {_largest_part(course.section)}",
    )


def _largest_part(section: TuningSection) -> str:
    """What a pass takes most memory for, and what to set it to."""
    if section.preference is not None and section.batch_rows > 1:
        rows, times = section.batch_rows // 2, section.accumulation_steps * 2
        return (
            f"tuning.batch_rows from {section.batch_rows} to {rows} and raise tuning.accumulation_steps from "
            f"{section.accumulation_steps} to {times}: the same steps in smaller passes"
        )
    if section.preference is None and section.batch_tokens > section.max_seq_tokens:
        tokens = max(section.batch_tokens // 2, section.max_seq_tokens)
        return (
            f"tuning.batch_tokens from {section.batch_tokens} to {tokens}: the same steps in smaller passes"
        )
    four_bit = ", or hold the base in 4 bits (tuning.quantise: nf4)" if section.mode == "lora" else ""
    return f"tuning.max_seq_tokens from {section.max_seq_tokens} to {section.max_seq_tokens // 2}{four_bit}"
