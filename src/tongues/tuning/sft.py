"""Supervised fine-tuning: TRL's trainer on our own labels, resumable, with a log of every step."""

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tongues.core.digests import canonical_json, digest_files, digest_value
from tongues.core.drops import Drop
from tongues.core.errors import TuningError
from tongues.core.manifest import write_atomically
from tongues.core.progress import LineProgress, Say, say_on_stderr
from tongues.core.recipe import TuningSection
from tongues.core.records import Record
from tongues.tuning.adapter import export_adapter
from tongues.tuning.arguments import on_one_device, trainer_arguments
from tongues.tuning.attention import choose_layout
from tongues.tuning.batches import Batcher, step_loader
from tongues.tuning.checkpoints import LOG_NAME, Checkpoints, checkpoint_step
from tongues.tuning.driving import Course, OnStep, drive
from tongues.tuning.eviction import Eviction
from tongues.tuning.fused_lora import fuse_lora
from tongues.tuning.kernels import use_fused_kernels
from tongues.tuning.masks import Example, preview
from tongues.tuning.memory import gib
from tongues.tuning.merge import export_full
from tongues.tuning.mirror import Mirror
from tongues.tuning.models import choose_attention, load_model
from tongues.tuning.modes import inner_model, trainable_model
from tongues.tuning.packing import Budget
from tongues.tuning.preflight import Prepared, prepare
from tongues.tuning.ranks import Ranks
from tongues.tuning.schedule import Schedule, plan_schedule
from tongues.tuning.sharding import whole_weights
from tongues.tuning.steps import StepLog
from tongues.tuning.trainer import keep_inputs_as_they_are, trainer_class, use_answer_head
from tongues.tuning.validation import validation_losses


@dataclass(frozen=True, slots=True)
class TuningResult:
    """What a finished training says of itself.

    Args:
        steps_run: optimiser steps of this call; 0 if a checkpoint of the last step was there.
        steps_total: optimiser steps of the whole training.
        resumed_from: step of the checkpoint that was continued; None for a fresh start.
        tokens: tokens seen over all steps, padding not counted.
        label_tokens: those the loss was taken on.
        rows: different rows trained on.
        train_loss: mean over the last tenth of the steps, nats per trained token.
        validation_loss: language to nats per trained token, after training; "all" is over all rows.
        validation_loss_before: the same for the base model.
        dropped: rows not used, with reasons.
        seconds: wall time of this call.
        tokens_per_s: tokens of this call's steps by the time they took; 0 if there were none.
        padding_share: share of computed token slots without a token.
        precision: what the weights were held in.
        trainable_parameters: weights that learn: the adapter's, or all.
        layout: "packed" or "padded": how rows lay in a forward pass.
        pass_fill: tokens by what as many passes of `batch_tokens` would hold.
    """

    steps_run: int
    steps_total: int
    resumed_from: int | None
    tokens: int
    label_tokens: int
    rows: int
    train_loss: float
    validation_loss: dict[str, float]
    validation_loss_before: dict[str, float]
    dropped: list[Drop] = field(repr=False)
    seconds: float
    tokens_per_s: float
    padding_share: float
    precision: str
    trainable_parameters: int
    layout: str = "padded"
    pass_fill: float = 0.0

    @property
    def label_share(self) -> float:
        """Share of tokens the loss was taken on."""
        return self.label_tokens / self.tokens if self.tokens else 0.0


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
    started = time.monotonic()
    prepared = prepare(
        train_records=train_records,
        validation_records=validation_records,
        base=base,
        out=out,
        section=section,
        tokenised=tokenised,
    )
    ranks = Ranks.here()
    prepared = replace(prepared, memory=ranks.agreed(prepared.memory))
    say = say if ranks.leads else _nothing
    say(_way(prepared, section, ranks))
    if ranks.leads:
        _show_masks(train_records, prepared, out, say)
    schedule = plan_schedule(len(prepared.training), section, seed)
    work = _work(prepared, base, adapter, section, seed) if ranks.leads else {}
    checkpoints = Checkpoints(out / "checkpoints", work, say)
    eviction = eviction or Eviction(section.safety.grace_s, say)
    mirror = Mirror.of(mirror_uri, checkpoints.folder, eviction, say)
    with checkpoints.locked() if ranks.leads else nullcontext():
        last = find_last(checkpoints, mirror, ranks)
        run = _Run(prepared, schedule, checkpoints, last, base, adapter, out, section, seed, say)
        outcome = run.execute(eviction, mirror if ranks.leads else None, on_step if ranks.leads else None)
        run.export(base, out, base_name)
    return _result(prepared, run, outcome, time.monotonic() - started)


