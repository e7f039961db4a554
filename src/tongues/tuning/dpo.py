"""Direct preference optimisation (arXiv 2305.18290) on pairs of answers, through TRL.

A pair is a record whose metadata has a worse answer beside the one it ends with. The reference is the
model as it was before the stage: with an adapter, a frozen copy of it; else a second copy of all weights.
"""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tongues.core.digests import canonical_json, digest_files, digest_value
from tongues.core.drops import Drop
from tongues.core.errors import PreflightError
from tongues.core.manifest import write_atomically
from tongues.core.progress import LineProgress, Say, say_on_stderr
from tongues.core.recipe import TuningSection
from tongues.core.records import Record
from tongues.tuning.adapter import export_adapter
from tongues.tuning.arguments import on_one_device, trainer_arguments
from tongues.tuning.checkpoints import LOG_NAME, Checkpoints, checkpoint_step
from tongues.tuning.driving import Course, OnStep, drive
from tongues.tuning.eviction import Eviction
from tongues.tuning.masks import Example, encode
from tongues.tuning.merge import export_full
from tongues.tuning.mirror import Mirror
from tongues.tuning.models import choose_attention, load_model, load_tokenizer, resolve_precision
from tongues.tuning.modes import trainable_model
from tongues.tuning.pairs import Pair, encode_pairs, no_pairs
from tongues.tuning.result import TuningResult
from tongues.tuning.steps import StepLog


def train_preference(
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
) -> TuningResult:
    """Learn to prefer the better answer; arguments, output and interruptions are those of `sft.train`.

    Args:
        train_records: records with a worse answer.
        validation_records: the loss of their last answers is watched, as in supervised tuning.
        base: folder of the base model.
        out: folder for the result.
        section: the recipe's tuning section, with `preference`.
        seed: of the order, and of a new adapter.
        say: takes lines for the reader.
        on_step: called after each step; its row also has "reward_margin" and "reward_accuracy".
        base_name: name of the base model for the adapter's config.
        adapter: folder of the adapter that is trained on; None for a new one.
        eviction: tells whether the machine is asked back.
        mirror_uri: folder in the object store that takes the checkpoints.

    Raises:
        PreflightError: no pair is left.
        TrainingInterruptedError: evicted, or stalled; progress is kept.
        TuningError: see `sft.train`.
    """
    started = time.monotonic()
    tokenizer = load_tokenizer(base)
    pairs, drops = encode_pairs(train_records, tokenizer, max_seq_tokens=section.max_seq_tokens)
    if not pairs:
        raise PreflightError([no_pairs(drops)])
    watched, _ = encode(validation_records, tokenizer, max_seq_tokens=section.max_seq_tokens)
    task = _Task(pairs, watched, tokenizer, base, adapter, out, section, seed)
    checkpoints = Checkpoints(out / "checkpoints", _work(task), say)
    eviction = eviction or Eviction(section.safety.grace_s, say)
    mirror = Mirror.of(mirror_uri, checkpoints.folder, eviction, say)
    with checkpoints.locked():
        if mirror:
            mirror.fetch()
        run = _Run(task, checkpoints, say)
        outcome = run.execute(run.course(eviction, mirror, on_step))
        if section.mode == "full":
            export_full(run.model, base, out / "merged")
        else:
            export_adapter(run.model, base, out / "adapter", base_name=base_name)
    return run.result(outcome, drops, time.monotonic() - started)


@dataclass(frozen=True, slots=True)
class _Task:
    """What decides one stage of preference; see `train_preference`."""

    pairs: Sequence[Pair]
    watched: Sequence[Example]
    tokenizer: Any
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


