import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tongues.core.errors import TuningError
from tongues.tuning.checkpoints import Checkpoints, checkpoint_step

WORK = {"dataset": "a", "seed": "1"}


def save(checkpoints: Checkpoints, step: int) -> Path:
    path = checkpoints.folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "weights").write_bytes(b"w" * step)
    checkpoints.finish(path)
    return path


def test_checkpoints_last_is_the_newest_by_step_not_by_name(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, WORK)
    assert checkpoints.last() is None
    save(checkpoints, 9)
    save(checkpoints, 10)
    assert checkpoints.last() == tmp_path / "checkpoint-10"
    assert checkpoint_step(tmp_path / "checkpoint-10") == 10


def test_checkpoints_finish_keeps_the_two_newest(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, WORK)
    for step in (2, 4, 6):
        save(checkpoints, step)
    assert sorted(p.name for p in tmp_path.glob("checkpoint-*")) == ["checkpoint-4", "checkpoint-6"]


@pytest.mark.parametrize("fault", ["no marker", "cut file", "missing file", "extra file", "broken marker"])
def test_checkpoints_incomplete_one_is_passed_over_and_removed(fault: str, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, WORK)
    good, bad = save(checkpoints, 2), save(checkpoints, 4)
    if fault == "no marker":
        (bad / "complete.json").unlink()
    elif fault == "cut file":
        (bad / "weights").write_bytes(b"w")
    elif fault == "missing file":
        (bad / "weights").unlink()
    elif fault == "extra file":
        (bad / "more").write_bytes(b"")
    else:
        (bad / "complete.json").write_bytes(b"{")
    assert checkpoints.last() == good
    assert not bad.exists()


def test_checkpoints_other_work_is_refused_and_named(tmp_path: Path) -> None:
    save_folder = Checkpoints(tmp_path, WORK)
    save_folder.last()
    with pytest.raises(TuningError, match="different: dataset, more"):
        Checkpoints(tmp_path, {"dataset": "b", "seed": "1", "more": "x"}).last()


def test_checkpoints_lock_is_free_again_after_a_kill(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from tongues.tuning.checkpoints import Checkpoints\n"
        f"with Checkpoints(Path({str(tmp_path)!r}), {{}}).locked():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    checkpoints = Checkpoints(tmp_path, {})
    with pytest.raises(TuningError, match="another run"), checkpoints.locked():
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with checkpoints.locked():
        pass
