"""Two processes do what one does: DDP and FSDP2, killed, evicted, on two nodes without a common disk."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from object_store import ObjectStore

from tests.servers.tuning_node import dataset_and_base, given_with
from tests.tiny_models import make_tiny_base
from tongues.core.digests import digest_files
from tongues.core.recipe import TuningSection
from tongues.core.recipe_file import dump_recipe
from tongues.platform import storage
from tongues.stages.workspace import Workspace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
SERVERS = Path(__file__).resolve().parents[1] / "servers"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
PLAIN: dict[str, Any] = {"lora": {"r": 4, "alpha": 8, "dropout": 0.0}, "max_steps": 8, "batch_rows": 5}
SHORT_PASSES: dict[str, Any] = {"batch_tokens": 96}
"""Three passes or more to a step: an odd number leaves one of two processes without rows."""
FULL: dict[str, Any] = {"mode": "full", "learning_rate": 1e-3}
ENDLESS: dict[str, Any] = {"max_steps": 4000, "epochs": 1000}
TOLERANCE = 1e-5
"""Of losses in nats and of weights, in fp32: sums of the same numbers in another order differ by 1e-7."""


def environment(tuning: dict[str, Any], more: dict[str, str] | None = None) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    own = {"OMP_NUM_THREADS": "1", "TUNING_JOB": json.dumps(tuning), "PYTHONPATH": str(SERVERS.parents[1])}
    return given | own | (more or {})


def start(
    base: Path, out: Path, tuning: dict[str, Any], launcher: Sequence[str], hold: int = -1
) -> subprocess.Popen[str]:
    command = [*launcher, str(SERVERS / "tuning_job.py"), str(base), str(out)]
    return subprocess.Popen(
        command,
        env=environment(tuning, {"TUNING_HOLD": str(hold)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def train(
    base: Path, out: Path, tuning: dict[str, Any], launcher: Sequence[str] = TORCHRUN
) -> tuple[list[str], str]:
    """Steps run and step resumed from, and what was said."""
    process = start(base, out, tuning, launcher)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr[-3000:]
    assert stdout.count("done ") == 1, "one process speaks"
    return stdout.split("done ")[1].split(), stderr


def kill_at(step: int, base: Path, out: Path, tuning: dict[str, Any]) -> None:
    """kill -9 of torchrun and of all that it has started, when they have done a step."""
    process = start(base, out, tuning, TORCHRUN, hold=step)
    assert process.stdout is not None
    assert any(line == f"step {step}\n" for line in process.stdout)
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        one.kill()
    assert process.wait(timeout=100) == -signal.SIGKILL


def log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "training-log.jsonl").read_text().splitlines()]


def losses(out: Path) -> list[float]:
    return [row["loss"] for row in log(out)]


def weights(out: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    [path] = [*out.glob("adapter/*.safetensors"), *out.glob("merged/*.safetensors")]
    return dict(load_file(path))


def furthest(one: Path, other: Path) -> float:
    """The largest difference between two runs' weights."""
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def alone(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One process, an adapter and all weights."""
    folder = tmp_path_factory.mktemp("alone")
    for name, more in (("lora", {}), ("full", FULL)):
        train(base, folder / name, PLAIN | more, launcher=[sys.executable])
    return {name: folder / name for name in ("lora", "full")}


@pytest.mark.parametrize("sharding", ["none", "full"])
@pytest.mark.parametrize("mode", ["lora", "full"])
def test_two_processes_have_the_losses_and_weights_of_one(
    mode: str, sharding: str, alone: dict[str, Path], base: Path, tmp_path: Path
) -> None:
    tuning = PLAIN | SHORT_PASSES | (FULL if mode == "full" else {}) | {"hardware": {"sharding": sharding}}
    _, said = train(base, tmp_path, tuning)
    assert ("weights divided (FSDP2)" in said) == (sharding == "full")
    assert losses(tmp_path) == pytest.approx(losses(alone[mode]), abs=TOLERANCE)
    assert furthest(tmp_path, alone[mode]) < TOLERANCE
    assert [row["tokens"] for row in log(tmp_path)] == [row["tokens"] for row in log(alone[mode])]
    norms = [[row["grad_norm"] for row in log(out)] for out in (tmp_path, alone[mode])]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_divided_model_holds_half_of_each_weight_in_each_process(base: Path, tmp_path: Path) -> None:
    script = tmp_path / "halves.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from torch.distributed.tensor import DTensor\n"
        "from tongues.tuning.models import load_model\n"
        "from tongues.tuning.ranks import Ranks\n"
        "from tongues.tuning.sharding import shard\n"
        "with Ranks.here().joined():\n"
        "    model = load_model(Path(sys.argv[1]), 'fp32')\n"
        "    whole = sum(p.numel() for p in model.parameters())\n"
        "    shard(model)\n"
        "    assert all(isinstance(p, DTensor) for p in model.parameters())\n"
        "    held = sum(p.to_local().numel() for p in model.parameters())\n"
        "    print('halves', 2 * held == whole, flush=True)\n"
    )
    done = subprocess.run(
        [*TORCHRUN, str(script), str(base)], env=environment({}), capture_output=True, text=True, timeout=200
    )
    assert done.stdout.count("halves True") == 2, done.stderr[-2000:]


@pytest.mark.parametrize("sharding", ["none", "full"])
def test_all_processes_killed_twice_end_with_the_losses_and_weights_of_an_uninterrupted_run(
    sharding: str, base: Path, tmp_path: Path
) -> None:
    tuning = {
        "max_steps": 14,
        "lora": {"r": 4, "alpha": 8, "dropout": 0.1},
        "hardware": {"sharding": sharding},
    }
    train(base, tmp_path / "whole", tuning)
    for step in sorted(random.Random(11).sample(range(4, 14), 2)):
        kill_at(step, base, tmp_path / "killed", tuning)
    (steps_run, resumed_from), _ = train(base, tmp_path / "killed", tuning)
    assert int(resumed_from) >= 3
    assert int(steps_run) == 14 - int(resumed_from)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert digest_files(tmp_path / "killed" / "adapter") == digest_files(tmp_path / "whole" / "adapter")


def test_checkpoint_of_two_processes_is_gone_on_from_by_one(base: Path, tmp_path: Path) -> None:
    # Without dropout nothing depends on which process sees which row.
    kill_at(5, base, tmp_path / "out", PLAIN)
    (_, resumed_from), _ = train(base, tmp_path / "out", PLAIN, launcher=[sys.executable])
    train(base, tmp_path / "whole", PLAIN, launcher=[sys.executable])
    assert resumed_from == "3"
    assert losses(tmp_path / "out") == pytest.approx(losses(tmp_path / "whole"), abs=TOLERANCE)


def stage(
    workspace: str, scratch: Path, base: Path, tuning: dict[str, Any], more: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """`tongues finetune`'s stage, which starts its processes itself."""
    complete = PLAIN | {"epochs": 40, "precision": "fp32", "checkpoint_steps": 2} | tuning
    command = [sys.executable, str(SERVERS / "tuning_node.py"), workspace, str(scratch), str(base)]
    return subprocess.Popen(
        [*command, json.dumps(complete)],
        env=environment({}, more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and all that was said."""
    stdout, stderr = process.communicate(timeout=300)
    return process.returncode, stdout + stderr


def when_trained(steps: int, workspace: Path, process: subprocess.Popen[str]) -> Path:
    """Look until the log has so many steps; the folder of the work."""
    while process.poll() is None:
        for path in workspace.glob("**/finetune/*/training-log.jsonl"):
            if len(path.read_text().splitlines()) >= steps:
                return path.parent
        time.sleep(0.05)
    raise AssertionError(ended(process)[1][-3000:])


def test_stage_starts_two_processes_and_is_evicted_after_a_saved_step(base: Path, tmp_path: Path) -> None:
    process = stage(str(tmp_path / "work"), tmp_path, base, ENDLESS | {"hardware": {"processes": 2}})
    work = when_trained(3, tmp_path / "work", process)
    process.send_signal(signal.SIGTERM)
    code, said = ended(process)
    assert code == 75, said[-3000:]
    assert "2 processes on 1 node(s)" in said
    steps = len(log(work))
    assert 3 <= steps < ENDLESS["max_steps"]
    assert (work / "checkpoints" / f"checkpoint-{steps}" / "complete.json").is_file(), (
        "the last step is saved"
    )
    shorter = json.loads((work / "checkpoints" / "work.json").read_text())
    assert shorter["way of dividing weights"] == "none"


def test_stage_in_two_processes_finishes_and_is_found_finished(base: Path, tmp_path: Path) -> None:
    tuning = {"max_steps": 3, "hardware": {"processes": 2}}
    code, said = ended(stage(str(tmp_path / "work"), tmp_path, base, tuning))
    assert code == 0, said[-3000:]
    assert "merged weights answer like the adapter" in said
    assert ended(stage(str(tmp_path / "work"), tmp_path, base, tuning))[0] == 0
    code, said = ended(stage(str(tmp_path / "work"), tmp_path, base, {"max_steps": 3}))
    assert (code, "finetune: found finished" in said) == (0, True), "the machine is no part of the work"


def command_line(base: Path, folder: Path, tuning: dict[str, Any]) -> list[str]:
    """`finetune` with a recipe, data and base that stand in a workspace of their own."""
    complete = PLAIN | {"epochs": 40, "precision": "fp32"} | tuning
    given = given_with(TuningSection.model_validate(complete))
    dataset, published = dataset_and_base(Workspace(str(folder), say=lambda _: None), given, base)
    (recipe := folder / "recipe.yaml").write_text(dump_recipe(given.recipe))
    named = ["--dataset", dataset.uri, "--base", published.uri]
    return ["-m", "tongues", "finetune", str(recipe), *named, "--workspace", str(folder), "--json"]


def test_command_under_torchrun_makes_what_it_makes_of_itself_and_one_process_speaks(
    base: Path, tmp_path: Path
) -> None:
    learnt = {}
    for name, launcher in (("itself", [sys.executable]), ("torchrun", TORCHRUN)):
        arguments = command_line(base, tmp_path / name, {"max_steps": 3, "hardware": {"processes": 2}})
        done = subprocess.run(
            [*launcher, *arguments], env=environment({}), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stderr.count("2 processes on 1 node(s)") == 1, "one process speaks"
        learnt[name] = json.loads(done.stdout)["stages"]["training"]["weights_sha256"]
    assert learnt["itself"] == learnt["torchrun"]


def test_command_under_torchrun_tells_what_went_wrong_once(base: Path, tmp_path: Path) -> None:
    arguments = command_line(base, tmp_path, {"preference": {"learning_rate": 1e-3}})
    done = subprocess.run(
        [*TORCHRUN, *arguments], env=environment({}), capture_output=True, text=True, timeout=300
    )
    assert done.returncode != 0
    assert done.stderr.count("error: ") == 1, done.stderr[-3000:]
    assert json.loads(done.stdout)["exit_code"] == 1


def test_stage_tells_what_went_wrong_in_a_process_once_and_in_its_own_words(
    base: Path, tmp_path: Path
) -> None:
    tuning = {"hardware": {"processes": 2}, "preference": {"learning_rate": 1e-3}}
    code, said = ended(stage(str(tmp_path / "work"), tmp_path, base, tuning))
    assert code == 1
    assert said.count("tuning.preference is trained in one process") == 1


def test_stage_names_the_process_that_the_system_has_killed(base: Path, tmp_path: Path) -> None:
    process = stage(str(tmp_path / "work"), tmp_path, base, ENDLESS | {"hardware": {"processes": 2}})
    when_trained(2, tmp_path / "work", process)
    [*_, last] = psutil.Process(process.pid).children()
    last.kill()
    code, said = ended(process)
    assert code == 1
    assert "was killed by SIGKILL" in said
    assert "lower tuning.batch_tokens" in said


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nodes(
    store: ObjectStore, base: Path, tmp_path: Path, tuning: dict[str, Any], attempt: str
) -> list[subprocess.Popen[str]]:
    """Two pods of a TrainJob: torchrun's variables, one process each, disks of their own."""
    port = free_port()
    return [
        stage(
            "s3://tongues/work",
            tmp_path / f"{attempt}-{node}",
            base,
            tuning,
            store.environment
            | {
                "PET_NNODES": "2",
                "PET_NPROC_PER_NODE": "1",
                "PET_NODE_RANK": str(node),
                "PET_MASTER_ADDR": "127.0.0.1",
                "PET_MASTER_PORT": str(port),
            },
        )
        for node in range(2)
    ]


def test_two_nodes_without_a_common_disk_go_on_from_the_object_store_on_two_others(
    object_store: ObjectStore, base: Path, tmp_path: Path
) -> None:
    tuning = {"max_steps": 400, "epochs": 100, "checkpoint_steps": 50}
    first = nodes(object_store, base, tmp_path, tuning, "first")
    when_trained(5, tmp_path / "first-0", first[0])
    first[1].send_signal(signal.SIGTERM)  # one of the two is evicted; both save and stop
    codes = [ended(process) for process in first]
    assert [code for code, _ in codes] == [75, 75], codes[0][1][-3000:]
    assert "2 processes on 2 node(s)" in codes[0][1]
    second = nodes(object_store, base, tmp_path, tuning, "second")
    results: list[tuple[int, str]] = []
    other = threading.Thread(target=lambda: results.append(ended(second[1])))
    other.start()
    code, said = ended(second[0])
    other.join()
    assert (code, results[0][0]) == (0, 0), said[-3000:] + results[0][1][-3000:]
    assert "fetched from s3://tongues/work" in said
    assert "finetune: goes on after step" in said
    uris = {text.split("finished ")[-1].split()[0] for text in (said, results[0][1])}
    assert len(uris) == 1, "both nodes know the same result"
    assert not [name for name in storage.list_names(uris.pop()) if "checkpoint" in name]
