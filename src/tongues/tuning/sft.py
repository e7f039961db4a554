"""LoRA supervised fine-tuning: TRL's trainer on our own labels, resumable, with a log of every step."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tongues.core.digests import canonical_json, digest_files, digest_value
from tongues.core.drops import Drop
from tongues.core.manifest import write_atomically
from tongues.core.progress import LineProgress, Say, say_on_stderr
from tongues.core.recipe import TuningSection
from tongues.core.records import Record
from tongues.tuning.adapter import export_adapter
from tongues.tuning.checkpoints import Checkpoints, checkpoint_step
from tongues.tuning.masks import preview
from tongues.tuning.models import choose_attention, load_model
from tongues.tuning.preflight import Prepared, prepare
from tongues.tuning.schedule import Schedule, plan_schedule, scheduled_dataset
from tongues.tuning.steps import StepLog, step_callback
from tongues.tuning.trainer import keep_inputs_as_they_are, trainer_class, use_answer_head
from tongues.tuning.validation import validation_losses

OnStep = Callable[[dict[str, float]], None]


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
        trainable_parameters: weights of the adapter.
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
) -> TuningResult:
    """Train an adapter.

    Writes ``adapter/`` (safetensors, config, tokenizer, chat template), ``mask-preview.txt`` and
    ``training-log.jsonl`` into `out`, and keeps checkpoints in ``checkpoints/`` until the caller
    removes them. A second call with the same work goes on where the first
    one was stopped; the same seed gives the same losses on a CPU.

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

    Raises:
        PreflightError: something is wrong with data, model, machine or masks; lists all of it.
        TuningError: other work's checkpoints are in `out`, another run is training there, or the
            loss is no longer finite.
    """
    started = time.monotonic()
    prepared = prepare(
        train_records=train_records,
        validation_records=validation_records,
        base=base,
        out=out,
        section=section,
    )
    _show_masks(train_records, prepared, out, say)
    schedule = plan_schedule([len(e.input_ids) for e in prepared.training], section, seed)
    checkpoints = Checkpoints(out / "checkpoints", _work(prepared, base, section, seed))
    with checkpoints.locked():
        run = _Run(prepared, schedule, checkpoints, base, out, section, seed, say, on_step)
        outcome = run.execute()
        export_adapter(run.model, base, out / "adapter", base_name=base_name)
    return _result(prepared, schedule, outcome, time.monotonic() - started)


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
        base: Path,
        out: Path,
        section: TuningSection,
        seed: int,
        say: Say,
        on_step: OnStep | None,
    ) -> None:
        self.prepared, self.schedule, self.checkpoints = prepared, schedule, checkpoints
        self.section, self.seed, self.say, self.on_step = section, seed, say, on_step
        self.last = checkpoints.last()
        self.log = StepLog(out / "training-log.jsonl", checkpoint_step(self.last) if self.last else 0)
        attention = choose_attention(max(len(row.input_ids) for row in prepared.training))
        self.trainer = self._trainer(load_model(base, prepared.precision, attention=attention))
        self.model = self.trainer.model

    def execute(self) -> _Outcome:
        """Validate, train, validate."""
        before = self._before()
        started = time.monotonic()
        self.trainer.train(resume_from_checkpoint=str(self.last) if self.last else None)
        seconds = time.monotonic() - started
        after = self._validate("after training")
        trainable = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        resumed = checkpoint_step(self.last) if self.last else None
        return _Outcome(resumed, self.log, before, after, seconds, trainable)

    def _before(self) -> dict[str, float]:
        """The base model's validation loss, measured once however often the run is resumed."""
        path = self.checkpoints.folder / "validation-before.json"
        if not path.exists():
            write_atomically(path, canonical_json(self._validate("before training")))
        stored: dict[str, float] = json.loads(path.read_bytes())
        return stored

    def _validate(self, when: str) -> dict[str, float]:
        losses = validation_losses(self.trainer, self.prepared.validation, self.section.batch_rows)
        if losses:
            told = ", ".join(f"{lang} {loss:.3f}" for lang, loss in sorted(losses.items()))
            self.say(f"finetune: validation loss {when}: {told}")
        return losses

    def _trainer(self, model: Any) -> Any:
        from peft import LoraConfig
        from transformers import PrinterCallback

        lora = self.section.lora
        modules = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
        trainer = trainer_class()(
            model=model,
            args=self._arguments(),
            train_dataset=scheduled_dataset(self.prepared.training, self.schedule),
            processing_class=self.prepared.tokenizer,
            peft_config=LoraConfig(
                r=lora.r,
                lora_alpha=lora.alpha,
                lora_dropout=lora.dropout,
                target_modules=modules,
                task_type="CAUSAL_LM",
            ),
        )
        use_answer_head(trainer.model.get_base_model())
        keep_inputs_as_they_are(trainer.model, self.prepared.precision)
        trainer.last_good = self.checkpoints.last
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(
            step_callback(self.log, self._facts, self.checkpoints, self._progress(), self.on_step)
        )
        return trainer

    def _arguments(self) -> Any:
        import torch
        from trl import SFTConfig

        section = self.section
        return SFTConfig(
            output_dir=str(self.checkpoints.folder),
            max_steps=self.schedule.steps,
            per_device_train_batch_size=section.batch_rows,
            gradient_accumulation_steps=section.accumulation_steps,
            learning_rate=section.learning_rate,
            lr_scheduler_type=section.scheduler,
            warmup_steps=round(section.warmup_share * self.schedule.steps),
            weight_decay=section.weight_decay,
            seed=self.seed,
            use_cpu=not torch.cuda.is_available(),
            bf16=self.prepared.precision == "bf16",
            train_sampling_strategy="sequential",  # the schedule is the order
            dataset_kwargs={"skip_prepare_dataset": True},  # the labels are ours: nothing is added or cut
            max_length=None,
            gradient_checkpointing=False,
            logging_steps=1,
            logging_nan_inf_filter=False,  # else a NaN is shown as the last good value
            save_steps=section.checkpoint_steps,
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )

    def _facts(self, step: int) -> tuple[int, int]:
        """Tokens and labelled tokens of a step, counted from 1."""
        rows = [self.prepared.training[i] for i in self.schedule.step_rows(step - 1)]
        return sum(len(row.input_ids) for row in rows), sum(row.label_tokens for row in rows)

    def _progress(self) -> LineProgress:
        done = checkpoint_step(self.last) if self.last else 0
        left = sum(self._facts(step)[0] for step in range(done + 1, self.schedule.steps + 1))
        if self.last:
            self.say(f"finetune: goes on after step {done} of {self.schedule.steps}")
        return LineProgress("finetune", left, "tokens", say=self.say)


