import json
import os
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("mlflow", reason="MLflow is not installed: install tongues[registry]")

import httpx

from tongues.core.comparison import Contamination, Exposure
from tongues.core.errors import GateRefusedError, RegistryError
from tongues.core.recipe import GateSection, RegistrySection
from tongues.core.scores import Measurement, Scores
from tongues.platform.model_versions import source_problem
from tongues.platform.processes import free_port, start_group, stop_group
from tongues.platform.tracking import DatasetInput, StepMetrics, Tracking
from tongues.promotion import registry
from tongues.promotion.evidence import Evidence
from tongues.promotion.gate import Decision, decide
from tongues.promotion.journal import Journal

pytestmark = pytest.mark.integration
LANGS = ("es", "ca")


def scores(role, accuracy, sha256):
    values = {f"choices/{lang}/accuracy": accuracy for lang in ("en", *LANGS)}
    values |= {f"open/{lang}/target_language_rate": 0.9 for lang in LANGS}
    values |= {f"translation/{lang}/chrf": 40.0 for lang in LANGS}
    return Scores(
        role=role,
        model=f"model-{sha256[0]}",
        model_sha256=sha256,
        suite="quick",
        suite_sha256="5" * 64,
        source_lang="en",
        languages=LANGS,
        measurements={k: Measurement(value=v, n=60) for k, v in values.items()},
    )


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


def healthy(url):
    try:
        return httpx.get(f"{url}/health", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder whose name would break careless URIs."""
    return tmp_path_factory.mktemp("work space %41?")


@pytest.fixture(scope="module")
def sqlite(workspace):
    """The default: SQLite in the workspace."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return Tracking(RegistrySection(model="quickstart"), workspace)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real MLflow server over HTTP, on a free port."""
    home, port = tmp_path_factory.mktemp("server"), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--workers", "1"]
    command += ["--artifacts-destination", (home / "artifacts").as_uri()]
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    child = start_group(command, env=env, log=home / "log.txt")
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: healthy(url) or child.poll() is not None)
        assert child.poll() is None, (home / "log.txt").read_text()[-2000:]
        yield url
    finally:
        stop_group(child.pid)


@pytest.fixture(scope="module")
def remote(server, tmp_path_factory):
    return Tracking(RegistrySection(model="m", tracking_uri=server), tmp_path_factory.mktemp("unused"))


def enlist(tracking, model, digit, *, accuracy=0.5, folder=None):
    """Register one candidate with its scores, as the stages do."""
    sha256 = digit * 64
    run_id = tracking.start_run(f"{model}/{digit}", name=f"{model} {digit}")
    mine = scores("candidate", accuracy, sha256)
    tracking.log_text(run_id, mine.model_dump_json(), "scores.json")
    tracking.log_scores(run_id, mine)
    uri = str(folder) if folder else f"s3://models/{model}/{digit}"
    version = registry.register(
        tracking, model=model, uri=uri, sha256=sha256, run_id=run_id, tags={"licence": "Apache-2.0"}
    )
    return version, mine


def verdict(candidate, reference=None) -> Decision:
    exposures = tuple(
        Exposure(task=task, lang=lang, items=60, direct=0, translated=0)
        for task in ("choices", "open", "translation")
        for lang in ("en", *LANGS)
    )
    searched = Contamination(dataset_sha256="7" * 64, records=3, rule="r", exposures=exposures)
    evidence = Evidence(
        parity=1.0,
        lineage_faults=(),
        base_licence="MIT",
        data_licences=("CC0-1.0",),
        contamination=searched,
    )
    policy = GateSection(confidence=0.5)
    return decide(candidate, reference or scores("base", 0.5, "b" * 64), policy, evidence)


def test_run_logged_twice_is_one_run_with_each_value_once(sqlite):
    def log():
        run_id = sqlite.start_run("key-1", name="tune", tags={"recipe": "r"})
        sqlite.log_params(run_id, {"lora": {"r": 16}, "languages": ["es", "ca"], "long": "x" * 9000})
        source = DatasetInput("quick", "a" * 64, "s3://b/rows.jsonl", 180, "training")
        sqlite.log_datasets(run_id, [source])
        steps = [StepMetrics(s, s * 0.5, {"loss": 3.0 / (s + 1), "lr": 1e-4}) for s in range(1200)]
        sqlite.log_steps(run_id, steps)
        sqlite.log_scores(run_id, scores("candidate", 0.5, "c" * 64))
        sqlite.finish_run(run_id)
        return run_id

    first, second = log(), log()
    assert first == second
    run = sqlite.client.get_run(first)
    assert run.data.params["lora.r"] == "16"
    assert len(run.data.params["long"]) == 6000
    assert run.data.metrics["choices/es/accuracy"] == 0.5
    assert len(sqlite.client.get_metric_history(first, "loss")) == 1200
    (given,) = run.inputs.dataset_inputs
    assert json.loads(given.dataset.profile) == {"num_rows": 180, "sha256": "a" * 64}
    assert json.loads(given.dataset.source) == {"uri": "s3://b/rows.jsonl"}
    assert run.info.status == "FINISHED"


