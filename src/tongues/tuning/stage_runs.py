"""The stages of a curriculum, run in order: what each hands to the next, and what is left at the end.

    <out>/stages/NAME/   adapter/ (or merged/), training-log.jsonl, mask-preview.txt, checkpoints/
    <out>/               the last stage's adapter/ (or merged/), and the logs of all stages in one

Each stage is a training of its own, with its own schedule, optimiser and checkpoints; an interrupted run
finds the finished stages' last checkpoints and goes on in the one it was in. A run of one stage has no
``stages/``. Every stage is watched on all validation rows, so what a later one forgets shows.
"""

import gc
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tongues.core.digests import digest_files, digest_value
from tongues.core.drops import Drop
from tongues.core.errors import PreflightError
from tongues.core.manifest import write_atomically
from tongues.core.records import Record
from tongues.platform import storage
from tongues.tuning.adapter import add_up
from tongues.tuning.checkpoints import LOG_NAME
from tongues.tuning.curriculum import Job, Stage, check_stages
from tongues.tuning.dpo import train_preference
from tongues.tuning.merge import merge
from tongues.tuning.ranks import Ranks
from tongues.tuning.result import TuningResult
from tongues.tuning.sft import train

ADAPTER, MERGED, CHECKPOINTS, STAGES = "adapter", "merged", "checkpoints", "stages"
_ONE_NODE = (
    "tuning.stages: several stages on several nodes are not supported, because each stage starts from files "
    "of the one before; train on one node, or make each stage a recipe of its own"
)
_OWN, _BASE, _MASKS = "own-adapter", "base", "mask-preview.txt"


@dataclass(frozen=True, slots=True)
class StageResult:
    """A finished stage.

    Args:
        stage: what was run.
        folder: holds its adapter or weights, checkpoints and log.
        training: what it says of itself.
        weights_sha256: digest of its adapter's, or its weights', folder.
    """

    stage: Stage
    folder: Path
    training: TuningResult
    weights_sha256: str


def run_stages(stages: Sequence[Stage], job: Job) -> list[StageResult]:
    """Run all stages in order; the last one's result stands in `job.out` afterwards.

    Args:
        stages: as `plan_stages` makes them, at least one.
        job: what they share.

    Raises:
        PreflightError: a stage cannot be run; told before the first one starts.
        TrainingInterruptedError: evicted, or stalled; the same call goes on from there.
        TuningError: see `sft.train`.
    """
    if len(stages) == 1:
        result = _run(stages[0], job, job.out, job.base, None)
        return [StageResult(stages[0], job.out, result, _digest(job.out))]
    if job.ranks.local_count < job.ranks.count:
        raise PreflightError([_ONE_NODE])
    check_stages(stages, job)
    chain = _Chain(job)
    results = [chain.run(stage) for stage in stages]
    if job.ranks.leads:
        _gather(results, job.out)
    return results


class _Chain:
    """Hands each stage what the one before made of the model."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.base, self.before, self.below = job.base, Path(), Path()
        self.started = self.merged = False
        self.ranks = Ranks.here()

    def run(self, stage: Stage) -> StageResult:
        """Run one stage where the last one ended."""
        folder = self.job.out / STAGES / stage.name
        self.job.say(f"finetune: stage {stage.name!r}, {len(stage.records)} records")
        adapter = self._enter(stage, folder)
        training = _run(stage, self.job, folder, self.base, adapter)
        self._leave(stage, folder)
        gc.collect()  # trainers hold their models in cycles
        return StageResult(stage, folder, training, _digest(folder))

    def _enter(self, stage: Stage, folder: Path) -> Path | None:
        """The adapter the stage trains on; None where it starts a new one."""
        if not self.started or stage.section.mode == "full":
            return None
        if stage.adapter == "new":
            self.base, self.merged = self.job.base, False
            return None
        if stage.adapter == "merge":
            self.base, self.below, self.merged = folder / _BASE, self.before / ADAPTER, True
            if self.ranks.leads:
                _fold(self.job.base, self.below, self.base)
            self.ranks.wait()
            return None
        return self.before / (_OWN if self.merged else ADAPTER)

    def _leave(self, stage: Stage, folder: Path) -> None:
        self.started, self.before = True, folder
        if stage.section.mode == "full":
            self.base = folder / MERGED
        elif self.merged and self.ranks.leads:
            shutil.rmtree(folder / _OWN, ignore_errors=True)
            (folder / ADAPTER).rename(folder / _OWN)
            add_up(self.below, folder / _OWN, folder / ADAPTER)
        self.ranks.wait()


def _fold(base: Path, adapter: Path, merged: Path) -> None:
    """Make a stage's base, all or nothing; an interrupted run finds it."""
    if not merged.exists():
        partial = merged.with_name(f".{merged.name}.partial")
        merge(base, adapter, partial)
        partial.rename(merged)


