"""How the machine is used: the way that fits is chosen, passes grow while they fit, steps are measured."""

import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny_training import SECTION, run
from tongues.core.digests import digest_files
from tongues.core.errors import PreflightError, TuningError
from tongues.core.recipe import HardwareSection, TuningSection
from tongues.core.records import Record
from tongues.tuning import speed
from tongues.tuning.autotune import Trial, autotune, search
from tongues.tuning.launch import must_launch, planned_ranks
from tongues.tuning.loss_plot import loss_plot
from tongues.tuning.memory import Device, Needs, find_device, plan_memory
from tongues.tuning.modes import mode_problems
from tongues.tuning.preflight import prepare
from tongues.tuning.ranks import Ranks
from tongues.tuning.speed import Meter, flops_per_token

GIB = 2**30
NEEDS = Needs(8 * GIB, 4 * GIB, per_token=10 * 2**20, pass_tokens=1024, fixed=GIB, per_token_recomputed=2**20)
FOUR = Ranks(0, 4, 0, 4)


@pytest.mark.parametrize(
    ("free", "hardware", "expected"),
    [
        (40, {}, (1, False)),
        (20, {}, (4, False)),  # 23 GiB whole, 14.8 divided
        (9, {}, (4, True)),
        (2, {}, (4, True)),  # nothing fits: the most frugal way, for the message
        (20, {"sharding": "none"}, (1, True)),
        (40, {"sharding": "full", "gradient_checkpointing": "always"}, (4, True)),
        (9, {"gradient_checkpointing": "never"}, (4, False)),
    ],
)
def test_plan_memory_takes_the_cheapest_way_that_fits_and_is_allowed(
    free: int, hardware: dict[str, str], expected: tuple[int, bool]
) -> None:
    section = TuningSection(hardware=HardwareSection.model_validate(hardware))
    plan = plan_memory(NEEDS, Device("d", free * GIB), section, FOUR)
    assert (plan.shares, plan.recomputes) == expected


def test_plan_memory_never_divides_four_bit_weights() -> None:
    section = TuningSection(quantise="nf4")
    assert plan_memory(NEEDS, Device("d", GIB), section, FOUR).shares == 1


def test_processes_of_a_node_share_its_memory() -> None:
    assert find_device(4).free == pytest.approx(find_device().free / 4, rel=0.2)


def test_preference_in_several_processes_is_refused() -> None:
    section = TuningSection.model_validate({"preference": {}})
    assert mode_problems(section, Ranks()) == []
    [problem] = mode_problems(section, FOUR)
    assert "tuning.hardware.processes: 1" in problem


