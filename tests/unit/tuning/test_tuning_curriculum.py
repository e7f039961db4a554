"""Stages in order: what each learns from, what it does with the adapter, and how it is resumed."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tongues.core.digests import digest_files
from tongues.core.errors import PreflightError
from tongues.core.recipe import StageSection, TakeSection, TuningSection
from tongues.core.records import Record
from tongues.tuning.curriculum import Job, plan_stages, takes
from tongues.tuning.eviction import Eviction
from tongues.tuning.merge import merge
from tongues.tuning.parity import parity, parity_of_full
from tongues.tuning.sft import train
from tongues.tuning.stage_runs import StageResult, run_stages, scratch, unused

SIZES: dict[str, Any] = {
    "lora": {"r": 4, "alpha": 8, "dropout": 0.1},
    "learning_rate": 5e-3,
    "max_steps": 4,
    "epochs": 10,
    "batch_rows": 4,
    "checkpoint_steps": 2,
    "precision": "fp32",
}
ENGLISH: dict[str, Any] = {"name": "english", "take": {"stages": ["1"]}}
CHAINS: dict[str, Any] = {"name": "chains", "take": {"stages": ["2"]}, "learning_rate": 1e-3}


@pytest.fixture
def staged(records: list[Record]) -> list[Record]:
    """Eight records of TaCo's first stage, then twelve of its second, as its builder marks them."""
    return [
        dataclasses.replace(
            record, method="taco/english" if i < 8 else "taco", meta={"stage": "1" if i < 8 else "2"}
        )
        for i, record in enumerate(records[:20])
    ]


def job(base: Path, out: Path, validation: list[Record], say: Callable[[str], None] = lambda _: None) -> Job:
    return Job(base, "Tiny", out, validation, 7, say, Eviction(30, say))


def go(
    staged: list[Record], base: Path, out: Path, validation: list[Record], **more: Any
) -> list[StageResult]:
    section = TuningSection.model_validate(SIZES | more)
    return run_stages(plan_stages(staged, section), job(base, out, validation))


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "training-log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("take", "taken"),
    [
        ({}, True),
        ({"stages": ["1"]}, False),
        ({"stages": ["1", "2"]}, True),
        ({"methods": ["taco"]}, True),
        ({"methods": ["taco/english"]}, True),
        ({"methods": ["ta"]}, False),
        ({"languages": ["es"], "methods": ["taco"]}, True),
        ({"languages": ["ca"], "methods": ["taco"]}, False),
    ],
)
def test_take_wants_all_that_it_names(
    take: dict[str, Any], taken: bool, record: Callable[..., Record]
) -> None:
    one = dataclasses.replace(record("a", "b", "es"), method="taco/english", meta={"stage": "2"})
    assert takes(TakeSection.model_validate(take), one) == taken


def test_stages_that_take_nothing_are_all_named_with_what_there_is(staged: list[Record]) -> None:
    stages = [
        ENGLISH,
        {"name": "three", "take": {"stages": ["3"]}},
        {"name": "x", "take": {"methods": ["x"]}},
    ]
    with pytest.raises(PreflightError) as caught:
        plan_stages(staged, TuningSection.model_validate(SIZES | {"stages": stages, "preference": {}}))
    assert len(caught.value.problems) == 3
    assert "'three' takes none of the 20 training records" in caught.value.problems[0]
    assert "stage 1, method taco/english" in caught.value.problems[0]
    assert "no training record has a usable pair" in caught.value.problems[2]


def test_stage_takes_its_own_rates_and_the_sections_for_the_rest(staged: list[Record]) -> None:
    one, two = plan_stages(staged, TuningSection.model_validate(SIZES | {"stages": [ENGLISH, CHAINS]}))
    assert (one.section.learning_rate, two.section.learning_rate) == (5e-3, 1e-3)
    assert (two.section.max_steps, two.section.stages) == (4, ())
    assert [len(one.records), len(two.records)] == [8, 12]


