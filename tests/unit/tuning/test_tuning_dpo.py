"""Preference: what a pair is, that the better answer gets ahead, and of what the reference is."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tongues.core.digests import digest_files
from tongues.core.recipe import PreferenceSection, TuningSection
from tongues.core.records import Record
from tongues.tuning.dpo import train_preference
from tongues.tuning.models import load_model, load_tokenizer
from tongues.tuning.pairs import encode_pairs
from tongues.tuning.result import TuningResult
from tongues.tuning.sft import train

SECTION = TuningSection.model_validate(
    {
        "lora": {"r": 4, "alpha": 8, "dropout": 0.0},
        "learning_rate": 2e-3,
        "max_steps": 8,
        "epochs": 8,
        "batch_rows": 4,
        "checkpoint_steps": 3,
        "precision": "fp32",
        "preference": PreferenceSection(beta=0.2),
    }
)


@pytest.fixture(scope="module")
def preferred(records: list[Record]) -> list[Record]:
    """Twelve records whose worse answer is of another shape."""
    return [
        dataclasses.replace(r, meta={"rejected": "no " * (1 + i % 3)}) for i, r in enumerate(records[:12])
    ]


@pytest.fixture(scope="module")
def supervised(records: list[Record], tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter to start from, so that the reference is not the base."""
    out = tmp_path_factory.mktemp("supervised")
    section = SECTION.model_copy(update={"preference": None, "learning_rate": 2e-2})
    train(
        train_records=records,
        validation_records=[],
        base=tiny_base,
        out=out,
        section=section,
        seed=1,
        say=lambda _: None,
    )
    return out / "adapter"


def run(
    pairs: list[Record], base: Path, out: Path, section: TuningSection = SECTION, **more: Any
) -> TuningResult:
    options: dict[str, Any] = {"validation_records": [], "seed": 7, "say": lambda _: None} | more
    return train_preference(train_records=pairs, base=base, out=out, section=section, **options)


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "training-log.jsonl").read_text().splitlines()]


def test_pair_shares_its_prompt_and_ends_both_answers(preferred: list[Record], tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    pairs, drops = encode_pairs(preferred, tokenizer, max_seq_tokens=512)
    assert not drops
    columns = pairs[0].columns()
    assert tokenizer.decode(columns["prompt_ids"]).endswith(
        "Count to 0, please<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.decode(columns["chosen_ids"]) == "uno 0.<|im_end|>"
    assert tokenizer.decode(columns["rejected_ids"]) == "no <|im_end|>"
    assert pairs[0].label_tokens == len(columns["chosen_ids"]) + len(columns["rejected_ids"])


def test_pairs_that_teach_nothing_are_dropped_with_their_reason(
    record: Callable[..., Record], tiny_base: Path
) -> None:
    alike = dataclasses.replace(record("a", "yes"), meta={"rejected": " yes\n"})
    long = dataclasses.replace(record("b", "yes"), meta={"rejected": "no " * 500})
    empty = dataclasses.replace(record("c", "yes"), meta={"rejected": ""})
    good = dataclasses.replace(record("d", "yes"), meta={"rejected": "no"})
    pairs, drops = encode_pairs([alike, long, empty, good], load_tokenizer(tiny_base), max_seq_tokens=200)
    assert [pair.chosen.id for pair in pairs] == [good.id]
    assert [(d.where, d.reason) for d in drops] == [
        (alike.id, "no-preference"),
        (long.id, "too-long"),
        (empty.id, "no-label"),
    ]


def test_first_loss_is_that_of_a_model_equal_to_its_reference_and_the_better_answer_gets_ahead(
    preferred: list[Record], tiny_base: Path, supervised: Path, tmp_path: Path
) -> None:
    result = run(preferred, tiny_base, tmp_path, adapter=supervised)
    rows = log(tmp_path)
    # Were the reference the base model, the adapter's own change would show as a margin.
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert rows[0]["reward_margin"] == pytest.approx(0, abs=1e-4)
    assert rows[-1]["reward_margin"] > 0.1
    assert rows[-1]["reward_accuracy"] == 1
    assert result.steps_total == 8
    weights = (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes()
    assert weights != (supervised / "adapter_model.safetensors").read_bytes()
    assert not (tmp_path / "adapter" / "ref").exists()


def test_margin_is_beta_times_the_log_ratio_to_the_model_before(
    preferred: list[Record], tiny_base: Path, supervised: Path, tmp_path: Path
) -> None:
    from peft import PeftModel

    one_batch = SECTION.model_copy(update={"batch_rows": 12, "max_steps": 2})
    run(preferred, tiny_base, tmp_path, one_batch, adapter=supervised)
    after_one = tmp_path / "after-one"
    run(
        preferred, tiny_base, after_one, one_batch.model_copy(update={"max_steps": 1, "warmup_share": 0.0}),
        adapter=supervised,
    )  # fmt: skip
    tuned, before = (
        PeftModel.from_pretrained(load_model(tiny_base, "fp32"), folder)
        for folder in (tmp_path / "adapter", supervised)
    )
    pairs, _ = encode_pairs(preferred, load_tokenizer(tiny_base), max_seq_tokens=512)
    margins = [
        0.2 * sum(sign * (log_likelihood(tuned, e) - log_likelihood(before, e)) for sign, e in signed)
        for signed in ([(1, p.chosen), (-1, p.rejected)] for p in pairs)
    ]
    assert sum(margins) > 0
    # The second step's row tells the margin after the first one.
    assert log(tmp_path)[1]["reward_margin"] != pytest.approx(0, abs=1e-5)
    assert 0 < log(tmp_path)[1]["reward_margin"] < sum(margins) / len(margins)


def log_likelihood(model: Any, example: Any) -> float:
    import torch

    ids = torch.tensor([example.input_ids])
    with torch.no_grad():
        scores = model(input_ids=ids, use_cache=False).logits[0, :-1].log_softmax(-1)
    start = example.answer_start
    return float(scores[start - 1 :].gather(1, ids[0, start:, None]).sum())


def test_interrupted_preference_ends_as_the_whole_one(
    preferred: list[Record], tiny_base: Path, supervised: Path, tmp_path: Path
) -> None:
    class PowerCutError(Exception):
        pass

    def cut(row: dict[str, float]) -> None:
        if row["step"] == 5:
            raise PowerCutError

    run(preferred, tiny_base, tmp_path / "whole", adapter=supervised)
    with pytest.raises(PowerCutError):
        run(preferred, tiny_base, tmp_path / "cut", adapter=supervised, on_step=cut)
    again = run(preferred, tiny_base, tmp_path / "cut", adapter=supervised)
    assert again.resumed_from == 3
    assert [r["loss"] for r in log(tmp_path / "cut")] == [r["loss"] for r in log(tmp_path / "whole")]
    assert digest_files(tmp_path / "cut" / "adapter") == digest_files(tmp_path / "whole" / "adapter")


def test_full_preference_holds_on_to_the_weights_it_started_from(
    preferred: list[Record], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    section = SECTION.model_copy(update={"mode": "full", "learning_rate": 5e-4})
    result = run(preferred, tiny_base, tmp_path, section, validation_records=records[20:])
    rows = log(tmp_path)
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert rows[-1]["reward_margin"] > 0.1
    assert (tmp_path / "merged" / "model.safetensors").is_file()
    assert set(result.validation_loss) == {"es", "ca", "all"}
