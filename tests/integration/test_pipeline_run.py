"""The whole road on this machine: the compiled KFP pipeline, S3 and MLflow over HTTP, a tiny real model.

The model is a random two-layer Llama, so its scores mean nothing; what is shown is that the road is
the same whoever walks it, that walking it twice costs nothing, and that a refusal moves nothing.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from object_store import running_store

from tests.tiny_models import make_tiny_base
from tongues.platform.pipelines import run_local

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
TONGUES = str(Path(sys.executable).parent / "tongues")
LANGUAGES = ("en", "es", "gl")
RECIPE = """
schema_version: 1
name: tiny
languages: [es, gl]
source: {uri: rows.jsonl, dataset: tiny, licence: CC-BY-4.0}
base_model: {uri: base, name: Tiny, licence: Apache-2.0}
translation: {engine: {kind: apertium}, shards: 2, quality: {round_trip_sentences: 10}}
dataset:
  methods: [{method: direct, english_rows: 4}, {method: crossin, en2x: 4, x2x: 4}]
  validation_share: 0.2
tuning: {lora: {r: 2, alpha: 4}, batch_rows: 4, max_seq_tokens: 400, precision: fp32, checkpoint_steps: 3,
         safety: {parity: transformers}}  # vLLM serves no heads as small as these
evaluation:
  suite: {choices_uri: choices.jsonl, open_uri: open.jsonl, translation_uri: translation.jsonl}
  max_new_tokens: 4
gate: {confidence: 0.5, max_choices_drop: 1, max_english_drop: 1, max_chrf_drop: 100,
       min_target_language_rate: RATE}
registry: {model: tiny}
"""


def write_inputs(folder: Path, *, rate: float = 0.0) -> Path:
    """Twelve of the quickstart's rows, four of its questions, and a model made on the spot."""
    folder.mkdir(parents=True, exist_ok=True)
    data = ROOT / "recipes" / "quickstart"
    lines = (data / "instructions.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "rows.jsonl").write_text("\n".join(lines[::15]), encoding="utf-8")
    for task in ("choices", "open", "translation"):
        rows = map(
            json.loads, (data / "evaluation" / f"{task}.jsonl").read_text(encoding="utf-8").splitlines()
        )
        few = [r for r in rows if r["lang"] in LANGUAGES and r["id"].endswith(("001", "002", "003"))]
        text = "\n".join(json.dumps(r, ensure_ascii=False) for r in few)
        (folder / f"{task}.jsonl").write_text(text, encoding="utf-8")
    make_tiny_base(folder / "base")
    (folder / "recipe.yaml").write_text(RECIPE.replace("RATE", str(rate)))
    return folder / "recipe.yaml"


def run(recipe, workspace, *more, env=None):
    command = [TONGUES, "run", str(recipe), "-w", str(workspace), "--json", *more]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**os.environ, **(env or {})}
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def contents(root: Path) -> dict[str, set[str]]:
    """Stage to the content digests that a workspace holds."""
    found: dict[str, set[str]] = {}
    for path in root.rglob("manifest.json"):
        manifest = json.loads(path.read_text())
        found.setdefault(manifest["stage"], set()).add(manifest["content_sha256"])
    return found


@pytest.fixture(scope="module")
def apertium():
    if shutil.which("apertium") is None:
        pytest.skip("needs Apertium: ./scripts/install-apertium")


@pytest.fixture(scope="module")
def direct(tmp_path_factory, apertium):
    """One run without KFP, on local files and SQLite."""
    folder = tmp_path_factory.mktemp("direct")
    recipe = write_inputs(folder / "in")
    code, answer, log = run(recipe, folder / "work", "--runner", "direct")
    assert code == 0, log
    return recipe, folder / "work", answer


def test_run_ends_with_a_champion_and_a_report(direct):
    _, workspace, answer = direct
    assert answer["champion"] is True and answer["gate"]["passed"] is True
    assert answer["model"] == "models:/tiny/1"
    page = Path(answer["report"]).read_text(encoding="utf-8")
    assert page.lstrip().startswith("<!doctype html>") and "http://" not in page.replace(
        "http://www.w3.org", ""
    )
    assert set(answer["scores"]) == {"base", "candidate"}
    assert (workspace / "mlflow.db").is_file()


def test_second_run_through_kfp_finds_everything_finished(direct):
    recipe, workspace, first = direct
    before = {p: p.stat().st_mtime_ns for p in workspace.rglob("manifest.json")}
    started = time.monotonic()
    code, answer, log = run(recipe, workspace, "--runner", "kfp-local")
    assert code == 0, log
    assert (answer["requests_now"], answer["steps_now"]) == (0, 0)
    assert answer["model"] == first["model"]
    assert {p: p.stat().st_mtime_ns for p in workspace.rglob("manifest.json")} == before
    assert "already; nothing moved" in log
    assert time.monotonic() - started < 120


