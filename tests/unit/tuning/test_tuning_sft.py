"""Training on a tiny random Llama in fp32: against reference losses, interrupted, broken on purpose."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_training import SECTION, run, silent
from tongues.core.digests import digest_file, digest_files
from tongues.core.errors import PreflightError, TuningError
from tongues.core.recipe import LoraSection
from tongues.core.records import Record
from tongues.tuning.masks import Example, encode
from tongues.tuning.models import load_model, load_tokenizer
from tongues.tuning.result import TuningResult
from tongues.tuning.sft import train


def losses(out: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (out / "training-log.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows]


def reference_nll(model: Any, examples: list[Example]) -> tuple[float, int]:
    """Summed loss by plain transformers: one row at a time, full logits, its own mask."""
    import torch

    total, tokens = 0.0, 0
    for example in examples:
        ids, labels = torch.tensor([example.input_ids]), torch.tensor([example.labels])
        with torch.no_grad():
            total += float(model(input_ids=ids, labels=labels, use_cache=False).loss) * example.label_tokens
        tokens += example.label_tokens
    return total, tokens


@pytest.fixture(scope="module")
def whole(
    records: list[Record], tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, TuningResult]:
    """A run that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole")
    return out, run(records, tiny_base, out)


class InterruptedOnPurposeError(Exception):
    """Stands for the power cut."""


def stop_at(step: int) -> Any:
    def on_step(row: dict[str, float]) -> None:
        if row["step"] == step:
            raise InterruptedOnPurposeError

    return on_step


@pytest.mark.parametrize("longest", ["short", "long"])
def test_train_first_loss_equals_plain_transformers(
    longest: str, records: list[Record], tiny_base: Path, tmp_path: Path, record: Callable[..., Record]
) -> None:
    # One step over all rows; a new adapter adds nothing, so the loss is the base model's own.
    rows = records[:20] + ([record("long", "un dos tres " * 20)] if longest == "long" else [])
    section = SECTION.model_copy(update={"batch_rows": len(rows), "max_steps": 1})
    train(
        train_records=rows,
        validation_records=[],
        base=tiny_base,
        out=tmp_path,
        section=section,
        seed=1,
        say=silent,
    )
    examples, _ = encode(rows, load_tokenizer(tiny_base), max_seq_tokens=512)
    assert (max(len(e.input_ids) for e in examples) > 192) == (longest == "long")
    total, tokens = reference_nll(load_model(tiny_base, "fp32"), examples)
    assert losses(tmp_path)[0][1] == pytest.approx(total / tokens, rel=1e-5)


