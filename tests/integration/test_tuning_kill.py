"""kill -9 at random moments, SIGTERM, another machine, a store that is away: training always goes on."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from object_store import ObjectStore

from tests.servers.tuning_node import dataset_and_base, given_with
from tests.tiny_models import make_tiny_base
from tongues.core.digests import digest_files
from tongues.core.errors import PreflightError, TrainingInterruptedError
from tongues.core.recipe import TuningSection
from tongues.platform import storage
from tongues.stages.finetune import check, finetune
from tongues.stages.weights import has_adapter, weights_folder, weights_sha256
from tongues.stages.workspace import Output, Workspace
from tongues.tuning.checkpoints import MARKER, Checkpoints
from tongues.tuning.mirror import Mirror

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
JOB = Path(__file__).resolve().parents[1] / "servers" / "tuning_job.py"
KILLS, STEPS = 5, 40


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(JOB), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> list[str]:
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr[-2000:]
    return stdout.split("done ")[1].split()


def kill_after(process: subprocess.Popen[str], steps: int, delay_s: float, number: int) -> None:
    """Send a signal a moment after the process has said so many steps."""
    assert process.stdout is not None
    for line in process.stdout:
        steps -= line.startswith("step")
        if steps == 0:
            threading.Timer(delay_s, process.send_signal, (number,)).start()
    process.wait(timeout=100)


def losses(out: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (out / "training-log.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupts."""
    out = tmp_path_factory.mktemp("whole")
    assert finish(start(base, out)) == [str(STEPS), "None"]
    return out