def test_a_registered_model_is_measured_and_promoted_by_pipelines_of_their_own(direct, tmp_path):
    recipe, workspace, _ = direct
    found = {p: p.stat().st_mtime_ns for p in workspace.rglob("manifest.json")}
    asked = {
        "evaluate_model": {"model": "models:/tiny@champion"},
        "promote_model": {"version": "1"},
        "translate_dataset": {},
    }
    given = {"recipe": str(recipe), "workspace": str(workspace)}
    before = set((workspace / "runs").glob("*.json"))
    said = []
    for name, more in asked.items():
        run_local(ROOT / f"pipelines/compiled/{name}.yaml", given | more, tmp_path / name, said.append)
    assert any(line.endswith("was the champion already; nothing moved") for line in said)
    reports = [json.loads(p.read_text()) for p in set((workspace / "runs").glob("*.json")) - before]
    assert {one["state"] for one in reports} == {"SUCCEEDED"}
    assert sorted(tuple(sorted({entry["step"] for entry in one["entries"]})) for one in reports) == [
        ("assemble", "gather", "generate", "prepare", "translate"),
        ("evaluate",),
        ("evaluate", "promote"),
    ]
    assert not list((workspace / "runs").glob("*/*.json")), "the lines of the steps are cleared away"
    assert {p: p.stat().st_mtime_ns for p in workspace.rglob("manifest.json")} == found, "done twice"


def test_methods_are_compared_by_a_pipeline_of_their_own(direct, tmp_path):
    recipe, shared, _ = direct
    workspace = shutil.copytree(shared, tmp_path / "work")
    variants = "ablation: [{name: plain, methods: [{method: direct, english_rows: 4}]}]\n"
    both = recipe.with_name("both.yaml")
    both.write_text(recipe.read_text() + variants)
    given = {"recipe": str(both), "workspace": str(workspace)}
    said = []
    run_local(ROOT / "pipelines/compiled/ablation.yaml", given, tmp_path / "kfp", said.append)
    code, answer, log = run(both, workspace, "--runner", "direct")
    assert code == 0, log
    table = Path(answer["table"]).read_text(encoding="utf-8")
    assert "direct+crossin" in table and "plain" in table
    assert "ablate: found finished" in log, "the pipeline has made what the command finds"
    assert any(line.startswith("report: succeeded") for line in said)
    assert next((tmp_path / "kfp").rglob("table")).read_text(encoding="utf-8") == table


def test_lineage_names_the_file_that_changed(direct):
    _, workspace, _ = direct
    verify = [TONGUES, "lineage", "verify", "tiny@champion", "-w", str(workspace), "--json"]
    done = subprocess.run(verify, capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout)["verified"] is True, done.stdout
    target = next(workspace.glob("assemble/*/train/part-00000.parquet"))
    original = target.read_bytes()
    target.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    done = subprocess.run(verify, capture_output=True, text=True, timeout=120)
    target.write_bytes(original)
    assert done.returncode == 1
    assert any(str(target) in fault for fault in json.loads(done.stdout)["faults"])


def test_gate_refusal_exits_3_with_reasons_and_moves_nothing(tmp_path, apertium):
    recipe = write_inputs(tmp_path / "in", rate=1.0)
    code, answer, _ = run(recipe, tmp_path / "work", "--runner", "kfp-local")
    assert code == 3
    assert "refused" in answer["error"]["what"] and "nothing moved" in answer["error"]["what"]
    show = [TONGUES, "lineage", "show", "tiny@champion", "-w", str(tmp_path / "work")]
    assert subprocess.run(show, capture_output=True, timeout=120).returncode == 1
    assert (
        subprocess.run([*show[:3], "tiny@candidate", *show[4:]], capture_output=True, timeout=120).returncode
        == 0
    )


@pytest.fixture
def bucket():
    """An S3 server for other processes: their environment, and a client to look into it."""
    with running_store("tongues") as store:
        yield store.environment, store.client


@pytest.fixture
def mlflow_server(tmp_path):
    """A real MLflow server over HTTP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/m.db"]
    command += ["--artifacts-destination", str(tmp_path / "a")]
    with (
        (tmp_path / "mlflow.log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as server,
    ):
        try:
            _wait_for(f"{address}/health", server)
            yield address
        finally:
            server.terminate()


def _wait_for(address: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except OSError:
            time.sleep(0.3)
        else:
            return
    pytest.fail("MLflow did not start")


def test_kfp_with_s3_and_mlflow_over_http_gives_the_digests_of_the_local_run(
    direct, bucket, mlflow_server, tmp_path
):
    _, local, _ = direct
    env, client = bucket
    recipe = write_inputs(tmp_path / "in")
    for path in sorted(p for p in recipe.parent.rglob("*") if p.is_file()):
        client.upload_file(str(path), "tongues", f"in/{path.relative_to(recipe.parent).as_posix()}")
    (tmp_path / "in").rename(tmp_path / "moved")  # only the object store has the inputs now
    text = RECIPE.replace("RATE", "0.0").replace("uri: base", "uri: s3://tongues/in/base")
    client.put_object(Bucket="tongues", Key="in/recipe.yaml", Body=text.encode())
    home = {"HOME": str(tmp_path / "pod"), "MLFLOW_TRACKING_URI": mlflow_server}
    code, answer, log = run("s3://tongues/in/recipe.yaml", "s3://tongues/work", env={**env, **home})
    assert code == 0, log
    assert answer["champion"] is True
    here = contents(local)
    there = contents(tmp_path / "pod" / ".cache" / "tongues")
    for stage in ("prepare", "base", "translate", "gather", "assemble", "finetune"):
        assert there[stage] == here[stage], stage
    keys = {o["Key"] for o in client.list_objects_v2(Bucket="tongues", Prefix="work/finetune/")["Contents"]}
    assert any(k.endswith("merged/model.safetensors") for k in keys)
    assert any(k.endswith("manifest.json") for k in keys)