def _run(stage: Stage, job: Job, folder: Path, base: Path, adapter: Path | None) -> TuningResult:
    below = folder.relative_to(job.out).parts
    uri = storage.join(job.mirror_uri, *below, CHECKPOINTS) if job.mirror_uri else None
    supervised = partial(train, tokenised=job.tokenised)
    function: Callable[..., TuningResult] = supervised if stage.kind == "supervised" else train_preference
    return function(
        train_records=stage.records,
        validation_records=job.validation,
        base=base,
        out=folder,
        section=stage.section,
        seed=job.seed,
        say=job.say,
        base_name=job.base_name,
        adapter=adapter,
        eviction=job.eviction,
        mirror_uri=uri,
    )


def _digest(folder: Path) -> str:
    if not Ranks.here().leads:
        return ""  # only the leader reports, and it may not have written yet
    weights = ADAPTER if (folder / ADAPTER).is_dir() else MERGED
    return digest_value(digest_files(folder / weights))


def _gather(results: Sequence[StageResult], out: Path) -> None:
    """Put the last stage's result where that of a single one stands, and all logs into one."""
    last = results[-1].folder
    for name in (ADAPTER, MERGED):
        shutil.rmtree(out / name, ignore_errors=True)
        if (last / name).is_dir():
            shutil.copytree(last / name, out / name)
    write_atomically(out / LOG_NAME, _one_log(results))
    previews = [r.folder / _MASKS for r in results if (r.folder / _MASKS).is_file()]
    write_atomically(out / _MASKS, b"\n".join(path.read_bytes() for path in previews))


def _one_log(results: Sequence[StageResult]) -> bytes:
    """The logs one after the other, steps and seconds counted on, each row with its stage's number."""
    lines: list[str] = []
    step = elapsed_s = 0.0
    for number, result in enumerate(results, 1):
        rows = [json.loads(line) for line in (result.folder / LOG_NAME).read_bytes().splitlines()]
        for row in rows:
            moved = {"step": row["step"] + int(step), "elapsed_s": round(row["elapsed_s"] + elapsed_s, 3)}
            lines.append(json.dumps(row | moved | {"stage": number}) + "\n")
        step, elapsed_s = step + rows[-1]["step"], elapsed_s + rows[-1]["elapsed_s"]
    return "".join(lines).encode()


def scratch(stages: Sequence[Stage]) -> tuple[str, ...]:
    """Folders that nobody needs once the work is done: checkpoints, and weights between two stages."""
    if len(stages) == 1:
        return (CHECKPOINTS,)
    names = (CHECKPOINTS, _BASE, _OWN, MERGED)
    return tuple(f"{STAGES}/{stage.name}/{name}" for stage in stages for name in names)


def unused(
    training: Sequence[Record], validation: Sequence[Record], results: Sequence[StageResult]
) -> list[Drop]:
    """Records that no stage learnt from or was watched on, each once, with its first reason."""
    drops: dict[str, Drop] = {}
    used: set[str] = set()
    for result in results:
        dropped = {drop.where: drop for drop in result.training.dropped}
        drops = dropped | drops
        used |= {record.id for record in (*result.stage.records, *validation)} - dropped.keys()
    left = [r for r in training if r.id not in used and r.id not in drops]
    untaken = [Drop(r.lang, "no-stage", "no stage takes it", r.id, r.answer.content) for r in left]
    return [drop for drop in drops.values() if drop.where not in used] + untaken


def whole_course(results: Sequence[StageResult]) -> TuningResult:
    """All stages as one training: sums, the first one's start and the last one's end."""
    parts = [result.training for result in results]
    rates = [part.tokens_per_s for part in parts]
    return replace(
        parts[-1],
        steps_run=sum(part.steps_run for part in parts),
        steps_total=sum(part.steps_total for part in parts),
        tokens=sum(part.tokens for part in parts),
        label_tokens=sum(part.label_tokens for part in parts),
        validation_loss_before=parts[0].validation_loss_before,
        seconds=sum(part.seconds for part in parts),
        tokens_per_s=sum(rates) / len(rates),
    )
