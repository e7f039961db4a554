"""`tongues submit`, `watch`, `runs`, `logs`, `cancel` as typed, against servers of both kinds over HTTP."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

from kfp_api import KfpApi, Scene, pod_of
from object_store import running_store
from trainer_server import Moment, TrainerServer

pytestmark = pytest.mark.integration

COMMAND = str(Path(sys.executable).parent / "tongues")
RUNNING = ("RUNNING", [Scene("prepare"), Scene("finetune", "RUNNING", minute=3)])
REFUSED = ("FAILED", [Scene("prepare"), Scene("promote", "FAILED", minute=9)])
LOG = """tongues| error: gate: es fell. Fix: train longer
F1122 main.go:49] failed to execute component: exit status 3
"""


@pytest.fixture(scope="module")
def store():
    with running_store("bucket") as running:
        yield running.environment, running.client


@pytest.fixture(params=["standalone", "multi-user"])
def kfp(request, store):
    """A server, and the environment of somebody who may use it."""
    multi_user = request.param == "multi-user"
    with KfpApi(multi_user=multi_user, login="page" if multi_user else "") as api:
        who = {"TONGUES_KFP_TOKEN": "token-of-ada", "TONGUES_KFP_NAMESPACE": "team-a"} if multi_user else {}
        yield api, store[0] | who | {"TONGUES_KFP_HOST": api.url, "TONGUES_WORKSPACE": "s3://bucket/work"}


def tongues(environment, *arguments):
    """Exit code, the one JSON object, and what was said beside it."""
    done = subprocess.run(
        [COMMAND, *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "token-of-ada" not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_recipe_of_a_model_per_language_goes_to_the_pipeline_that_fans_out(kfp):
    _, environment = kfp
    code, whole, log = tongues(environment, "submit", "taco-quick", "--upload")
    assert code == 0 and whole["version"].startswith("language-models-"), log
    code, one, log = tongues(environment, "submit", "taco-quick#es", "--upload")
    assert code == 0 and one["version"].startswith("multilingual-tuning-"), log


def test_submit_watch_logs_runs_cancel(kfp):
    api, environment = kfp
    code, first, _ = tongues(environment, "submit", "quickstart", "--upload")
    assert code == 0 and first["started"] and first["uploaded"]
    run = first["run_id"]
    code, second, _ = tongues(environment, "submit", "quickstart", "--upload")
    assert (code, second["run_id"], second["started"]) == (0, run, False)
    assert len(api.runs) == 1

    api.scenes = [RUNNING, RUNNING, REFUSED]
    flow = f"{first['name'][:20].rstrip('-')}-x7k2p"
    api.logs[pod_of(flow, "executor1")] = LOG
    code, seen, said = tongues(environment, "watch", first["name"], "--every-s", "0.05")
    assert (code, seen["exit_code"], seen["failed_step"], seen["state"]) == (3, 3, "promote", "FAILED")
    assert seen["message"] == "step promote: gate: es fell. Fix: train longer"
    assert "finetune: RUNNING" in said and [s["name"] for s in seen["steps"]] == ["prepare", "promote"]

    code, read, _ = tongues(environment, "logs", run, "--step", "promote")
    assert code == 0 and read["logs"][0]["lines"] == LOG.splitlines()
    code, read, said = tongues(environment, "logs", run, "--step", "prepare")
    assert code == 1 and "kubectl logs -n" in read["logs"][0]["missing"]

    api.scenes = [RUNNING]
    code, third, _ = tongues(environment, "submit", "quickstart", "--upload")
    assert third["started"] and third["earlier"] == "FAILED" and not third["uploaded"]
    code, ended, said = tongues(environment, "cancel", third["run_id"])
    assert (code, ended["state"], ended["asked"]) == (0, "CANCELED", True)
    assert ended["train_jobs_deleted"] is None, "no cluster is known here"
    assert (
        f"kubectl delete trainjob -n {'team-a' if api.multi_user else 'kubeflow'} -l pipeline/runid=" in said
    )
    code, ended, _ = tongues(environment, "cancel", third["run_id"])
    assert (code, ended["state"], ended["asked"]) == (0, "CANCELED", False)
    code, listed, _ = tongues(environment, "runs", "--state", "canceled", "--experiment", "tongues")
    assert [one["run_id"] for one in listed["runs"]] == [third["run_id"]]


def test_cancel_deletes_the_trainjobs_of_its_run_and_no_others(kfp, tmp_path):
    api, environment = kfp
    api.scenes = [RUNNING]
    _, first, _ = tongues(environment, "submit", "quickstart", "--upload", "-n", "team-a")
    with TrainerServer([Moment()]) as cluster:
        for name, run in (("mine", first["run_id"]), ("other", "another-run")):
            labels = {"pipeline/runid": run}
            cluster.jobs[name] = {"metadata": {"name": name, "labels": labels}, "spec": {}}
        environment |= {"KUBECONFIG": str(cluster.kubeconfig(tmp_path))}
        code, ended, _ = tongues(environment, "cancel", first["run_id"], "-n", "team-a")
    assert (code, ended["train_jobs_deleted"], cluster.deleted) == (0, ["mine"], ["mine"])


def test_what_is_uploaded_is_the_recipe_with_all_it_names(kfp, store):
    api, environment = kfp
    tongues(environment, "submit", "quickstart", "--upload")
    given = next(iter(api.runs.values()))["runtime_config"]["parameters"]
    assert given["workspace"] == "s3://bucket/work"
    folder = given["recipe"].removeprefix("s3://bucket/").rsplit("/", 1)[0]
    keys = {item["Key"] for item in store[1].list_objects_v2(Bucket="bucket", Prefix=folder)["Contents"]}
    suite = [f"quickstart/evaluation/{name}.jsonl" for name in ("choices", "open", "translation")]
    assert keys == {
        f"{folder}/{name}" for name in ("quickstart.yaml", "quickstart/instructions.jsonl", *suite)
    }
    _, valid, _ = tongues(environment, "recipe", "show", given["recipe"])
    _, local, _ = tongues(environment, "recipe", "show", "quickstart")
    assert valid["sha256"] == local["sha256"], "the pod reads the recipe that was written here"


def test_a_recipe_that_cannot_work_in_a_pod_is_refused_before_the_server_is_asked(kfp):
    api, environment = kfp
    code, told, _ = tongues(environment, "submit", "quickstart")
    assert code == 1 and len(told["error"]["problems"]) == 4 and "--upload" in told["error"]["fix"]
    assert not api.requests


def test_submit_and_watch_in_one(kfp):
    _, environment = kfp
    code, seen, said = tongues(environment, "submit", "quickstart", "--upload", "--watch")
    assert (code, seen["state"]) == (0, "SUCCEEDED") and "Started:" in said


def test_an_evaluation_recurs_and_is_scheduled_once(kfp):
    api, environment = kfp
    asked = ("submit", "quickstart", "--upload", "--pipeline", "evaluate_model", "--every", "1d")
    code, told, _ = tongues(environment, *asked)
    assert code == 1 and "parameter model is not optional" in told["error"]["what"] and not api.recurring
    asked += ("--set", "model=models:/quickstart@champion")
    code, first, _ = tongues(environment, *asked)
    assert code == 0 and first["started"] and first["version"].startswith("evaluate-model-")
    code, second, _ = tongues(environment, *asked)
    assert (code, second["started"]) == (0, False)
    [made] = api.recurring.values()
    assert second["recurring_run_id"] == made["recurring_run_id"]
    assert made["trigger"] == {"periodic_schedule": {"interval_second": "86400"}}
    assert made["runtime_config"]["parameters"]["model"] == "models:/quickstart@champion"
    assert (made["no_catchup"], made["max_concurrency"], made["mode"]) == (True, "1", "ENABLE")
    assert not api.runs


def test_an_ablation_goes_to_the_pipeline_that_compares(kfp):
    _, environment = kfp
    code, told, _ = tongues(environment, "submit", "ablation-quick", "--upload")
    assert code == 0 and told["version"].startswith("ablation-"), told


def test_control_c_stops_watching_and_the_run_goes_on(kfp):
    api, environment = kfp
    api.scenes = [RUNNING]
    _, submitted, _ = tongues(environment, "submit", "quickstart", "--upload")
    run = submitted["run_id"]
    # A shell that runs this suite in the background has its children ignore SIGINT.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    watching = subprocess.Popen(
        [COMMAND, "watch", run, "--every-s", "0.1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        preexec_fn=heed,  # noqa: PLW1509 (nothing else runs here)
    )
    assert watching.stderr is not None and "prepare: SUCCEEDED" in watching.stderr.readline()
    watching.send_signal(signal.SIGINT)
    out, said = watching.communicate(timeout=60)
    assert watching.returncode == 130 and json.loads(out)["watching"] is False
    assert "the run goes on" in said and api.runs[run]["state"] == "RUNNING"
    assert not api.asked("POST", ":terminate")


def test_the_official_client_takes_the_stand_in_for_the_real_server(tmp_path, monkeypatch):
    """So that what these tests talk to has the API's shape, not the one we would like."""
    monkeypatch.setenv("HOME", str(tmp_path))
    script = """
import sys, warnings; warnings.simplefilter("ignore")
import kfp
host, compiled, user = sys.argv[1:]
client = kfp.Client(host=host, namespace="team-a", existing_token="token-of-ada")
assert client.get_kfp_healthz().multi_user is True
uploaded = client.upload_pipeline(compiled, pipeline_name="theirs", namespace="team-a")
version = client.upload_pipeline_version(compiled, "v2", pipeline_id=uploaded.pipeline_id)
experiment = client.create_experiment("e", namespace="team-a")
run = client.run_pipeline(
    experiment.experiment_id, "theirs", pipeline_id=uploaded.pipeline_id,
    version_id=version.pipeline_version_id, params={"recipe": "r", "workspace": "s3://b/w"},
)
for _ in range(2):
    seen = client.get_run(run.run_id)
assert seen.state == "RUNNING" and len(seen.run_details.task_details) > 5, seen
assert client.list_runs(namespace="team-a").runs[0].run_id == run.run_id
client.terminate_run(run.run_id)
assert [client.get_run(run.run_id).state for _ in range(2)] == ["CANCELING", "CANCELED"]
try:
    client.get_run("none")
except Exception as error:
    assert error.status == 404, error
print("fine")
"""
    compiled = Path(__file__).resolve().parents[2] / "pipelines" / "compiled" / "multilingual_tuning.yaml"
    with KfpApi(multi_user=True, scenes=[("PENDING", ()), RUNNING]) as api:
        asked = [sys.executable, "-c", script, api.url, str(compiled), "ada"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=120)
    assert done.stdout.endswith("fine\n"), done.stdout[-2000:] + done.stderr[-2000:]
