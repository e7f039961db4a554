"""Supervised fine-tuning: TRL's trainer on our own labels, resumable, with a log of every step.

preflight -> what will be done, said -> the plan of steps -> the last checkpoint -> the run -> its result
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from tongues.core.digests import digest_files, digest_value
from tongues.core.errors import TuningError
from tongues.core.manifest import write_atomically
from tongues.core.progress import Say, say_on_stderr
from tongues.core.recipe import TuningSection
from tongues.core.records import Record
from tongues.tuning.checkpoints import Checkpoints
from tongues.tuning.driving import OnStep
from tongues.tuning.eviction import Eviction
from tongues.tuning.masks import preview
from tongues.tuning.memory import gib
from tongues.tuning.mirror import Mirror
from tongues.tuning.preflight import Prepared, prepare
from tongues.tuning.ranks import Ranks
from tongues.tuning.result import TuningResult
from tongues.tuning.schedule import plan_schedule
from tongues.tuning.supervised import SupervisedRun, Task


def train(
    *,
    train_records: Sequence[Record],
    validation_records: Sequence[Record],
    base: Path,
    out: Path,
    section: TuningSection,
    seed: int,
    say: Say = say_on_stderr,
    on_step: OnStep | None = None,
    base_name: str = "",
    adapter: Path | None = None,
    eviction: Eviction | None = None,
    mirror_uri: str | None = None,
    tokenised: Path | None = None,
) -> TuningResult:
    """Train an adapter, or all weights.

    Writes ``adapter/`` (safetensors, config, tokenizer, chat template) or, where all weights learn,
    ``merged/``, and ``mask-preview.txt`` and ``training-log.jsonl`` into `out`, and keeps checkpoints in
    ``checkpoints/`` until the caller removes them. A second call with the same work goes on where the
    first one was stopped; the same seed gives the same losses on a CPU.

    Args:
        train_records: what is learnt; the loss falls on each last answer.
        validation_records: whole groups set aside; may be empty.
        base: folder of the base model, as `fetch_base` writes it.
        out: folder for the result.
        section: the recipe's tuning section.
        seed: of adapter weights, order and dropout.
        say: takes lines for the reader.
        on_step: called after each step with step, loss, learning_rate, grad_norm, tokens, elapsed_s.
        base_name: name of the base model for the adapter's config, in place of a local path.
        adapter: folder of an adapter that is trained on; None for a new one.
        eviction: tells whether the machine is asked back.
        mirror_uri: folder in the object store that takes the checkpoints, and may hold those of another
            machine; None where `out` is enough.
        tokenised: folder shared between runs that keeps tokenised rows; None keeps them in memory.

    Raises:
        PreflightError: something is wrong with data, model, machine or masks; lists all of it.
        TrainingInterruptedError: evicted, or stalled; progress is kept.
        TuningError: other work's checkpoints are in `out`, another run is training there, the loss left
            its course, or memory or disk were not enough.
    """
    started, ranks = time.monotonic(), Ranks.here()
    prepared = prepare(
        train_records=train_records,
        validation_records=validation_records,
        base=base,
        out=out,
        section=section,
        tokenised=tokenised,
    )
    prepared = replace(prepared, memory=ranks.agreed(prepared.memory))
    say = say if ranks.leads else _nothing
    say(_way(prepared, section, ranks))
    if ranks.leads:
        _show_masks(train_records, prepared, out, say)
    task = Task(
        prepared, plan_schedule(len(prepared.training), section, seed), base, adapter, out, section, seed
    )
    checkpoints = Checkpoints(out / "checkpoints", _work(task) if ranks.leads else {}, say)
    eviction = eviction or Eviction(section.safety.grace_s, say)
    mirror = Mirror.of(mirror_uri, checkpoints.folder, eviction, say)
    with checkpoints.locked() if ranks.leads else nullcontext():
        run = SupervisedRun(task, checkpoints, find_last(checkpoints, mirror, ranks), say)
        outcome = run.execute(eviction, mirror if ranks.leads else None, on_step if ranks.leads else None)
        run.export(base_name)
    return run.result(outcome, time.monotonic() - started)


def _nothing(_: str) -> None:
    """Only the leading process speaks."""


def _way(prepared: Prepared, section: TuningSection, ranks: Ranks) -> str:
    """How the hardware is used, and why."""
    memory, asked = prepared.memory, section.hardware
    how = []
    if ranks.count > 1:
        how.append(f"{ranks.count} processes on {ranks.count // ranks.local_count} node(s)")
        why = "one device does not hold them" if asked.sharding == "auto" else "the recipe says so"
        how.append(f"weights divided (FSDP2): {why}" if memory.shares > 1 else "weights whole in each (DDP)")
    if memory.recomputes:
        kept = asked.gradient_checkpointing == "auto"
        how.append(f"gradient checkpointing: {'activations do not fit' if kept else 'the recipe says so'}")
    return f"finetune: {prepared.precision}, {'; '.join([*how, f'about {gib(memory.total)} of memory each'])}"


def _show_masks(records: Sequence[Record], prepared: Prepared, out: Path, say: Say) -> None:
    usable = {e.id for e in prepared.training}
    shown = [r for r in records if r.id in usable][:3]
    text = preview(shown, prepared.tokenizer)
    write_atomically(out / "mask-preview.txt", text.encode())
    for line in text.splitlines():
        say(line)


def _work(task: Task) -> dict[str, str]:
    """Name to digest of all that decides what is learnt."""
    prepared, adapter = task.prepared, task.adapter
    both = [*prepared.training, *prepared.validation]
    rows = [[list(e.input_ids), e.spans, e.lang] for e in both]
    course = task.section.model_dump(mode="json", exclude={"checkpoint_steps", "safety", "hardware"})
    return {
        "dataset": digest_value([len(prepared.training), rows]),
        "base model": digest_value(digest_files(task.base, leave_out=frozenset({"manifest.json"}))),
        "tuning section": digest_value([course, prepared.precision]),
        "seed": str(task.seed),
        "adapter it starts from": digest_value(digest_files(adapter)) if adapter else "none",
        "way of dividing weights": "fsdp2" if prepared.memory.shares > 1 else "none",
    }


def find_last(checkpoints: Checkpoints, mirror: Mirror | None, ranks: Ranks) -> Path | None:
    """The checkpoint to go on from, the same for all processes, on each node's disk.

    Raises:
        TuningError: another node cannot read it.
    """
    if ranks.leads and mirror:
        mirror.fetch()
    found = checkpoints.last() if ranks.leads else None
    name = ranks.agreed(found.name if found else None)
    if name is None:
        return None
    if ranks.far and ranks.local_rank == 0 and mirror and not checkpoints.has(name):
        mirror.fetch_one(name)
    ranks.wait()
    if ranks.any(ranks.far and ranks.local_rank == 0 and not checkpoints.has(name)):
        raise TuningError(
            f"{name} is on the first node's disk only",
            where=str(checkpoints.folder),
            fix="keep the workspace in an object store or on a disk that all nodes share; or delete it to "
            "start afresh",
        )
    checkpoints.follow(checkpoints.folder / name)
    return checkpoints.folder / name