@dataclass(frozen=True, slots=True)
class _Outcome:
    resumed_from: int | None
    log: StepLog
    before: dict[str, float]
    after: dict[str, float]
    seconds: float
    trainable: int


class _Run:
    """One training from its last checkpoint, or from the start, to its last step."""

    def __init__(
        self,
        prepared: Prepared,
        schedule: Schedule,
        checkpoints: Checkpoints,
        last: Path | None,
        base: Path,
        adapter: Path | None,
        out: Path,
        section: TuningSection,
        seed: int,
        say: Say,
    ) -> None:
        self.prepared, self.schedule, self.checkpoints, self.last = prepared, schedule, checkpoints, last
        self.section, self.seed, self.say, self.ranks = section, seed, say, Ranks.here()
        self.sharded = prepared.memory.shares > 1
        self.log = StepLog(out / LOG_NAME, last, writes=self.ranks.leads)
        attention = choose_attention(max(len(row.input_ids) for row in prepared.training))
        model = trainable_model(base, section, prepared.precision, attention, adapter=adapter, seed=seed)
        model = model if self.sharded else _on_its_device(model)
        self.layout = choose_layout(inner_model(model), prepared.precision)
        self.say(f"finetune: {use_fused_kernels(inner_model(model), section.hardware.kernels)}")
        self.batcher = self._batcher(prepared.training)
        self.steps = [schedule.step_rows(step) for step in range(schedule.steps)]
        self._tell_layout()
        self.trainer = self._trainer(model)
        self.model = self.trainer.model

    def execute(self, eviction: Eviction, mirror: Mirror | None, on_step: OnStep | None) -> _Outcome:
        """Validate, train, validate."""
        before = self._before()
        course = Course(
            self.checkpoints,
            self.last,
            self.log,
            self._facts,
            self._progress(),
            self.section,
            eviction,
            mirror,
            self.say,
            on_step,
        )
        trainable = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        torch_seed(self.seed, self.ranks)
        seconds = drive(self.trainer, course)
        self.model = self.trainer.model
        after = self._validate("after training")
        resumed = checkpoint_step(self.last) if self.last else None
        return _Outcome(resumed, self.log, before, after, seconds, trainable)

    def _before(self) -> dict[str, float]:
        """The validation loss at the start, measured once however often the run is resumed."""
        path = self.checkpoints.folder / "validation-before.json"
        if self.ranks.agreed(not path.exists()):
            measured = self._validate("before training")
            if self.ranks.leads:
                write_atomically(path, canonical_json(measured))
        stored: dict[str, float] = json.loads(path.read_bytes()) if self.ranks.leads else {}
        return self.ranks.agreed(stored)

    def export(self, base: Path, out: Path, base_name: str) -> None:
        """Write what was learnt; divided weights come together for it."""
        weights = whole_weights(self.model) if self.sharded else None
        if not self.ranks.leads:
            return
        if self.section.mode == "lora":
            export_adapter(self.model, base, out / "adapter", base_name=base_name, weights=weights)
            return
        newest = self.checkpoints.newest()
        whole = load_model(newest, "fp32") if self.sharded and newest else self.model
        export_full(whole, base, out / "merged")

    def _validate(self, when: str) -> dict[str, float]:
        rows = self.prepared.validation
        losses = validation_losses(self.trainer, rows, self._batcher(rows))
        if losses:
            told = ", ".join(f"{lang} {loss:.3f}" for lang, loss in sorted(losses.items()))
            self.say(f"finetune: validation loss {when}: {told}")
        return losses

    def _tell_layout(self) -> None:
        feed, steps = self.batcher, self.steps
        passes = sum(len(feed.passes(step)) for step in steps)
        efficiency = f"{feed.padding_share(steps):.1%} padding, passes {feed.fill(steps):.1%} full"
        self.say(f"finetune: rows are {self.layout}: {passes} passes in {len(steps)} steps, {efficiency}")

    def _batcher(self, rows: Sequence[Example]) -> Batcher:
        budget = Budget(self.section.batch_tokens, self.section.batch_rows)
        return Batcher(rows, self.layout, budget, self.prepared.tokenizer.pad_token_id or 0)

    def _trainer(self, model: Any) -> Any:
        from datasets import Dataset

        trainer = trainer_class(divided=self.sharded)(
            model=model,
            args=on_one_device(self._arguments()),
            # TRL wants to see a row; what is trained on comes from the loader.
            train_dataset=Dataset.from_list([self.prepared.training[0].columns()]),
            processing_class=self.prepared.tokenizer,
        )
        trainer.loader = partial(_loader, self.batcher, self.schedule)
        use_answer_head(inner_model(trainer.model), sharded=self.sharded)
        keep_inputs_as_they_are(trainer.model, self.prepared.precision)
        fuse_lora(trainer.model)
        trainer.last_good = self.checkpoints.newest
        if self.sharded:
            trainer.divide_model(self.last)
        return trainer

    def _arguments(self) -> Any:
        from trl import SFTConfig

        return SFTConfig(
            **trainer_arguments(
                self.section,
                self.checkpoints.folder,
                self.schedule.steps,
                self.prepared.precision,
                self.seed,
                self.prepared.memory,
            )
            | {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 1},  # an item is a step
            dataset_kwargs={"skip_prepare_dataset": True},  # the labels are ours: nothing is added or cut
        )

    def _facts(self, step: int) -> tuple[int, int]:
        """Tokens and labelled tokens of a step, counted from 1."""
        return self.batcher.counted(self.schedule.step_rows(step - 1))

    def _progress(self) -> LineProgress:
        done = checkpoint_step(self.last) if self.last else 0
        left = sum(self._facts(step)[0] for step in range(done + 1, self.schedule.steps + 1))
        if self.last:
            self.say(f"finetune: goes on after step {done} of {self.schedule.steps}")
        return LineProgress("finetune", left, "tokens", say=self.say)


