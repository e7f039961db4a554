"""A TrainJob is asked for once, followed whatever happens, told of when it fails, gone when cancelled."""

import os
import signal

import pytest
from trainer_server import JOBS, Moment, PodMoment, TrainerServer

from tongues.core.errors import KubernetesError, TrainingInterruptedError, TuningError
from tongues.platform.kubernetes_api import ApiAwayError, ApiRefusedError, KubernetesApi
from tongues.platform.train_jobs import QUEUE_LABEL, CancelledError, TrainJobs

NAME = "tongues-finetune-0123456789abcdef0123"
JOB = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": NAME, "namespace": "team-a", "labels": {QUEUE_LABEL: "gpu-queue"}},
    "spec": {"runtimeRef": {"name": "tongues-torch"}},
}
DONE = Moment("Complete")


class Clock:
    """Time that passes only while something waits."""

    def __init__(self, at=None, pace=1):
        self.now, self.at, self.pace = 0.0, at or {}, pace

    def __call__(self):
        return self.now

    def wait(self, seconds):
        before, self.now = self.now, self.now + seconds * self.pace
        for moment, act in self.at.items():
            if before <= moment < self.now:
                act()


@pytest.fixture
def follow(monkeypatch, tmp_path):
    """Run a job on a server; the lines that were said are in `follow.said`."""

    def run(server, *, clock=None, patience_s=900.0, job=JOB):
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path)))
        clock = clock or Clock()
        found = KubernetesApi.here(run.said.append)
        api = KubernetesApi(found._client, run.said.append, patience_s=patience_s, wait=clock.wait)
        TrainJobs(api, "team-a", run.said.append, wait=clock.wait, clock=clock).run(job)

    run.said = []
    return run


def running(*lines, attempt=0):
    return PodMoment(phase="Running", log=lines, attempt=attempt)


def test_job_is_created_once_and_followed_to_its_end(follow):
    with TrainerServer([Moment(), Moment(pods=[running()]), DONE]) as server:
        follow(server)
    assert [job["metadata"]["name"] for job in server.created] == [NAME]
    assert server.deleted == []
    assert any("node 0 running" in line for line in follow.said)


def test_first_nodes_lines_come_once_each_whatever_second_they_are_of(follow):
    lines = [("00:01", "a"), ("00:01", "b"), ("00:01", "b"), ("00:02", "c"), ("00:03", "d")]
    moments = [Moment(pods=[running(*lines[:end]), PodMoment(node=1)]) for end in (1, 2, 3, 3, 5)]
    with TrainerServer([*moments, DONE]) as server:
        follow(server)
    assert [line for line in follow.said if len(line) == 1] == ["a", "b", "b", "c", "d"]


def test_pod_that_was_started_again_is_read_from_its_beginning(follow):
    first, second = running(("00:01", "step 1")), running(("00:09", "step 1, again"), attempt=1)
    with TrainerServer([Moment(pods=[first]), Moment(pods=[second]), DONE]) as server:
        follow(server)
    assert [line for line in follow.said if line.startswith("step")] == ["step 1", "step 1, again"]


def test_job_that_runs_already_is_followed_and_none_is_made(follow):
    with TrainerServer([Moment(), DONE]) as server:
        server.jobs[NAME] = JOB | {"spec": {}}
        follow(server)
    assert server.created == [] and server.deleted == []
    assert any("there already" in line for line in follow.said)


@pytest.mark.parametrize("condition", ["Failed", "Complete"])
def test_job_of_an_earlier_try_that_has_ended_makes_room_for_a_new_one(follow, condition):
    def choose(number, method, path):
        server.moments = [DONE] if method == "DELETE" else server.moments
        return ""

    with TrainerServer([Moment(condition)], choose=choose) as server:
        server.jobs[NAME] = JOB | {"spec": {}}
        follow(server)
    assert server.deleted == [NAME] and len(server.created) == 1


@pytest.mark.parametrize("fault", ["lost", "reset", "500"])
def test_answer_to_the_creation_that_gets_lost_leaves_one_job(follow, fault):
    posts = []

    def choose(number, method, path):
        posts.extend([number] if method == "POST" else [])
        return fault if method == "POST" and len(posts) == 1 else ""

    with TrainerServer([Moment(), DONE], choose=choose) as server:
        follow(server)
    assert len(server.created) == 1 and server.asked("POST", "trainjobs") == 2