def test_second_stage_that_cannot_be_run_is_told_before_the_first_is_trained(
    staged: list[Record], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    long = [r if r.meta["stage"] == "1" else with_answer(r, "uno " * 600) for r in staged]
    with pytest.raises(PreflightError, match="too-long"):
        go(long, tiny_base, tmp_path, records[20:], stages=[ENGLISH, CHAINS])
    assert not list(tmp_path.rglob("checkpoint-*"))


def with_answer(record: Record, text: str) -> Record:
    answer = dataclasses.replace(record.answer, content=text)
    return dataclasses.replace(record, messages=(*record.messages[:-1], answer))


def test_continued_stage_starts_where_the_one_before_ended(
    staged: list[Record], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    one, two = go(staged, tiny_base, tmp_path, records[20:], stages=[ENGLISH, CHAINS])
    assert two.training.validation_loss_before == one.training.validation_loss
    assert two.training.validation_loss["all"] < one.training.validation_loss["all"]
    assert digest_files(tmp_path / "adapter") == digest_files(two.folder / "adapter")
    assert one.weights_sha256 != two.weights_sha256


def test_curriculum_of_one_log_counts_steps_and_seconds_on(
    staged: list[Record], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    results = go(staged, tiny_base, tmp_path, records[20:], stages=[ENGLISH, CHAINS])
    rows = log(tmp_path)
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert [row["stage"] for row in rows] == [1] * 4 + [2] * 4
    assert rows == sorted(rows, key=lambda row: row["elapsed_s"])
    assert [row["loss"] for row in rows[4:]] == [row["loss"] for row in log(results[1].folder)]


def test_merging_stage_gives_one_adapter_for_the_base_that_holds_both(
    staged: list[Record], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    stages = [ENGLISH, CHAINS | {"adapter": "merge"}, {"name": "more", "take": {"stages": ["2"]}}]
    one, two, three = go(staged, tiny_base, tmp_path, records[20:], stages=stages)
    assert two.training.validation_loss_before == pytest.approx(one.training.validation_loss)
    assert three.training.validation_loss_before == pytest.approx(two.training.validation_loss)
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["r"] == 8
    merge(tiny_base, tmp_path / "adapter", tmp_path / "merged")
    alike = parity(tiny_base, tmp_path / "adapter", tmp_path / "merged", ["Count to 3, please"])
    assert alike.likeness.agreement == 1
    # The whole is what the last stage was measured as: train for no step on top of it and measure.
    again = train(
        train_records=staged,
        validation_records=records[20:],
        base=tmp_path / "merged",
        out=tmp_path / "check",
        section=TuningSection.model_validate(SIZES | {"max_steps": 1}),
        seed=1,
        say=lambda _: None,
    )
    assert again.validation_loss_before == pytest.approx(three.training.validation_loss, rel=1e-5)


def test_new_adapter_starts_from_the_base_and_the_old_one_is_kept(
    staged: list[Record], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    one, two = go(staged, tiny_base, tmp_path, records[20:], stages=[ENGLISH, CHAINS | {"adapter": "new"}])
    assert two.training.validation_loss_before == one.training.validation_loss_before
    assert (one.folder / "adapter" / "adapter_model.safetensors").is_file()


def test_full_curriculum_hands_its_weights_on(
    staged: list[Record], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    one, two = go(
        staged, tiny_base, tmp_path, records[20:], mode="full", learning_rate=1e-3, stages=[ENGLISH, CHAINS]
    )
    assert two.training.validation_loss_before == one.training.validation_loss
    trained = two.folder / "checkpoints" / "checkpoint-4"
    assert parity_of_full(tiny_base, trained, tmp_path / "merged", ["Bon dia"]).likeness.agreement == 1


@pytest.mark.parametrize("adapter", ["continue", "merge"])
def test_curriculum_stopped_in_its_second_stage_ends_as_the_whole_one(
    adapter: str, staged: list[Record], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    section = TuningSection.model_validate(SIZES | {"stages": [ENGLISH, CHAINS | {"adapter": adapter}]})
    stages = plan_stages(staged, section)
    whole = run_stages(stages, job(tiny_base, tmp_path / "whole", records[20:]))

    class PowerCutError(Exception):
        pass

    def cut(line: str) -> None:
        if "stage 'chains'" in line:
            seen.append(line)
        if seen and "step" in line and "4/4" in line:
            raise PowerCutError

    seen: list[str] = []
    with pytest.raises(PowerCutError):
        run_stages(stages, job(tiny_base, tmp_path / "cut", records[20:], cut))
    again = run_stages(stages, job(tiny_base, tmp_path / "cut", records[20:]))
    assert [r.training.resumed_from for r in again] == [4, 2]
    assert [r.training.steps_run for r in again] == [0, 2]
    assert digest_files(tmp_path / "cut" / "adapter") == digest_files(tmp_path / "whole" / "adapter")
    assert [r.training.validation_loss for r in again] == [r.training.validation_loss for r in whole]


def test_records_no_stage_takes_are_told_of_and_none_is_counted_twice(
    staged: list[Record], records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    long = [with_answer(staged[0], "uno " * 600), *staged[1:]]
    english_twice = [ENGLISH, {"name": "again", "take": {"stages": ["1"]}}]
    results = go(long, tiny_base, tmp_path, records[20:], stages=english_twice)
    drops = unused(long, records[20:], results)
    assert [drop.reason for drop in drops] == ["too-long"] + ["no-stage"] * 12
    assert {drop.where for drop in drops} == {r.id for r in [long[0], *long[8:]]}


def test_scratch_names_everything_but_results(staged: list[Record]) -> None:
    section = TuningSection.model_validate(
        SIZES | {"stages": [StageSection(name="a"), StageSection(name="b")]}
    )
    assert "stages/b/checkpoints" in scratch(plan_stages(staged, section))
    assert scratch(plan_stages(staged, TuningSection.model_validate(SIZES))) == ("checkpoints",)