def test_run_that_was_opened_from_outside_is_joined_once_and_left_open(sqlite, monkeypatch):
    opened = sqlite.client.create_run(sqlite.experiment_id, run_name="pipeline").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    assert sqlite.start_run("key-joined", name="tune") == opened
    assert sqlite.start_run("key-joined", name="tune") == opened, "a retry finds it again"
    other = sqlite.start_run("key-beside", name="tune")
    assert other != opened, "other work of the same pipeline has a run of its own"
    sqlite.finish_run(opened)
    sqlite.finish_run(other)
    statuses = [sqlite.client.get_run(run_id).info.status for run_id in (opened, other)]
    assert statuses == ["RUNNING", "FINISHED"]


def test_log_params_changed_value_is_an_error_and_not_overwritten(sqlite):
    run_id = sqlite.start_run("key-2", name="n")
    sqlite.log_params(run_id, {"seed": 1})
    with pytest.raises(RegistryError, match="log parameters"):
        sqlite.log_params(run_id, {"seed": 2})
    assert sqlite.read_params(run_id)["seed"] == "1"


def test_champion_alias_resolves_to_the_weights_for_any_mlflow_client(sqlite, workspace):
    import mlflow

    folder = workspace / "finetune" / "k" / "merged"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    version, mine = enlist(sqlite, "quickstart", "1", folder=folder)
    done = registry.promote(sqlite, "quickstart", version.version, verdict(mine), expected_champion=None)
    assert (done.version, done.previous, done.moved) == (1, None, True)
    mlflow.set_tracking_uri(sqlite.uri)
    found = mlflow.artifacts.download_artifacts("models:/quickstart@champion")
    assert [p.name for p in Path(found).iterdir()] == ["model.safetensors"]
    assert sqlite.client.get_model_version_download_uri("quickstart", "1") == folder.as_uri()
    again = registry.resolve(sqlite, "models:/quickstart@champion")
    assert (again.version, again.sha256, again.tags["tongues.licence"]) == (1, "1" * 64, "Apache-2.0")


def test_register_same_weights_twice_gives_one_version(sqlite):
    first, _ = enlist(sqlite, "twice", "1")
    second, _ = enlist(sqlite, "twice", "1")
    other, _ = enlist(sqlite, "twice", "2")
    assert first == second
    assert [v.version for v in sqlite.models.versions("twice")] == [1, 2]
    assert registry.resolve(sqlite, "twice@candidate") == other


@pytest.mark.parametrize("where", ["sqlite", "remote"])
def test_promote_pass_refuse_repeat_and_roll_back(where, request):
    tracking, model = request.getfixturevalue(where), f"story-{where}"
    one, scores_one = enlist(tracking, model, "1", accuracy=0.5)
    registry.promote(tracking, model, one.version, verdict(scores_one), expected_champion=None)
    champion = scores_one.as_role("champion")

    worse, scores_worse = enlist(tracking, model, "2", accuracy=0.3)
    refusal = verdict(scores_worse, champion)
    with pytest.raises(GateRefusedError, match=r"nothing moved: ca: .* fell by 0\.200") as caught:
        registry.promote(tracking, model, worse.version, refusal, expected_champion=1)
    assert caught.value.exit_code == 3
    assert registry.champion(tracking, model).version == 1
    tags = tracking.models.version(model, worse.version).tags
    assert (tags["tongues.decision"], tags["tongues.decision_sha256"]) == ("refused", refusal.digest())
    stored = tracking.read_artifact(worse.run_id, "promotion/decision.json")
    assert Decision.model_validate_json(stored) == refusal

    better, scores_better = enlist(tracking, model, "3", accuracy=0.6)
    passed = verdict(scores_better, champion)
    done = registry.promote(tracking, model, better.version, passed, expected_champion=1)
    assert (done.version, done.previous) == (3, 1)
    assert registry.resolve(tracking, f"{model}@previous").version == 1
    assert registry.resolve(tracking, f"{model}/3").sha256 == "3" * 64

    same = registry.promote(tracking, model, better.version, passed, expected_champion=3)
    assert not same.moved and "already" in same.sentence
    back = registry.rollback(tracking, model, reason="wrong language in production")
    assert (back.version, back.previous) == (1, 3)
    moves = registry.history(tracking, model)
    assert [(m.action, m.before, m.after) for m in moves] == [
        ("promote", None, 1),
        ("promote", 1, 3),
        ("rollback", 3, 1),
    ]
    assert moves[1].decision_sha256 == passed.digest()
    assert moves[2].reason == "wrong language in production"


