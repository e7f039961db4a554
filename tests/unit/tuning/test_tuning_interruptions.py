"""Everything that ends a run early: each leaves a checkpoint that it names, and the next call goes on."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from tests.tiny_training import SECTION, silent
from tests.tiny_training import run as run_watched
from tongues.core.digests import digest_files
from tongues.core.errors import TrainingInterruptedError, TuningError
from tongues.core.recipe import SafetySection
from tongues.core.records import Record
from tongues.tuning.eviction import Eviction
from tongues.tuning.health import LossWatch, Watchdog
from tongues.tuning.launch import first_failure, report_failure
from tongues.tuning.ranks import Ranks
from tongues.tuning.result import TuningResult

run = partial(run_watched, validation_records=[])


@pytest.fixture(scope="module")
def whole(records: list[Record], tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole")
    run(records, tiny_base, out)
    return out


def ends_like(whole: Path, records: list[Record], base: Path, out: Path) -> TuningResult:
    """Run again to the end, and be the uninterrupted run."""
    result = run(records, base, out)
    assert digest_files(out / "adapter") == digest_files(whole / "adapter")
    return result


# SIGTERM


def test_sigterm_in_training_saves_after_the_step_and_asks_to_be_started_again(
    whole: Path, records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    def take_back(row: dict[str, float]) -> None:
        if row["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    said: list[str] = []
    with (
        pytest.raises(TrainingInterruptedError, match=r"SIGTERM.*checkpoint-4") as caught,
        Eviction(30, said.append) as eviction,
    ):
        run(records, tiny_base, tmp_path, eviction=eviction, on_step=take_back)
    assert caught.value.exit_code == 75
    assert any("a checkpoint follows this step" in line for line in said)
    assert ends_like(whole, records, tiny_base, tmp_path).resumed_from == 4


def test_sigterm_between_two_checkpoints_loses_no_step(
    whole: Path, records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    seldom = SECTION.model_copy(update={"checkpoint_steps": 100})

    def take_back(row: dict[str, float]) -> None:
        if row["step"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterruptedError), Eviction(30, silent) as eviction:
        run(records, tiny_base, tmp_path, seldom, eviction=eviction, on_step=take_back)
    assert ends_like(whole, records, tiny_base, tmp_path).resumed_from == 3


def test_sigterm_during_the_exchange_stops_nobody_before_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a signal that the others have not heard of, a process would leave them in the middle of a step."""

    def others_say_no(ranks: Ranks, asked: bool) -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return asked

    with Eviction(30, silent) as eviction, eviction.waits_for_the_step():
        with monkeypatch.context() as patched:
            patched.setattr(Ranks, "any", others_say_no)
            assert not eviction.asked_anywhere()
        assert eviction.asked
        assert eviction.asked_anywhere()


def test_of_several_processes_the_one_that_failed_is_told_before_those_it_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TONGUES_RANK_FAILURES", str(tmp_path))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    told = [
        TrainingInterruptedError("another one has ended"),
        TuningError("the disk is full", fix="make room"),
    ]
    for rank, error in enumerate(told):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        report_failure(error)
    failed = ChildFailedError("rank", {rank: _exited(rank, told[rank].exit_code) for rank in (0, 1)})
    raised = first_failure(tmp_path, failed)
    assert (raised.what, raised.fix, raised.exit_code) == ("the disk is full", "make room", 1)


def _exited(rank: int, code: int) -> ProcessFailure:
    return ProcessFailure(local_rank=rank, pid=1, exitcode=code, error_file="")


@pytest.mark.parametrize(
    "said",
    [
        "[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:10656",
        "NCCL error: remote process exited or there was a network error",
        "Connection reset by peer",
    ],
)
def test_connection_that_another_process_closed_is_no_fault_of_this_one(said: str) -> None:
    ranks = Ranks(0, 2, 0, 1)
    told = r"process 0 of 2.*another one has ended"
    with pytest.raises(TrainingInterruptedError, match=told) as caught, ranks.told_if_alone():
        raise RuntimeError(said)
    assert caught.value.exit_code == 75
    with pytest.raises(RuntimeError, match="shapes"), ranks.told_if_alone():
        raise RuntimeError("shapes do not match")


def test_sigterm_outside_the_loop_ends_at_once_and_the_handler_before_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrainingInterruptedError, match="no step was under way"), Eviction(30, silent):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


# Loss


def steady(length: int) -> list[float]:
    """A noisy, falling loss around 3 nats, with a scatter of about 0.1."""
    return [3 - 0.001 * i + 0.1 * ((i * 7919) % 11 - 5) / 5 for i in range(length)]


def test_loss_watch_lets_noise_outliers_and_a_slow_rise_pass() -> None:
    watch = LossWatch(SafetySection())
    losses = steady(200)
    losses[50] = losses[51] = losses[120] = 9.0
    assert not any(map(watch.diverges, losses))
    assert not any(watch.diverges(2.8 + 0.005 * i) for i in range(200))


def test_loss_watch_tells_a_divergence_at_the_eighth_high_loss_also_over_a_restart() -> None:
    watch = LossWatch(SafetySection())
    verdicts = [watch.diverges(loss) for loss in [*steady(100), *[9.0] * 8]]
    assert not any(verdicts[:-1])
    assert "loss 9.00 after 8 steps above" in verdicts[-1]
    restarted = LossWatch(SafetySection(), [*steady(100), *[9.0] * 5])
    assert [bool(restarted.diverges(9.0)) for _ in range(3)] == [False, False, True]


