"""One supervised training, from its last checkpoint, or from the start, to its last step.

the model, with what learns beside it -> the layout it gets -> batches -> the trainer
validation -> steps -> validation -> what was learnt, written
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tongues.core.digests import canonical_json
from tongues.core.manifest import write_atomically
from tongues.core.progress import LineProgress, Say
from tongues.core.recipe import TuningSection
from tongues.tuning.adapter import export_adapter
from tongues.tuning.arguments import on_one_device, trainer_arguments
from tongues.tuning.attention import choose_layout
from tongues.tuning.batches import Batcher, step_loader
from tongues.tuning.checkpoints import LOG_NAME, Checkpoints, checkpoint_step
from tongues.tuning.driving import Course, OnStep, drive
from tongues.tuning.eviction import Eviction
from tongues.tuning.fused_lora import fuse_lora
from tongues.tuning.kernels import use_fused_kernels
from tongues.tuning.masks import Example
from tongues.tuning.merge import export_full
from tongues.tuning.mirror import Mirror
from tongues.tuning.models import choose_attention, load_model
from tongues.tuning.modes import inner_model, trainable_model
from tongues.tuning.packing import Budget
from tongues.tuning.preflight import Prepared
from tongues.tuning.ranks import Ranks
from tongues.tuning.result import TuningResult
from tongues.tuning.schedule import Schedule
from tongues.tuning.sharding import whole_weights
from tongues.tuning.steps import StepLog
from tongues.tuning.trainer import keep_inputs_as_they_are, trainer_class, use_answer_head
from tongues.tuning.validation import validation_losses


@dataclass(frozen=True, slots=True)
class Task:
    """What decides one training.

    Args:
        prepared: rows, tokenizer, precision and needs of memory.
        schedule: which rows each step sees.
        base: folder of the base model.
        adapter: folder of an adapter that is trained on; None for a new one.
        out: folder for the result.
        section: the recipe's tuning section.
        seed: of adapter weights, order and dropout.
    """

    prepared: Prepared
    schedule: Schedule
    base: Path
    adapter: Path | None
    out: Path
    section: TuningSection
    seed: int


@dataclass(frozen=True, slots=True)
class _Outcome:
    before: dict[str, float]
    after: dict[str, float]
    seconds: float
    trainable: int


class SupervisedRun:
    """The model of a task, and what becomes of it.

    Args:
        task: what is trained.
        checkpoints: where it saves.
        last: checkpoint it goes on from; None for a fresh start.
        say: takes lines for the user.
    """

    def __init__(self, task: Task, checkpoints: Checkpoints, last: Path | None, say: Say) -> None:
        self.task, self.checkpoints, self.last, self.say = task, checkpoints, last, say
        self.prepared, self.schedule, self.section = task.prepared, task.schedule, task.section
        self.ranks = Ranks.here()
        self.divided = task.prepared.memory.shares > 1
        self.log = StepLog(task.out / LOG_NAME, last, writes=self.ranks.leads)
        model = self._model()
        self.layout = choose_layout(inner_model(model), self.prepared.precision)
        self.say(f"finetune: {use_fused_kernels(inner_model(model), self.section.hardware.kernels)}")
        self.batcher = self._batcher(self.prepared.training)
        self._tell_layout()
        self.trainer = self._trainer(model)
        self.model = self.trainer.model

    def execute(self, eviction: Eviction, mirror: Mirror | None, on_step: OnStep | None) -> _Outcome:
        """Validate, train, validate."""
        before = self._before()
        trainable = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        _own_dropout(self.task.seed, self.ranks)
        seconds = drive(self.trainer, self._course(eviction, mirror, on_step))
        self.model = self.trainer.model
        return _Outcome(before, self._validate("after training"), seconds, trainable)

    def export(self, base_name: str) -> None:
        """Write what was learnt; divided weights come together for it."""
        base, out = self.task.base, self.task.out
        weights = whole_weights(self.model) if self.divided else None
        if not self.ranks.leads:
            return
        if self.section.mode == "lora":
            export_adapter(self.model, base, out / "adapter", base_name=base_name, weights=weights)
            return
        newest = self.checkpoints.newest()
        whole = load_model(newest, "fp32") if self.divided and newest else self.model
        export_full(whole, base, out / "merged")

    def result(self, outcome: _Outcome, seconds: float) -> TuningResult:
        """What the run says of itself.

        Args:
            outcome: of `execute`.
            seconds: wall time of the whole call.
        """
        tokens, label_tokens = self.batcher.counted(self.schedule.order)
        ran, steps = self.log.rows_of_this_run, self._steps()
        return TuningResult(
            steps_run=len(ran),
            steps_total=self.schedule.steps,
            resumed_from=checkpoint_step(self.last) if self.last else None,
            tokens=tokens,
            label_tokens=label_tokens,
            rows=len(set(self.schedule.order)),
            train_loss=self.log.final_loss(),
            validation_loss=outcome.after,
            validation_loss_before=outcome.before,
            dropped=self.prepared.dropped,
            seconds=seconds,
            tokens_per_s=sum(row["tokens"] for row in ran) / outcome.seconds if ran else 0.0,
            padding_share=self.batcher.padding_share(steps),
            precision=self.prepared.precision,
            trainable_parameters=outcome.trainable,
            layout=self.layout,
            pass_fill=self.batcher.fill(steps),
        )

    def _model(self) -> Any:
        """The model on the device where its layout is tried; one to be divided gets there later."""
        task = self.task
        attention = choose_attention(max(len(row.input_ids) for row in self.prepared.training))
        model = trainable_model(
            task.base, self.section, self.prepared.precision, attention, adapter=task.adapter, seed=task.seed
        )
        return model if self.divided else _on_its_device(model)

    def _batcher(self, rows: Sequence[Example]) -> Batcher:
        budget = Budget(self.section.batch_tokens, self.section.batch_rows)
        return Batcher(rows, self.layout, budget, self.prepared.tokenizer.pad_token_id or 0)

    def _steps(self) -> list[Sequence[int]]:
        return [self.schedule.step_rows(step) for step in range(self.schedule.steps)]

    def _tell_layout(self) -> None:
        feed, steps = self.batcher, self._steps()
        passes = sum(len(feed.passes(step)) for step in steps)
        efficiency = f"{feed.padding_share(steps):.1%} padding, passes {feed.fill(steps):.1%} full"
        self.say(f"finetune: rows are {self.layout}: {passes} passes in {len(steps)} steps, {efficiency}")

    def _trainer(self, model: Any) -> Any:
        from datasets import Dataset

        trainer = trainer_class(divided=self.divided)(
            model=model,
            args=on_one_device(self._arguments()),
            # TRL wants to see a row; what is trained on comes from the loader.
            train_dataset=Dataset.from_list([self.prepared.training[0].columns()]),
            processing_class=self.prepared.tokenizer,
        )
        trainer.loader = partial(_loader, self.batcher, self.schedule)
        use_answer_head(inner_model(trainer.model), sharded=self.divided)
        keep_inputs_as_they_are(trainer.model, self.prepared.precision)
        fuse_lora(trainer.model)
        trainer.last_good = self.checkpoints.newest
        if self.divided:
            trainer.divide_model(self.last)
        return trainer

    def _arguments(self) -> Any:
        from trl import SFTConfig

        given = trainer_arguments(
            self.section,
            self.checkpoints.folder,
            self.schedule.steps,
            self.prepared.precision,
            self.task.seed,
            self.prepared.memory,
        )
        item_is_a_step = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 1}
        labels_are_ours = {"skip_prepare_dataset": True}  # nothing is added or cut
        return SFTConfig(**given | item_is_a_step, dataset_kwargs=labels_are_ours)

    def _course(self, eviction: Eviction, mirror: Mirror | None, on_step: OnStep | None) -> Course:
        return Course(
            checkpoints=self.checkpoints,
            last=self.last,
            log=self.log,
            facts=self._facts,
            progress=self._progress(),
            section=self.section,
            eviction=eviction,
            mirror=mirror,
            say=self.say,
            on_step=on_step,
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

    def _before(self) -> dict[str, float]:
        """The validation loss at the start, measured once however often the run is resumed."""
        path = self.checkpoints.folder / "validation-before.json"
        if self.ranks.agreed(not path.exists()):
            measured = self._validate("before training")
            if self.ranks.leads:
                write_atomically(path, canonical_json(measured))
        stored: dict[str, float] = json.loads(path.read_bytes()) if self.ranks.leads else {}
        return self.ranks.agreed(stored)

    def _validate(self, when: str) -> dict[str, float]:
        rows = self.prepared.validation
        losses = validation_losses(self.trainer, rows, self._batcher(rows))
        if losses:
            told = ", ".join(f"{lang} {loss:.3f}" for lang, loss in sorted(losses.items()))
            self.say(f"finetune: validation loss {when}: {told}")
        return losses


def _loader(batcher: Batcher, schedule: Schedule, rank: int, ranks: int) -> Any:
    return step_loader(batcher, schedule, rank=rank, ranks=ranks)


def _on_its_device(model: Any) -> Any:
    """A model on the GPU of this process, where there is one, so that its layout is tried there."""
    import torch

    return model.to("cuda") if torch.cuda.is_available() else model


def _own_dropout(seed: int, ranks: Ranks) -> None:
    """Let each process but the first draw dropout of its own: rows of one step are not to share masks."""
    import torch

    if not ranks.leads:
        torch.manual_seed(seed + ranks.rank)