def test_train_accumulated_batches_equal_one_large_batch(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    lora = LoraSection(r=4, alpha=8, dropout=0.0)
    large = SECTION.model_copy(update={"lora": lora, "batch_rows": 20, "max_steps": 1})
    small = large.model_copy(update={"batch_rows": 5, "accumulation_steps": 4})
    run(records, tiny_base, tmp_path / "large", large)
    run(records, tiny_base, tmp_path / "small", small)
    assert losses(tmp_path / "large")[0][1] == pytest.approx(losses(tmp_path / "small")[0][1], rel=1e-5)


def test_train_batches_carry_our_tokens_and_labels_unchanged(
    records: list[Record], tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tongues.tuning.trainer as trainer

    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    answer_nll = trainer.answer_nll

    def spy(model: Any, inputs: Any) -> Any:
        [ids], [labels], bounds = inputs["input_ids"], inputs["labels"], inputs["cu_seq_lens_q"].tolist()
        for start, stop in pairwise(bounds):
            seen.append((tuple(ids[start:stop].tolist()), tuple(labels[start:stop].tolist())))
        assert bounds[-1] == len(ids) == len(labels)
        return answer_nll(model, inputs)

    monkeypatch.setattr(trainer, "answer_nll", spy)
    section = SECTION.model_copy(update={"epochs": 1.0, "max_steps": None, "batch_rows": 3})
    run(records, tiny_base, tmp_path, section, validation_records=[])
    examples, _ = encode(records[:20], load_tokenizer(tiny_base), max_seq_tokens=512)
    assert sorted(seen) == sorted((e.input_ids, e.labels) for e in examples)


def test_train_changes_only_adapter_weights_and_learns(
    whole: tuple[Path, TuningResult], tiny_base: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    out, result = whole
    adapter = load_file(out / "adapter" / "adapter_model.safetensors")
    assert adapter
    assert all("lora_A" in name or "lora_B" in name for name in adapter)
    assert all(torch.count_nonzero(w) for name, w in adapter.items() if "lora_B" in name)
    assert result.trainable_parameters == sum(w.numel() for w in adapter.values())
    assert result.validation_loss["all"] < result.validation_loss_before["all"]


def test_train_base_folder_is_left_as_it_was(records: list[Record], tiny_base: Path, tmp_path: Path) -> None:
    before = digest_files(tiny_base)
    run(records, tiny_base, tmp_path, SECTION.model_copy(update={"max_steps": 1}))
    assert digest_files(tiny_base) == before


def test_train_validation_loss_equals_reference_per_language(
    whole: tuple[Path, TuningResult], records: list[Record], tiny_base: Path
) -> None:
    result = whole[1]
    examples, _ = encode(records[20:], load_tokenizer(tiny_base), max_seq_tokens=512)
    model = load_model(tiny_base, "fp32")
    for lang in ("es", "ca"):
        total, tokens = reference_nll(model, [e for e in examples if e.lang == lang])
        assert result.validation_loss_before[lang] == pytest.approx(total / tokens, rel=1e-5)
    assert set(result.validation_loss) == {"es", "ca", "all"}


def test_train_result_counts_what_was_seen(whole: tuple[Path, TuningResult]) -> None:
    out, result = whole
    rows = [json.loads(line) for line in (out / "training-log.jsonl").read_text().splitlines()]
    assert (result.steps_run, result.steps_total, result.resumed_from) == (6, 6, None)
    assert result.tokens == sum(row["tokens"] for row in rows)
    assert result.label_tokens == sum(row["label_tokens"] for row in rows)
    assert 0 < result.label_share < 1
    assert result.tokens_per_s > 0
    learnt = {"step", "loss", "learning_rate", "grad_norm", "tokens", "label_tokens", "elapsed_s"}
    assert rows[0].keys() == learnt | {"tokens_per_s", "memory_gib", "cpu_percent"}


def test_train_same_seed_gives_same_losses_and_bytes(
    whole: tuple[Path, TuningResult], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    run(records, tiny_base, tmp_path)
    assert losses(tmp_path) == losses(whole[0])
    assert digest_files(tmp_path / "adapter") == digest_files(whole[0] / "adapter")


def test_train_adapter_folder_holds_the_bases_text_side_and_no_local_path(
    whole: tuple[Path, TuningResult], tiny_base: Path
) -> None:
    adapter = whole[0] / "adapter"
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert digest_file(adapter / name) == digest_file(tiny_base / name)
    config = (adapter / "adapter_config.json").read_text()
    assert str(tiny_base) not in config
    modules = json.loads(config)["target_modules"]
    assert modules == sorted(modules)


@pytest.mark.parametrize("step", [3, 5])
def test_train_interrupted_run_ends_as_the_whole_one(
    step: int, whole: tuple[Path, TuningResult], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(InterruptedOnPurposeError):
        run(records, tiny_base, tmp_path, on_step=stop_at(step))
    result = run(records, tiny_base, tmp_path)
    assert result.resumed_from == step - 1
    assert result.steps_run == 6 - result.resumed_from
    assert losses(tmp_path) == losses(whole[0])
    assert digest_files(tmp_path / "adapter") == digest_files(whole[0] / "adapter")
    assert result.validation_loss == whole[1].validation_loss


def test_train_half_written_checkpoint_is_skipped_for_the_one_before(
    whole: tuple[Path, TuningResult], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(InterruptedOnPurposeError):
        run(records, tiny_base, tmp_path, on_step=stop_at(5))
    torn = tmp_path / "checkpoints" / "checkpoint-4" / "optimizer.pt"
    torn.write_bytes(torn.read_bytes()[:100])
    result = run(records, tiny_base, tmp_path)
    assert result.resumed_from == 2
    assert losses(tmp_path) == losses(whole[0])


def test_train_finished_work_runs_no_step(
    whole: tuple[Path, TuningResult], records: list[Record], tiny_base: Path
) -> None:
    out = whole[0]
    before = digest_files(out / "adapter")
    result = run(records, tiny_base, out)
    assert (result.steps_run, result.resumed_from, result.tokens_per_s) == (0, 6, 0.0)
    assert result.train_loss == whole[1].train_loss
    assert digest_files(out / "adapter") == before


@pytest.mark.parametrize("change", ["seed", "dataset", "tuning section"])
def test_train_checkpoints_of_other_work_are_refused(
    change: str, records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    one = SECTION.model_copy(update={"max_steps": 2})
    run(records, tiny_base, tmp_path, one)
    other = one.model_copy(update={"learning_rate": 1e-4}) if change == "tuning section" else one
    rows = records[1:] if change == "dataset" else records
    with pytest.raises(TuningError, match=f"belong to other work; different: {change}"):
        run(
            rows,
            tiny_base,
            tmp_path,
            other,
            seed=8 if change == "seed" else 7,
            validation_records=records[20:],
        )


def test_train_second_run_into_the_same_folder_is_refused(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    def intrude(row: dict[str, float]) -> None:
        with pytest.raises(TuningError, match="another run is training"):
            run(records, tiny_base, tmp_path)
        raise InterruptedOnPurposeError

    with pytest.raises(InterruptedOnPurposeError):
        run(records, tiny_base, tmp_path, on_step=intrude)


def test_train_diverging_run_stops_and_names_the_last_good_checkpoint(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    hot = SECTION.model_copy(
        update={"learning_rate": 1e30, "scheduler": "constant", "warmup_share": 0.0, "checkpoint_steps": 1}
    )
    with pytest.raises(
        TuningError, match=r"diverged at step \d+ .*(checkpoint-\d|no checkpoint yet)"
    ) as caught:
        run(records, tiny_base, tmp_path, hot)
    assert "lower tuning.learning_rate" in caught.value.fix
    assert not (tmp_path / "adapter").exists()
    steps = [step for step, _ in losses(tmp_path)]
    if "checkpoint-" in caught.value.what:
        assert f"checkpoint-{steps[-1]}" in caught.value.what


def test_train_long_rows_are_told_of_and_not_trained_on(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    section = SECTION.model_copy(update={"max_seq_tokens": 60, "max_steps": None, "epochs": 1})
    result = run(records, tiny_base, tmp_path, section)
    assert result.dropped
    assert {drop.reason for drop in result.dropped} == {"too-long"}
    kept_in_validation = 4 - sum(drop.where in {r.id for r in records[20:]} for drop in result.dropped)
    assert result.rows + kept_in_validation + len(result.dropped) == 24


def test_train_shows_the_mask_before_the_first_step(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    run(records, tiny_base, tmp_path, SECTION.model_copy(update={"max_steps": 1}), say=said.append)
    shown = next(i for i, line in enumerate(said) if "⟦uno 0.<|im_end|>⟧" in line)
    assert shown < next(i for i, line in enumerate(said) if "tokens/s" in line)
    assert "⟦uno 0.<|im_end|>⟧" in (tmp_path / "mask-preview.txt").read_text()


def test_train_everything_wrong_is_told_at_once(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    with pytest.raises(PreflightError) as caught:
        train(
            train_records=[],
            validation_records=[],
            base=tmp_path / "nowhere",
            out=tmp_path / "out",
            section=SECTION,
            seed=1,
        )
    assert any("no such folder" in problem for problem in caught.value.problems)
    assert any("dataset is empty" in problem for problem in caught.value.problems)
    assert not (tmp_path / "out").exists()