def test_planned_ranks_follow_the_recipe_the_pods_variables_and_torchrun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two = TuningSection(hardware=HardwareSection(processes=2))
    assert (planned_ranks(two), must_launch(two)) == (Ranks(0, 2, 0, 2), True)
    assert must_launch(TuningSection(hardware=HardwareSection(processes=1))) is False
    for name, value in {"PET_NNODES": "3", "PET_NPROC_PER_NODE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert (planned_ranks(two), must_launch(two)) == (Ranks(0, 12, 0, 4), True)
    for name, value in {"RANK": "5", "WORLD_SIZE": "12", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert (planned_ranks(two), must_launch(two)) == (Ranks(5, 12, 1, 4), False)
    assert Ranks.here().far
    assert not Ranks.here().leads


def test_gradient_checkpointing_computes_layers_twice_and_changes_nothing(
    records: list[Record], tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.llama.modeling_llama import LlamaMLP

    calls: list[int] = []
    forward = LlamaMLP.forward
    monkeypatch.setattr(LlamaMLP, "forward", lambda self, x: (calls.append(1), forward(self, x))[1])
    counts, digests = [], []
    for way in ("never", "always"):
        section = SECTION.model_copy(
            update={"max_steps": 2, "hardware": HardwareSection(gradient_checkpointing=way)}
        )
        calls.clear()
        run(records, tiny_base, tmp_path / way, section, validation_records=[])
        counts.append(len(calls))
        digests.append(digest_files(tmp_path / way / "adapter"))
    assert counts[1] - counts[0] == 2 * 2  # two layers, two steps of one pass
    assert digests[0] == digests[1]


def bytes_of(at_rest: int, per_token: int, limit: int, tried: list[int]) -> Callable[[int], Trial]:
    """A device whose memory is a straight line, and which ends where it would not fit."""

    def attempt(tokens: int) -> Trial:
        tried.append(tokens)
        peak = at_rest + per_token * tokens
        assert peak <= limit, "a pass that a CPU would not survive"
        return Trial(tokens, peak, 1.0)

    return attempt


@pytest.mark.parametrize(("limit", "expected"), [(1_000_000, 960), (10_000_000, 4096), (150_000, 100)])
def test_search_on_a_cpu_ends_at_the_largest_that_fits_and_never_beyond(limit: int, expected: int) -> None:
    tried: list[int] = []
    attempt = bytes_of(40_000, 1_000, limit, tried)
    tuned = search(attempt, least=100, most=4096, at_rest=40_000, limit=limit)
    assert tuned.batch_tokens == expected
    assert tuned.whole_step == (expected == 4096)
    assert [trial.tokens for trial in tuned.trials] == tried


def test_search_on_a_gpu_goes_back_from_what_did_not_fit() -> None:
    def attempt(tokens: int) -> Trial:  # a step in memory that no line foretells
        fits = tokens <= 1500
        return Trial(tokens, 1000 + tokens if fits else None, 1.0)

    tuned = search(attempt, least=256, most=8192, at_rest=1000, limit=100_000)
    assert 1500 * 7 / 8 - 64 <= tuned.batch_tokens <= 1500
    assert len(tuned.trials) < 12


def test_search_where_not_even_one_row_fits_says_what_to_lower() -> None:
    with pytest.raises(TuningError, match="not even a pass of 100 tokens") as caught:
        search(lambda tokens: Trial(tokens, None, 0.0), least=100, most=200, at_rest=0, limit=1)
    assert "tuning.max_seq_tokens" in caught.value.fix


def test_autotune_takes_a_step_of_all_rows_where_memory_is_plenty(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    prepared = prepare(
        train_records=records[:20], validation_records=[], base=tiny_base, out=tmp_path, section=SECTION
    )
    said: list[str] = []
    tuned = autotune(tiny_base, prepared, SECTION, find_device(), 1, said.append)
    longest = sorted((len(row.input_ids) for row in prepared.training), reverse=True)
    assert (tuned.batch_tokens, tuned.whole_step) == (sum(longest[:4]), True)
    assert len(said) == len(tuned.trials)
    assert all(trial.peak and trial.seconds > 0 for trial in tuned.trials)


def test_meter_measures_a_step_and_knows_the_gpus_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 12.0, 14.0])
    monkeypatch.setattr(speed.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(speed, "peak_tflops", lambda: 1.0)
    meter = Meter(flops_per_token(1_000_000, all_learn=True), processes=2)
    seen = meter.step(100_000)
    assert seen["tokens_per_s"] == 50_000
    assert seen["mfu"] == 50_000 * 6e6 / 2e12  # two processes, 1 TFLOP/s each
    assert 0.05 < seen["memory_gib"] < 64
    assert meter.step(50_000)["tokens_per_s"] == 25_000


def test_loss_plot_is_a_picture_of_every_step() -> None:
    log = "".join(f'{{"step": {i}, "loss": {3 - i / 10}}}\n' for i in range(1, 21))
    root = xml.etree.ElementTree.fromstring(loss_plot(log, "a <recipe>"))
    lines = [e for e in root.iter() if e.tag.endswith("polyline")]
    assert [len(line.attrib["points"].split()) for line in lines] == [20, 20]
    assert "a <recipe>: nats per trained token, 2.900 to 1.000" in [e.text for e in root.iter()]
    falling = [float(point.split(",")[1]) for point in lines[0].attrib["points"].split()]
    assert falling == sorted(falling)


def test_one_row_is_trained_on_and_an_unknown_architecture_is_refused(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    import json
    import shutil

    section = SECTION.model_copy(update={"max_steps": 1})
    result = run(records[:1], tiny_base, tmp_path / "one", section, validation_records=[])
    assert (result.rows, result.steps_run) == (1, 1)
    base = Path(shutil.copytree(tiny_base, tmp_path / "base"))
    config = json.loads((base / "config.json").read_text())
    config |= {"model_type": "nobodys", "architectures": ["NobodysForCausalLM"]}
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises((PreflightError, TuningError)) as caught:
        run(records, base, tmp_path / "unknown", section)
    assert "nobodys" in str(caught.value)