def test_loss_watch_takes_a_wide_scatter_for_what_it_is() -> None:
    wide = [3 + 2 * ((i * 7919) % 11 - 5) / 5 for i in range(100)]  # scatter of about 1.5 nats
    watch = LossWatch(SafetySection())
    assert not any(map(watch.diverges, wide))
    assert not any(watch.diverges(6.0) for _ in range(10))


def test_run_whose_loss_leaves_its_course_stops_with_the_checkpoint_before(
    records: list[Record], tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    steps, step = 0, torch.optim.AdamW.step

    def step_of_a_broken_machine(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal steps
        result, steps = step(self, *args, **kwargs), steps + 1
        if steps == 20:
            for group in self.param_groups:
                for weight in group["params"]:
                    weight.data.mul_(2)
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", step_of_a_broken_machine)
    section = SECTION.model_copy(update={"mode": "full", "learning_rate": 1e-5, "max_steps": 40})
    with pytest.raises(TuningError, match=r"diverged at step 28 \(loss .* after 8 steps .*checkpoint-26"):
        run(records, tiny_base, tmp_path, section)
    assert not (tmp_path / "merged").exists()


# Stalls


def test_stalled_run_is_ended_and_goes_on_afterwards(
    whole: Path, records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    def hang(row: dict[str, float]) -> None:
        if row["step"] == 5:
            threading.Event().wait()  # as a queue that nothing comes from

    quick = SECTION.model_copy(update={"safety": SafetySection(stall_least_s=2.0, stall_factor=2)})
    with pytest.raises(TrainingInterruptedError, match=r"stalled: no step for \d+ s.*checkpoint-4") as caught:
        run(records, tiny_base, tmp_path, quick, on_step=hang)
    assert caught.value.exit_code == 75
    assert ends_like(whole, records, tiny_base, tmp_path).resumed_from == 4


def test_watchdog_waits_for_the_first_steps_and_scales_with_the_median() -> None:
    watchdog = Watchdog(SafetySection(stall_least_s=300, stall_factor=20), lambda: "", silent)
    assert watchdog.limit_s == float("inf")
    for _ in range(3):
        watchdog.beat()
    assert watchdog.limit_s == 300
    watchdog._steps.extend([40.0] * 60)
    assert watchdog.limit_s == 800


def test_process_that_hangs_deaf_to_signals_is_ended_from_outside() -> None:
    program = textwrap.dedent(
        """
        import signal, threading
        from tongues.core.recipe import SafetySection
        from tongues.tuning.health import Watchdog
        say = lambda line: print(line, flush=True)
        safety = SafetySection(stall_least_s=0.2, stall_factor=2)
        with Watchdog(safety, lambda: "the last good checkpoint is X", say, last_resort_s=0.2) as watchdog:
            for _ in range(3):
                watchdog.beat()
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            threading.Event().wait()
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 75, done.stderr
    assert "training stalled" in done.stdout
    assert "the last good checkpoint is X" in done.stdout


# Disk and memory


@pytest.fixture
def small_files() -> Iterator[Callable[[], None]]:
    """A call after which no file may grow beyond 12 KiB: as a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (12 << 10, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_while_saving_leaves_the_checkpoint_before_as_it_was(
    whole: Path,
    records: list[Record],
    tiny_base: Path,
    tmp_path: Path,
    small_files: Callable[[], None],
) -> None:
    folder = tmp_path / "checkpoints"
    before: dict[str, str] = {}

    def fill(row: dict[str, float]) -> None:
        if row["step"] == 3:
            before.update(digest_files(folder / "checkpoint-2"))
            small_files()

    with pytest.raises(TuningError, match=r"checkpoint of step 4 cannot be written .*checkpoint-2") as caught:
        run(records, tiny_base, tmp_path, on_step=fill)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert "make room" in caught.value.fix
    assert not (folder / "checkpoint-4").exists()
    assert digest_files(folder / "checkpoint-2") == before
    assert ends_like(whole, records, tiny_base, tmp_path).resumed_from == 2


def test_damaged_checkpoint_is_told_of_by_name_and_the_one_before_is_taken(
    whole: Path, records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    run(records, tiny_base, tmp_path, SECTION)
    path = tmp_path / "checkpoints" / "checkpoint-6" / "optimizer.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    said: list[str] = []
    result = run(records, tiny_base, tmp_path, say=said.append)
    assert result.resumed_from == 4
    assert any(
        "checkpoint-6 is not used: damaged since it was written (optimizer.pt)" in line for line in said
    )
    assert digest_files(tmp_path / "adapter") == digest_files(whole / "adapter")


@pytest.mark.parametrize(
    ("sizes", "fix"),
    [
        ({"batch_tokens": 4096}, "lower tuning.batch_tokens from 4096 to 2048"),
        ({"batch_tokens": 512}, "lower tuning.max_seq_tokens from 512 to 256, or hold the base in 4 bits"),
    ],
)
def test_out_of_memory_says_what_to_lower_and_by_how_much(
    sizes: dict[str, int], fix: str, records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    import torch

    def burst(row: dict[str, float]) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    with pytest.raises(TuningError, match=r"out of memory on the device \(CUDA") as caught:
        run(records, tiny_base, tmp_path, SECTION.model_copy(update=sizes), on_step=burst)
    assert fix in caught.value.fix


def test_checkpoint_that_outlasts_the_grace_is_warned_of_once(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    hasty = SECTION.model_copy(update={"safety": SafetySection(grace_s=1e-6)})
    run(records, tiny_base, tmp_path, hasty, say=said.append)
    assert len([line for line in said if "an eviction may lose the steps" in line]) == 1