@cache
def preference_trainer_class() -> Any:
    """The trainer; a function, because importing TRL takes seconds."""
    from trl import DPOTrainer

    class PreferenceTrainer(DPOTrainer):  # type: ignore[misc]
        """DPO on given token ids."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            """The ids are ours: nothing is rendered, added or cut."""
            return dataset

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            """Read what learns; the reference is the model before the stage, and is there already.

            With two adapters, transformers reads only the one in a folder of its own: the reference.
            """
            model = self.model if model is None else model
            if hasattr(model, "peft_config"):
                model.load_adapter(resume_from_checkpoint, "default", is_trainable=True)
            else:
                super()._load_from_checkpoint(resume_from_checkpoint, model)

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """A checkpoint needs none."""

        def _send_telemetry(self) -> None:
            """Nothing about a run leaves the machine."""

    return PreferenceTrainer


class _Run:
    """One stage of preference from its last checkpoint, or from the start, to its last step."""

    def __init__(self, task: _Task, checkpoints: Checkpoints, say: Say) -> None:
        self.task, self.pairs, self.section, self.say = task, task.pairs, task.section, say
        self.checkpoints, self.last = checkpoints, checkpoints.last()
        self.log = StepLog(task.out / LOG_NAME, self.last)
        self.order = _order(len(task.pairs), task.section, task.seed)
        self.rows_per_step = task.section.batch_rows * task.section.accumulation_steps
        self.steps = -(-len(self.order) // self.rows_per_step)
        self.precision = resolve_precision(task.section.precision)
        self.trainer = self._trainer(*self._models())
        self.model = self.trainer.model

    def _models(self) -> tuple[Any, Any]:
        """What learns, and the reference; an adapter's trainer copies its own."""
        task, full = self.task, self.section.mode == "full"
        longest = max(len(e.input_ids) for pair in self.pairs for e in (pair.chosen, pair.rejected))
        attention = choose_attention(longest)
        model = trainable_model(
            task.base, self.section, self.precision, attention, adapter=task.adapter, seed=task.seed
        )
        return model, load_model(task.base, "fp32", attention=attention) if full else None

    def _trainer(self, model: Any, reference: Any) -> Any:
        from datasets import Dataset
        from trl import DPOConfig

        preference = self.section.preference
        assert preference is not None, "a preference stage is planned only where the recipe has one"  # noqa: S101
        rows = Dataset.from_list([pair.columns() for pair in self.pairs]).select(self.order)
        folder, seed = self.checkpoints.folder, self.task.seed
        common = trainer_arguments(self.section, folder, self.steps, self.precision, seed)
        return preference_trainer_class()(
            model=model,
            ref_model=reference,
            args=on_one_device(DPOConfig(**common, beta=preference.beta)),
            train_dataset=rows,
            processing_class=self.task.tokenizer,
        )

    def course(self, eviction: Eviction, mirror: Mirror | None, on_step: OnStep | None) -> Course:
        """What surrounds the loop."""
        done = checkpoint_step(self.last) if self.last else 0
        left = sum(self._facts(step)[0] for step in range(done + 1, self.steps + 1))
        return Course(
            checkpoints=self.checkpoints,
            last=self.last,
            log=self.log,
            facts=self._facts,
            progress=LineProgress("finetune preference", left, "tokens", say=self.say),
            section=self.section,
            eviction=eviction,
            mirror=mirror,
            say=self.say,
            on_step=on_step,
        )

    def execute(self, course: Course) -> _Outcome:
        """Validate, train, validate."""
        before = self._before()
        seconds = drive(self.trainer, course)
        return _Outcome(before, self._validate("after training"), seconds)

    def result(self, outcome: _Outcome, drops: list[Drop], seconds: float) -> TuningResult:
        """What the stage says of itself."""
        seen, ran = [self.pairs[i] for i in self.order], self.log.rows_of_this_run
        return TuningResult(
            steps_run=len(ran),
            steps_total=self.steps,
            resumed_from=checkpoint_step(self.last) if self.last else None,
            tokens=sum(pair.tokens for pair in seen),
            label_tokens=sum(pair.label_tokens for pair in seen),
            rows=len(set(self.order)),
            train_loss=self.log.final_loss(),
            validation_loss=outcome.after,
            validation_loss_before=outcome.before,
            dropped=drops,
            seconds=seconds,
            tokens_per_s=sum(row["tokens"] for row in ran) / outcome.seconds if ran else 0.0,
            padding_share=self._padding_share(),
            precision=self.precision,
            trainable_parameters=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
        )

    def _before(self) -> dict[str, float]:
        """The validation loss at the start, measured once however often the run is resumed."""
        path = self.checkpoints.folder / "validation-before.json"
        if not path.exists():
            write_atomically(path, canonical_json(self._validate("before training")))
        stored: dict[str, float] = json.loads(path.read_bytes())
        return stored

    def _validate(self, when: str) -> dict[str, float]:
        """Mean negative log-likelihood per token of the answer, by language and over "all"."""
        totals: dict[str, list[float]] = {}
        for example in self.task.watched:
            nll = _nll(self.trainer, example)
            for key in (example.lang, "all"):
                total = totals.setdefault(key, [0.0, 0.0])
                total[0], total[1] = total[0] + nll, total[1] + example.label_tokens
        losses = {lang: nll / tokens for lang, (nll, tokens) in sorted(totals.items())}
        if losses:
            told = ", ".join(f"{lang} {loss:.3f}" for lang, loss in losses.items())
            self.say(f"finetune preference: validation loss {when}: {told}")
        return losses

    def _padding_share(self) -> float:
        """Share of computed token slots that hold no token: both answers stand in one batch."""
        slots = tokens = 0
        for at in range(0, len(self.order), self.section.batch_rows):
            batch = [self.pairs[i] for i in self.order[at : at + self.section.batch_rows]]
            longest = max(len(e.input_ids) for pair in batch for e in (pair.chosen, pair.rejected))
            slots, tokens = slots + 2 * longest * len(batch), tokens + sum(pair.tokens for pair in batch)
        return 1 - tokens / slots

    def _facts(self, step: int) -> tuple[int, int]:
        rows = self.order[(step - 1) * self.rows_per_step : step * self.rows_per_step]
        pairs = [self.pairs[i] for i in rows]
        return sum(pair.tokens for pair in pairs), sum(pair.label_tokens for pair in pairs)


def _nll(trainer: Any, example: Example) -> float:
    import torch

    device = trainer.args.device
    ids, labels = torch.tensor([[example.input_ids], [example.labels]], device=device)
    trainer.model.eval()
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=trainer.args.bf16):
        logits = trainer.model(input_ids=ids, use_cache=False).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, labels[0, 1:], reduction="sum"))


def _order(pairs: int, section: TuningSection, seed: int) -> list[int]:
    """Index of the pair at each position: each epoch shuffled anew, cut where epochs or steps end."""
    wanted = max(round(section.epochs * pairs), 1)
    if section.max_steps is not None:
        wanted = min(wanted, section.max_steps * section.batch_rows * section.accumulation_steps)
    draw, order = random.Random(seed), list[int]()  # noqa: S311 (an order, not a secret)
    while len(order) < wanted:
        order += draw.sample(range(pairs), pairs)
    return order[:wanted]


def _work(task: _Task) -> dict[str, str]:
    """Name to digest of all that decides what is learnt."""
    rows = [pair.columns() for pair in task.pairs]
    course = task.section.model_dump(mode="json", exclude={"checkpoint_steps", "safety", "hardware"})
    return {
        "dataset": digest_value([rows, [list(e.input_ids) for e in task.watched]]),
        "base model": digest_value(digest_files(task.base, leave_out=frozenset({"manifest.json"}))),
        "tuning section": digest_value(course),
        "seed": str(task.seed),
        "adapter it starts from": digest_value(digest_files(task.adapter)) if task.adapter else "none",
    }