def test_rollback_and_history_through_the_command_line(server, remote, tmp_path):
    for digit in "12":
        version, mine = enlist(remote, "told", digit)
        champion = registry.champion(remote, "told")
        expected = champion.version if champion else None
        registry.promote(remote, "told", version.version, verdict(mine), expected_champion=expected)

    def tongues(*arguments):
        command = [str(Path(sys.executable).parent / "tongues"), *arguments, "-w", str(tmp_path), "--json"]
        env = os.environ | {"MLFLOW_TRACKING_URI": server}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
        return done.returncode, json.loads(done.stdout)

    code, answer = tongues("rollback", "told", "--reason", "it answers in Portuguese")
    assert (code, answer["version"], answer["previous"]) == (0, 1, 2)
    code, answer = tongues("history", "told")
    assert [(m["action"], m["before"], m["after"]) for m in answer["moves"]] == [
        ("promote", None, 1),
        ("promote", 1, 2),
        ("rollback", 2, 1),
    ]
    assert answer["moves"][2]["reason"] == "it answers in Portuguese"
    code, answer = tongues("history", "unheard-of")
    assert code == 1 and "no such model" in answer["error"]["what"]


def test_promote_decision_about_other_weights_is_refused(sqlite):
    one, _ = enlist(sqlite, "swap", "1")
    _, others = enlist(sqlite, "swap", "2")
    with pytest.raises(RegistryError, match="the decision is about weights 2222"):
        registry.promote(sqlite, "swap", one.version, verdict(others), expected_champion=None)
    assert registry.champion(sqlite, "swap") is None


def test_promote_champion_changed_since_the_decision_is_refused(sqlite):
    one, scores_one = enlist(sqlite, "moved", "1")
    two, scores_two = enlist(sqlite, "moved", "2")
    registry.promote(sqlite, "moved", one.version, verdict(scores_one), expected_champion=None)
    with pytest.raises(RegistryError, match="it was none, now it is version 1"):
        registry.promote(sqlite, "moved", two.version, verdict(scores_two), expected_champion=None)
    assert registry.champion(sqlite, "moved").version == 1


@pytest.mark.parametrize("where", ["sqlite", "remote"])
def test_promote_six_at_the_same_moment_one_wins_and_the_others_are_told(where, request):
    tracking, model = request.getfixturevalue(where), f"race-{where}"
    entries = [enlist(tracking, model, digit) for digit in "123456"]
    Journal(tracking, model).moves()

    def attempt(entry):
        version, mine = entry
        try:
            return registry.promote(tracking, model, version.version, verdict(mine), expected_champion=None)
        except RegistryError as error:
            return error

    with ThreadPoolExecutor(len(entries)) as pool:
        results = list(pool.map(attempt, entries))
    winners = [r for r in results if not isinstance(r, RegistryError)]
    assert len(winners) == 1, results
    assert registry.champion(tracking, model).version == winners[0].version
    assert [m.after for m in registry.history(tracking, model)] == [winners[0].version]
    told = [r for r in results if isinstance(r, RegistryError)]
    assert all("at this moment" in str(r) or "champion changed" in str(r) for r in told), told


PROMOTER = """
import sys, time
from pathlib import Path
from tongues.core.errors import RegistryError
from tongues.core.recipe import RegistrySection
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.promotion.gate import Decision
url, model, version, decision, here, go = sys.argv[1:]
tracking = Tracking(RegistrySection(model=model, tracking_uri=url), Path(here))
said = Decision.model_validate_json(Path(decision).read_bytes())
Path(here, "ready").touch()
while not Path(go).exists():
    time.sleep(0.001)
try:
    print(registry.promote(tracking, model, int(version), said, expected_champion=None).sentence)
except RegistryError as error:
    sys.exit(f"told: {error}")
"""


def test_promote_two_processes_at_the_same_moment_one_wins_and_the_other_is_told(server, remote, tmp_path):
    go, children = tmp_path / "go", []
    for digit in "12":
        version, mine = enlist(remote, "rivals", digit)
        here = tmp_path / digit
        here.mkdir()
        (here / "decision.json").write_bytes(verdict(mine).to_json())
        arguments = [server, "rivals", str(version.version), str(here / "decision.json"), str(here), str(go)]
        command = [sys.executable, "-c", PROMOTER, *arguments]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    wait_for(lambda: all((tmp_path / digit / "ready").exists() for digit in "12"))
    go.touch()
    results = [(*child.communicate(timeout=90), child.returncode) for child in children]
    assert sorted(code for *_, code in results) == [0, 1], results
    (loser,) = (complaint for _, complaint, code in results if code)
    assert "told: " in loser and ("at this moment" in loser or "champion changed" in loser)
    (winner,) = (said for said, _, code in results if not code)
    champion = registry.champion(remote, "rivals")
    assert winner.startswith(f"rivals version {champion.version} is the champion")
    assert [move.after for move in registry.history(remote, "rivals")] == [champion.version]