def _loader(batcher: Batcher, schedule: Schedule, rank: int, ranks: int) -> Any:
    return step_loader(batcher, schedule, rank=rank, ranks=ranks)


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


def _on_its_device(model: Any) -> Any:
    """A model on the GPU of this process, where there is one, so that its layout is tried there."""
    import torch

    return model.to("cuda") if torch.cuda.is_available() else model


def torch_seed(seed: int, ranks: Ranks) -> None:
    """Let each process but the first draw dropout of its own: rows of one step are not to share masks."""
    import torch

    if not ranks.leads:
        torch.manual_seed(seed + ranks.rank)


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


def _work(
    prepared: Prepared, base: Path, adapter: Path | None, section: TuningSection, seed: int
) -> dict[str, str]:
    both = [*prepared.training, *prepared.validation]
    rows = [[list(e.input_ids), e.spans, e.lang] for e in both]
    course = section.model_dump(mode="json", exclude={"checkpoint_steps", "safety", "hardware"})
    return {
        "dataset": digest_value([len(prepared.training), rows]),
        "base model": digest_value(digest_files(base, leave_out=frozenset({"manifest.json"}))),
        "tuning section": digest_value([course, prepared.precision]),
        "seed": str(seed),
        "adapter it starts from": digest_value(digest_files(adapter)) if adapter else "none",
        "way of dividing weights": "fsdp2" if prepared.memory.shares > 1 else "none",
    }


def _result(prepared: Prepared, run: _Run, outcome: _Outcome, seconds: float) -> TuningResult:
    schedule = run.schedule
    tokens, label_tokens = run.batcher.counted(schedule.order)
    log, ran = outcome.log, outcome.log.rows_of_this_run
    return TuningResult(
        steps_run=len(ran),
        steps_total=schedule.steps,
        resumed_from=outcome.resumed_from,
        tokens=tokens,
        label_tokens=label_tokens,
        rows=len(set(schedule.order)),
        train_loss=log.final_loss(),
        validation_loss=outcome.after,
        validation_loss_before=outcome.before,
        dropped=prepared.dropped,
        seconds=seconds,
        tokens_per_s=sum(row["tokens"] for row in ran) / outcome.seconds if ran else 0.0,
        padding_share=run.batcher.padding_share(run.steps),
        precision=prepared.precision,
        trainable_parameters=outcome.trainable,
        layout=run.layout,
        pass_fill=run.batcher.fill(run.steps),
    )