def test_job_that_kueue_holds_back_for_a_week_is_waited_for(follow):
    hours = [Moment(suspend=True)] * 168
    clock = Clock(pace=720)
    with TrainerServer([*hours, Moment(pods=[running()]), DONE]) as server:
        follow(server, clock=clock)
    waiting = [line for line in follow.said if "waits in queue gpu-queue" in line]
    assert clock.now > 7 * 24 * 3600
    assert len(waiting) == 168 and waiting[-1].endswith("for 167 h 00 min now")
    assert server.deleted == []


def test_failed_job_is_told_of_with_the_last_lines_of_the_pod_that_failed(follow):
    log = [(f"00:{n:02}", f"line {n}") for n in range(30)] + [("00:31", "error: loss is not finite")]
    pods = [PodMoment(phase="Running", log=[("00:01", "fine")])]
    pods.append(PodMoment(node=1, phase="Failed", exit_code=1, log=log))
    end = Moment("Failed", "JobsFailed", "jobset failed due to reaching max number of restarts", pods=pods)
    with TrainerServer([end]) as server, pytest.raises(TuningError) as caught:
        follow(server)
    assert not isinstance(caught.value, TrainingInterruptedError)
    assert caught.value.where == NAME
    for part in (
        "max number of restarts",
        "node 1 failed (Error, exit code 1)",
        "loss is not finite",
        "line 29",
    ):
        assert part in caught.value.what
    assert "line 5 " not in caught.value.what and "fine" not in caught.value.what
    assert server.deleted == [], "its pods are what somebody will look at"


def test_pod_that_ran_out_of_memory_is_named_so(follow):
    pods = [PodMoment(phase="Failed", exit_code=137, reason="OOMKilled")]
    with TrainerServer([Moment("Failed", pods=pods)]) as server, pytest.raises(TuningError) as caught:
        follow(server)
    assert "node 0 failed (OOMKilled, exit code 137)" in caught.value.what


def test_eviction_that_used_up_the_restarts_asks_to_be_started_again(follow):
    pods = [PodMoment(phase="Failed", exit_code=75, log=[("00:01", "stopped by SIGTERM; step 40 is saved")])]
    with (
        TrainerServer([Moment("Failed", pods=pods)]) as server,
        pytest.raises(TrainingInterruptedError, match="step 40 is saved") as caught,
    ):
        follow(server)
    assert caught.value.exit_code == 75


def test_deadline_names_the_key_to_raise(follow):
    end = Moment("Failed", "DeadlineExceeded", "TrainJob exceeded its deadline")
    with (
        TrainerServer([Moment(pods=[running(("00:01", "step 9"))]), end]) as server,
        pytest.raises(TuningError) as caught,
    ):
        follow(server)
    assert "node_pools.finetune.timeout_s" in caught.value.fix
    assert "step 9" in caught.value.what, "the pods are gone, what they said is not"


def test_job_that_somebody_deleted_is_an_interruption(follow):
    with (
        TrainerServer([Moment(), Moment(gone=True)]) as server,
        pytest.raises(TrainingInterruptedError, match="was deleted"),
    ):
        follow(server)
    assert len(server.created) == 1