def test_training_killed_at_five_random_moments_has_the_same_losses_and_weights(
    base: Path, whole: Path, tmp_path: Path
) -> None:
    moments = random.Random(5)
    for _ in range(KILLS):
        process = start(base, tmp_path)
        kill_after(process, moments.randrange(1, 7), moments.uniform(0, 0.05), signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL, "it was not killed in the middle"
    steps_run, resumed_from = finish(start(base, tmp_path))
    assert int(steps_run) == STEPS - int(resumed_from)
    assert losses(tmp_path) == losses(whole)
    assert digest_files(tmp_path / "adapter") == digest_files(whole / "adapter")


SAVING = """
import os
import sys
from tests.servers import tuning_job

def said_and_held(row):
    if row["step"] == 6:  # what is saved next waits for a reader in the middle of it
        os.makedirs(sys.argv[3])
        os.mkfifo(f"{sys.argv[3]}/optimizer.pt")
        print("the save comes", flush=True)

tuning_job.said_and_held = said_and_held
tuning_job.main(*sys.argv[1:3])
"""


def test_training_killed_while_it_saves_goes_on_from_the_checkpoint_before(
    base: Path, whole: Path, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "checkpoints"
    command = [sys.executable, "-c", SAVING, str(base), str(tmp_path), str(checkpoints / "checkpoint-6")]
    environment = os.environ | {"PYTHONPATH": str(JOB.parents[2])}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "the save comes\n"
    before = digest_files(checkpoints / "checkpoint-3")
    with (checkpoints / "checkpoint-6" / "optimizer.pt").open("rb"):  # opens when the trainer writes
        process.kill()
        assert process.wait(timeout=100) == -signal.SIGKILL
    assert (checkpoints / "checkpoint-6" / "adapter_model.safetensors").is_file(), "half of it was there"
    assert digest_files(checkpoints / "checkpoint-3") == before
    assert finish(start(base, tmp_path)) == [str(STEPS - 3), "3"]
    assert losses(tmp_path) == losses(whole)
    assert digest_files(tmp_path / "adapter") == digest_files(whole / "adapter")


def test_evicted_training_goes_on_on_another_machine_from_the_step_it_was_in(
    object_store: ObjectStore, base: Path, whole: Path, tmp_path: Path
) -> None:
    uri = "s3://tongues/run/checkpoints"
    process = start(base, tmp_path / "machine-1", uri)
    kill_after(process, 10, 0, signal.SIGTERM)
    assert process.returncode != 0
    steps = [n.split("/")[0] for n in storage.list_names(uri) if n.endswith(MARKER)]
    assert 1 <= len(steps) <= 2, "older ones are pruned there too, or passed over where newer ones wait"
    steps_run, resumed_from = finish(start(base, tmp_path / "machine-2", uri))
    assert f"checkpoint-{resumed_from}" in steps
    assert int(resumed_from) >= 10
    assert int(steps_run) == STEPS - int(resumed_from)
    assert losses(tmp_path / "machine-2") == losses(whole)
    assert digest_files(tmp_path / "machine-2" / "adapter") == digest_files(whole / "adapter")


def saved(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "weights").write_bytes(b"w" * step)
    checkpoints = Checkpoints(folder, {"dataset": "a"}, lambda _: None)
    checkpoints.last()
    (path / "weights").parent.mkdir(exist_ok=True)
    (path / "weights").write_bytes(b"w" * step)
    checkpoints.finish(path)
    return path


def test_store_that_is_away_stops_nothing_and_gets_the_newest_when_it_is_back(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    said: list[str] = []
    away = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        away.set()

    host, port = object_store.server.get_host_and_port()
    object_store.server.stop()
    with Mirror("s3://tongues/away", tmp_path, say=say, pause_s=0.1) as mirror:
        mirror.note(saved(tmp_path, 2))
        assert away.wait(60)
        assert "will be tried again" in said[0]
        mirror.note(saved(tmp_path, 4))
        back = ThreadedMotoServer(ip_address=host, port=port, verbose=False)
        back.start()
    names = storage.list_names("s3://tongues/away")
    # An attempt that was under way may still bring the older one.
    assert f"checkpoint-4/{MARKER}" in names
    back.stop()


def test_store_that_refuses_writes_stops_nothing_and_gets_the_newest_when_it_takes_them(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    said: list[str] = []
    refused = threading.Semaphore(0)

    def say(line: str) -> None:
        said.append(line)
        refused.release()

    object_store.client.delete_bucket(Bucket="tongues")
    with Mirror("s3://tongues/refused", tmp_path, say=say, pause_s=0.1) as mirror:
        for step in (2, 4):
            mirror.note(saved(tmp_path, step))
            assert refused.acquire(timeout=60)
        object_store.client.create_bucket(Bucket="tongues")
    assert "checkpoint-2 not in the object store yet, it will be tried again" in said[0]
    assert f"checkpoint-4/{MARKER}" in storage.list_names("s3://tongues/refused")


def test_fetch_passes_over_a_damaged_upload_and_half_an_upload(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    uri, said = "s3://tongues/damaged", list[str]()
    for step in (2, 4):
        with Mirror(uri, tmp_path / "here", say=said.append) as mirror:
            mirror.note(saved(tmp_path / "here", step))
    storage.write_bytes(f"{uri}/checkpoint-4/weights", b"wwwx")
    storage.write_bytes(f"{uri}/checkpoint-6/weights", b"w" * 6)
    there = tmp_path / "there"
    Mirror(uri, there, say=said.append).fetch()
    assert Checkpoints(there, {"dataset": "a"}, said.append).last() == there / "checkpoint-2"
    assert any("checkpoint-4 in the object store is damaged (weights)" in line for line in said)
    Mirror(uri, there, say=said.append).remove()
    assert storage.list_names(uri) == []


CURRICULUM = TuningSection.model_validate(
    {
        "lora": {"r": 4, "alpha": 8, "dropout": 0.1},
        "learning_rate": 5e-3,
        "epochs": 4,
        "batch_rows": 4,
        "checkpoint_steps": 2,
        "precision": "fp32",
        "stages": [
            {"name": "english", "take": {"stages": ["1"]}},
            {"name": "chains", "take": {"stages": ["2"]}, "adapter": "merge"},
        ],
        "preference": {"learning_rate": 1e-3},
    }
)


def test_finetune_evicted_on_one_machine_is_finished_on_another_and_leaves_no_checkpoint(
    object_store: ObjectStore, base: Path, tmp_path: Path
) -> None:
    given = given_with(CURRICULUM)

    def on(machine: str, *, evict_at: str = "") -> Output:
        def say(line: str) -> None:
            if evict_at and evict_at in line:
                os.kill(os.getpid(), signal.SIGTERM)

        place = Workspace("s3://tongues/work", scratch=tmp_path / machine, say=say)
        return finetune(given, place, *dataset_and_base(place, given, base))

    with pytest.raises(TrainingInterruptedError):
        on("one", evict_at="finetune: stage 'chains'")
    with pytest.raises(TrainingInterruptedError):
        on("two", evict_at="finetune preference: validation loss before")
    tuned = on("three")
    stages = tuned.manifest.observed["stages"]
    assert (stages["english"]["resumed_from"], stages["chains"]["resumed_from"]) == (8, 12)
    assert stages["preference"]["resumed_from"] is None
    assert list(tuned.manifest.facts["stages"]) == ["english", "chains", "preference"]
    names = storage.list_names(tuned.uri)
    assert not [name for name in names if "checkpoint" in name]
    assert {"adapter/README.md", "merged/README.md", "merged/model.safetensors"} <= set(names)
    assert tuned.manifest.tallies["es"].rows_out == 24


def test_finetune_evicted_while_it_compares_what_it_wrote_asks_to_be_started_again_and_trains_nothing_twice(
    base: Path, tmp_path: Path
) -> None:
    def say(line: str) -> None:
        if "merged weights answer like" in line and not tuned:
            os.kill(os.getpid(), signal.SIGTERM)

    tuned: list[Output] = []
    given = given_with(TuningSection(max_steps=3, batch_rows=4, checkpoint_steps=2, precision="fp32"))
    place = Workspace(str(tmp_path), say=say)
    inputs = dataset_and_base(place, given, base)
    with pytest.raises(TrainingInterruptedError, match="no step was under way"):
        finetune(given, place, *inputs)
    tuned.append(finetune(given, place.quiet(), *inputs))
    observed = tuned[0].manifest.observed
    assert (observed["steps_run"], observed["resumed_from"]) == (0, 3)


def test_finetune_on_data_that_was_changed_since_it_was_assembled_is_refused_and_names_the_file(
    base: Path, tmp_path: Path
) -> None:
    given, place = given_with(CURRICULUM), Workspace(str(tmp_path), say=lambda _: None)
    dataset, published = dataset_and_base(place, given, base)
    [shard] = (dataset.folder / "train").glob("*.parquet")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    (published.folder / "chat_template.jinja").unlink()
    for verb in (finetune, check):
        with pytest.raises(PreflightError, match="not as it was when assemble finished") as caught:
            verb(given, place, dataset, published)
        assert [problem.split(": ")[0] for problem in caught.value.problems] == [
            str(shard),
            str(published.folder / "chat_template.jinja"),
        ]
    assert not list(tmp_path.glob("finetune/*/training-log.jsonl"))


def test_finetune_in_full_mode_has_weights_that_all_stages_after_it_find(base: Path, tmp_path: Path) -> None:
    full = TuningSection(mode="full", epochs=1, batch_rows=4, precision="fp32", learning_rate=1e-3)
    given, place = given_with(full), Workspace(str(tmp_path), say=lambda _: None)
    tuned = finetune(given, place, *dataset_and_base(place, given, base))
    assert not has_adapter(tuned)
    assert (weights_folder(tuned) / "model.safetensors").is_file()
    assert tuned.manifest.observed["parity"]["agreement"] == 1
    assert len(weights_sha256(tuned)) == 64
    assert finetune(given, place, *dataset_and_base(place, given, base)).manifest == tuned.manifest