def _show_masks(records: Sequence[Record], prepared: Prepared, out: Path, say: Say) -> None:
    usable = {e.id for e in prepared.training}
    shown = [r for r in records if r.id in usable][:3]
    text = preview(shown, prepared.tokenizer)
    write_atomically(out / "mask-preview.txt", text.encode())
    for line in text.splitlines():
        say(line)


def _work(prepared: Prepared, base: Path, section: TuningSection, seed: int) -> dict[str, str]:
    rows = [[list(e.input_ids), e.answer_start, e.lang] for e in prepared.training + prepared.validation]
    course = section.model_dump(mode="json", exclude={"checkpoint_steps"})
    return {
        "dataset": digest_value([len(prepared.training), rows]),
        "base model": digest_value(digest_files(base, leave_out=frozenset({"manifest.json"}))),
        "tuning section": digest_value([course, prepared.precision]),
        "seed": str(seed),
    }


def _result(prepared: Prepared, schedule: Schedule, outcome: _Outcome, seconds: float) -> TuningResult:
    seen = [prepared.training[i] for i in schedule.order]
    log, ran = outcome.log, outcome.log.rows_of_this_run
    return TuningResult(
        steps_run=len(ran),
        steps_total=schedule.steps,
        resumed_from=outcome.resumed_from,
        tokens=sum(len(e.input_ids) for e in seen),
        label_tokens=sum(e.label_tokens for e in seen),
        rows=len(set(schedule.order)),
        train_loss=log.final_loss(),
        validation_loss=outcome.after,
        validation_loss_before=outcome.before,
        dropped=prepared.dropped,
        seconds=seconds,
        tokens_per_s=sum(row["tokens"] for row in ran) / outcome.seconds if ran else 0.0,
        padding_share=schedule.padding_share([len(e.input_ids) for e in prepared.training]),
        precision=prepared.precision,
        trainable_parameters=outcome.trainable,
    )