def test_history_is_the_models_whatever_experiment_it_was_promoted_from(sqlite, workspace):
    version, mine = enlist(sqlite, "wanderer", "1")
    registry.promote(sqlite, "wanderer", version.version, verdict(mine), expected_champion=None)
    elsewhere = Tracking(RegistrySection(model="wanderer", experiment="another"), workspace)
    assert [move.after for move in registry.history(elsewhere, "wanderer")] == [version.version]
    second, scores_two = enlist(sqlite, "wanderer", "2")
    registry.promote(
        elsewhere, "wanderer", second.version, verdict(scores_two), expected_champion=version.version
    )
    assert [move.number for move in registry.history(sqlite, "wanderer")] == [1, 2]


def test_promote_after_a_promoter_died_between_claim_and_move_goes_on(sqlite, monkeypatch):
    one, scores_one = enlist(sqlite, "dead", "1")
    two, scores_two = enlist(sqlite, "dead", "2")
    Journal(sqlite, "dead").claim("promote", before=None, after=one.version, reason="then the power failed")
    with pytest.raises(RegistryError, match="at this moment"):
        registry.promote(sqlite, "dead", two.version, verdict(scores_two), expected_champion=None)
    finished = registry.promote(sqlite, "dead", one.version, verdict(scores_one), expected_champion=None)
    assert finished.version == one.version  # who died may finish what it claimed


@pytest.mark.parametrize("reference", ["quickstart", "a@b@c", "x/y/z", "", "quickstart@", "m@no such"])
def test_resolve_what_is_not_a_reference_says_how_to_write_one(sqlite, reference):
    with pytest.raises(RegistryError, match="write MODEL@ALIAS"):
        registry.resolve(sqlite, reference)


def test_resolve_missing_alias_model_or_version_is_named(sqlite):
    enlist(sqlite, "lonely", "1")
    with pytest.raises(RegistryError, match=r"lonely@champion: nothing stands.*it has versions \[1\]"):
        registry.resolve(sqlite, "lonely@champion")
    with pytest.raises(RegistryError, match="there is no such model"):
        registry.resolve(sqlite, "nobody@champion")
    with pytest.raises(RegistryError, match="lonely"):
        registry.resolve(sqlite, "lonely/7")


def test_server_local_folder_is_refused_before_anything_is_registered(remote, tmp_path):
    assert source_problem(remote.uri, "s3://bucket/k") is None
    with pytest.raises(RegistryError, match="takes no model from a local folder"):
        enlist(remote, "local-source", "1", folder=tmp_path)
    assert remote.models.versions("local-source") == []


def test_server_artifacts_come_back_byte_for_byte(remote, tmp_path):
    run_id = remote.start_run("artifacts", name="a")
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.html").write_bytes("<p>sí – 中文</p>".encode())
    remote.log_artifact(run_id, folder, "evaluation")
    remote.log_artifact(run_id, folder / "report.html")
    assert remote.read_artifact(run_id, "evaluation/report.html") == (folder / "report.html").read_bytes()
    assert remote.read_artifact(run_id, "report.html") == (folder / "report.html").read_bytes()


def test_tracking_nobody_listens_is_told_within_seconds(tmp_path):
    started = time.monotonic()
    section = RegistrySection(model="m", tracking_uri=f"http://user:secret@127.0.0.1:{free_port()}")
    with pytest.raises(RegistryError, match=r"does not answer.*MLFLOW_TRACKING_URI") as caught:
        Tracking(section, tmp_path)
    assert time.monotonic() - started < 20
    assert "secret" not in str(caught.value)


def test_tracking_database_of_another_version_says_how_to_upgrade(workspace, tmp_path):
    old = tmp_path / "old.db"
    with sqlite3.connect(workspace / "mlflow.db") as source, sqlite3.connect(old) as copy:
        source.backup(copy)
        copy.execute("UPDATE alembic_version SET version_num = '90e64c465722'")
    section = RegistrySection(model="m", tracking_uri=f"sqlite:///{old}")
    with pytest.raises(RegistryError, match="mlflow db upgrade"):
        Tracking(section, tmp_path)


def test_tracking_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database", encoding="utf-8")
    section = RegistrySection(model="m", tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(RegistryError, match="not a database"):
        Tracking(section, tmp_path)


def test_tracking_folder_that_cannot_be_made_is_told_at_once(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    section = RegistrySection(model="m", tracking_uri=f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")
    with pytest.raises(RegistryError, match="cannot be opened"):
        Tracking(section, tmp_path)