def test_sigterm_deletes_the_job_and_the_handler_before_comes_back(follow):
    before = signal.getsignal(signal.SIGTERM)
    clock = Clock({20.0: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    with TrainerServer([Moment(suspend=True)] * 50) as server, pytest.raises(CancelledError) as caught:
        follow(server, clock=clock)
    assert (server.deleted, server.jobs, caught.value.exit_code) == ([NAME], {}, 75)
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_deletes_the_job(follow):
    def interrupt():
        raise KeyboardInterrupt

    with TrainerServer([Moment()] * 50) as server, pytest.raises(KeyboardInterrupt):
        follow(server, clock=Clock({20.0: interrupt}))
    assert server.deleted == [NAME]


@pytest.mark.parametrize("fault", ["500", "503", "429", "reset"])
def test_server_that_is_away_for_minutes_is_waited_for_and_told_of_once(follow, fault):
    clock = Clock()
    with TrainerServer([Moment()] * 6 + [DONE]) as server:
        server.choose = lambda number, method, path: fault if 10 < clock.now < 200 else ""
        follow(server, clock=clock)
    assert 200 < clock.now < 300 and len(server.created) == 1
    assert sum("trying for 15 min 00 s" in line for line in follow.said) == 1


def test_server_that_stays_away_ends_the_step_and_not_the_job(follow):
    with TrainerServer([Moment()] * 50) as server:
        server.choose = lambda number, method, path: "503" if server.created else ""
        with pytest.raises(ApiAwayError, match="503") as caught:
            follow(server, patience_s=60.0)
    assert "what it started goes on" in caught.value.fix
    assert server.deleted == [] and NAME in server.jobs


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_missing_right_is_told_at_once_with_the_account(follow, method):
    with (
        TrainerServer(choose=lambda number, asked, path: "403" if asked == method else "") as server,
        pytest.raises(ApiRefusedError, match="system:serviceaccount:team-a:runner") as caught,
    ):
        follow(server)
    assert "pipeline.train=true" in caught.value.fix
    assert server.asked(method, "trainjobs") == 1


def test_cluster_without_trainer_says_what_to_install(follow):
    with TrainerServer(known=False) as server, pytest.raises(KubernetesError) as caught:
        follow(server)
    assert "trainer.kubeflow.org/v1alpha1 TrainJob" in caught.value.what
    assert "Kubeflow Trainer" in caught.value.fix


def test_refused_object_carries_the_servers_words(follow):
    job = JOB | {"metadata": {"name": "Wrong"}}
    with TrainerServer() as server, pytest.raises(ApiRefusedError, match="RFC 1035"):
        follow(server, job=job)


def test_log_that_cannot_be_read_yet_is_no_fault(follow):
    pods = [running(("00:01", "step 1"))]
    with TrainerServer([Moment(pods=pods)] * 2 + [DONE]) as server:
        logs = []

        def choose(number, method, path):
            logs.extend([number] if path.endswith("/log") else [])
            return "400" if path.endswith("/log") and len(logs) == 1 else ""

        server.choose = choose
        follow(server)
    assert "step 1" in follow.said


def test_only_what_the_chart_grants_is_asked_for(follow):
    pods = [running(("00:01", "step 1"))]
    with TrainerServer([Moment(pods=pods), DONE]) as server:
        follow(server)
    allowed = {("GET", f"{JOBS}/{NAME}"), ("POST", JOBS)}
    others = {(method, path) for method, path in server.requests} - allowed
    assert {(method, path.partition("/pods")[1]) for method, path in others} == {("GET", "/pods")}


def test_no_access_at_all_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(KubernetesError, match="no access to a cluster"):
        KubernetesApi.here(print)


def labelled(name, run):
    metadata = JOB["metadata"] | {"name": name, "labels": {"pipeline/runid": run}}
    return JOB | {"metadata": metadata, "spec": {}}


@pytest.fixture
def jobs(monkeypatch, tmp_path):
    def reach(server):
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path)))
        return TrainJobs(KubernetesApi.here(lambda _: None, patience_s=0.0), "team-a", lambda _: None)

    return reach


def test_jobs_of_a_run_are_deleted_and_those_of_others_are_not(jobs):
    with TrainerServer([Moment()]) as server:
        server.jobs |= {n: labelled(n, r) for n, r in (("a", "run-1"), ("b", "run-2"), ("c", "run-1"))}
        assert jobs(server).delete_of_run("run-1") == ["a", "c"]
        assert jobs(server).delete_of_run("run-1") == []
        assert set(server.jobs) == {"b"}


@pytest.mark.parametrize("condition", ["Complete", "Failed"])
def test_job_of_a_run_that_has_ended_stays_to_be_looked_at(jobs, condition):
    with TrainerServer([Moment(condition)]) as server:
        server.jobs["a"] = labelled("a", "run-1")
        assert jobs(server).delete_of_run("run-1") == []
        assert server.deleted == []


def test_cluster_without_trainer_has_no_jobs_of_a_run(jobs):
    with TrainerServer(known=False) as server:
        assert jobs(server).delete_of_run("run-1") == []


def test_missing_right_to_list_is_told(jobs):
    refuse = TrainerServer(choose=lambda n, method, path: "403")
    with refuse as server, pytest.raises(ApiRefusedError, match="not allowed"):
        jobs(server).delete_of_run("run-1")
