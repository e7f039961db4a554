"""Submitting, following and ending a run, against a server that speaks HTTP."""

from collections.abc import Callable

import pytest
from kfp_api import KfpApi, Scene, pod_of

from tongues.core.errors import PipelineServerError, PreflightError
from tongues.platform.kfp_access import access_to
from tongues.platform.kfp_connection import (
    KfpConnection,
    NotFoundError,
    RefusedError,
    ServerAwayError,
)
from tongues.platform.kfp_server import KfpServer
from tongues.stages import remote_runs
from tongues.stages.remote_runs import Pace
from tongues.stages.remote_submit import Order, submit

PIPELINE = "pipelineInfo: {name: p}\nroot: {inputDefinitions: {parameters: {recipe: {}, workspace: {}}}}\n"


class Clock:
    """Time that passes only where somebody waits; what happens meanwhile can be arranged."""

    def __init__(self, meanwhile: Callable[[float], None] = lambda now: None) -> None:
        self.now, self.waits, self.meanwhile = 0.0, [], meanwhile

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.meanwhile(self.now)

    def pace(self, **settings) -> Pace:
        return Pace(wait=self.wait, clock=lambda: self.now, **settings)


def reach(api):
    access = access_to(api.url)
    return KfpServer(access, connection=KfpConnection(access, timeout_s=5.0, wait=lambda _: None))


@pytest.fixture
def order(tmp_path):
    def make(pipeline=PIPELINE, **changed):
        (tmp_path / "p.yaml").write_text(pipeline)
        given = {"recipe": "s3://b/r.yaml", "recipe_sha256": "abc", "workspace": "s3://b/w"} | changed
        return Order(**{"pipeline": tmp_path / "p.yaml", "experiment": "e", "run_name": "quick"} | given)

    return make


SWITCHED = """pipelineInfo: {name: p}
root:
  inputDefinitions:
    parameters:
      recipe: {parameterType: STRING}
      workspace: {parameterType: STRING}
      serve: {parameterType: BOOLEAN, defaultValue: false, isOptional: true}
"""


def test_a_switch_of_the_pipeline_is_sent_as_a_truth_value_and_may_be_left_out(order):
    with KfpApi() as api:
        server = reach(api)
        submit(server, order(SWITCHED, further={"serve": "true"}))
        submit(server, order(SWITCHED))
        sent = [run["runtime_config"]["parameters"] for run in api.runs.values()]
    assert sent[0]["serve"] is True and "serve" not in sent[1]


def test_a_switch_that_is_neither_true_nor_false_is_refused_before_anything_is_uploaded(order):
    with KfpApi() as api:
        with pytest.raises(PreflightError, match="'yes' is not true or false"):
            submit(reach(api), order(SWITCHED, further={"serve": "yes"}))
        assert not api.runs and not api.versions


def started(server, order):
    return submit(server, order()).run.run_id


def test_the_same_order_twice_starts_one_run_and_says_what_it_found(order):
    with KfpApi() as api:
        server = reach(api)
        first, second = submit(server, order()), submit(server, order(run_name="another-name"))
        assert first.started and not second.started
        assert second.run.run_id == first.run.run_id and second.earlier == "PENDING"
        assert len(api.runs) == 1 and api.asked("POST", "/runs") == 1
        assert first.url == f"{api.url}/#/runs/details/{first.run.run_id}"


@pytest.mark.parametrize(
    "changed",
    [
        {"recipe_sha256": "abd"},
        {"recipe": "s3://b/other.yaml"},
        {"workspace": "s3://b/v"},
        {"pipeline": PIPELINE + "# 2"},
    ],
)
def test_another_recipe_workspace_or_pipeline_is_another_run(changed, order):
    with KfpApi() as api:
        server = reach(api)
        submit(server, order())
        assert submit(server, order(**changed)).started
        assert len(api.runs) == 2
        assert len(api.versions) == (2 if "pipeline" in changed else 1)


def test_again_starts_another_run_under_a_name_of_its_own(order):
    with KfpApi() as api:
        server = reach(api)
        names = [submit(server, order(), again=True).run.name for _ in range(3)]
        assert names == [names[0], f"{names[0]}-2", f"{names[0]}-3"]


@pytest.mark.parametrize(("state", "starts"), [("SUCCEEDED", False), ("FAILED", True), ("CANCELED", True)])
def test_a_run_that_failed_or_was_cancelled_does_not_stand_in_the_way(state, starts, order):
    with KfpApi() as api:
        server = reach(api)
        api.runs[started(server, order)]["state"] = state
        second = submit(server, order())
        assert (second.started, second.earlier, second.uploaded) == (starts, state, False)


def test_the_run_gets_the_parameters_and_caching_stays_as_the_pipeline_has_it(order):
    with KfpApi() as api:
        submit(reach(api), order(service_account="trainer"))
        (run,), (version,) = api.runs.values(), api.versions.values()
        assert run["runtime_config"] == {"parameters": {"recipe": "s3://b/r.yaml", "workspace": "s3://b/w"}}
        assert run["service_account"] == "trainer"
        assert run["pipeline_version_reference"]["pipeline_version_id"] == version["pipeline_version_id"]
        assert version["name"].startswith("p-") and len(version["name"]) == len("p-") + 12


@pytest.mark.parametrize("text", ["", "- a", "a: [", "name: x"])
def test_a_file_that_is_no_pipeline_is_refused_before_it_is_sent(text, order):
    with KfpApi() as api:
        with pytest.raises(PreflightError, match="not a compiled pipeline"):
            submit(reach(api), order(text))
        assert not api.versions


def test_a_run_is_looked_at_less_often_while_nothing_changes(order):
    scenes = [("PENDING", ())] + [("RUNNING", ())] * 12 + [("SUCCEEDED", ())]
    with KfpApi(scenes=scenes) as api:
        server, clock = reach(api), Clock()
        seen = list(remote_runs.follow(server, started(server, order), clock.pace(), print))
    assert seen[-1].state == "SUCCEEDED"
    assert clock.waits[:4] == [2.0, 2.0, 3.0, 4.5] and max(clock.waits) == 30.0


def test_a_server_that_is_away_for_a_while_is_waited_for(order):
    said = []
    with KfpApi(scenes=[("RUNNING", ())] * 2 + [("SUCCEEDED", ())]) as api:

        def meanwhile(now):
            if now == 2.0:
                api.stop()
            if now > 60 and said and "back" not in said[-1] and not listening:
                listening.append(True)
                api.start()

        listening: list[bool] = []
        server, clock = reach(api), Clock(meanwhile)
        seen = list(remote_runs.follow(server, started(server, order), clock.pace(), said.append))
    assert seen[-1].state == "SUCCEEDED"
    assert len(said) == 2 and "trying on for 15 min" in said[0] and "is back after" in said[1]


def test_a_server_that_stays_away_ends_the_watch_not_the_run(order):
    with KfpApi() as api:
        server, clock = reach(api), Clock()
        run = started(server, order)
        api.choose = lambda *_: "500"
        with pytest.raises(ServerAwayError, match="the run goes on") as caught:
            list(remote_runs.follow(server, run, clock.pace(patience_s=100.0), lambda _: None))
        assert 100 < clock.now < 200 and f"tongues watch {run}" in caught.value.fix


def test_a_token_that_ends_meanwhile_is_said_so(order):
    with KfpApi(scenes=[("RUNNING", ())]) as api:
        server = reach(api)
        run = started(server, order)
        clock = Clock(lambda now: setattr(api, "choose", lambda *_: "401"))
        with pytest.raises(RefusedError, match=r"not logged in.*the run goes on"):
            list(remote_runs.follow(server, run, clock.pace(), print))


def ended(order, scenes, logs=None):
    """The outcome of a run that ends so, with the log of its first step's pod."""
    with KfpApi(scenes=[("FAILED", scenes)]) as api:
        server = reach(api)
        run = server.run(started(server, order))
        if logs is not None:
            api.logs[run.failed_step.pods[-1]] = logs
        return remote_runs.outcome(server, run)


REFUSED = """tongues| error: gate: 2 reasons: es fell by 4.1 points. Fix: train longer
F1122 05:56:23.172347 46 main.go:49] failed to execute component: exit status {status}
time="2026-11-22T05:56:23Z" level=info msg="sub-process exited" argo=true error="<nil>"
Error: exit status 1
"""


@pytest.mark.parametrize(("status", "code"), [(3, 3), (1, 1), (75, 1)])
def test_the_steps_own_exit_status_decides_not_the_launchers(status, code, order):
    found = ended(
        order, [Scene("prepare"), Scene("promote", "FAILED", minute=5)], REFUSED.format(status=status)
    )
    assert found.exit_code == code
    assert found.message == "step promote: gate: 2 reasons: es fell by 4.1 points. Fix: train longer"
    assert found.log.startswith("kubectl logs -n kubeflow quick-")


def test_without_a_log_the_servers_message_is_told(order):
    told = ended(order, [Scene("promote", "FAILED", message="Error (exit code 3): main")])
    assert (told.exit_code, told.message) == (3, "step promote: Error (exit code 3): main")
    silent = ended(order, [Scene("promote", "FAILED")])
    assert silent.exit_code == 1 and "its log is not to be had here" in silent.message


def test_a_run_that_ends_without_any_step_is_a_failure_all_the_same(order):
    found = ended(order, [])
    assert found.exit_code == 1 and found.message and "pipeline/runid=" in found.log


def test_cancelling_waits_for_the_end_and_may_be_repeated(order):
    with KfpApi(scenes=[("RUNNING", ())], cancelling=3) as api:
        server, clock = reach(api), Clock()
        run = server.run(started(server, order))
        first = remote_runs.cancel(server, run, clock.pace())
        second = remote_runs.cancel(server, first, clock.pace())
    assert first.state == second.state == "CANCELED" and first.finished is not None
    assert api.asked("POST", ":terminate") == 1 and len(clock.waits) == 3


def test_cancelling_a_run_that_ends_by_itself_meanwhile_is_no_error(order):
    with KfpApi(scenes=[("RUNNING", ()), ("SUCCEEDED", ())]) as api:
        server = reach(api)
        run = server.run(started(server, order))
        server.run(run.run_id)
        assert remote_runs.cancel(server, run, Clock().pace()).state == "SUCCEEDED"


def test_a_run_that_takes_too_long_to_end_is_handed_back_as_it_is(order):
    with KfpApi(scenes=[("RUNNING", ())], cancelling=10_000) as api:
        server = reach(api)
        run = server.run(started(server, order))
        assert remote_runs.cancel(server, run, Clock().pace(patience_s=20)).state == "CANCELING"


def test_a_run_that_may_not_be_cancelled_is_an_error(order):
    def forbid(number, method, path):
        return "403" if path.endswith(":terminate") else ""

    with KfpApi(scenes=[("RUNNING", ())], choose=forbid) as api:
        server = reach(api)
        with pytest.raises(PipelineServerError, match="not allowed"):
            remote_runs.cancel(server, server.run(started(server, order)), Clock().pace())


def test_logs_name_the_steps_there_are(order):
    with KfpApi(
        scenes=[("RUNNING", [Scene("prepare"), Scene("finetune", tries=["FAILED", "RUNNING"])])]
    ) as api:
        server = reach(api)
        run = server.run(started(server, order))
        read = [(step.name, pod) for step, pod, _ in remote_runs.logs(server, run, "finetune")]
        flow = f"{run.name[:20].rstrip('-')}-x7k2p"
        assert read == [("finetune", pod_of(flow, f"try1.{n}")) for n in range(2)]
        with pytest.raises(NotFoundError, match=r"no step 'tune' has begun.*finetune, prepare"):
            list(remote_runs.logs(server, run, "tune"))


def test_an_experiment_that_is_not_there_is_an_error_not_an_empty_list(order):
    with KfpApi() as api:
        server = reach(api)
        started(server, order)
        assert len(list(remote_runs.experiment_runs(server, "e", ""))) == 1
        with pytest.raises(NotFoundError, match="no experiment 'f'"):
            list(remote_runs.experiment_runs(server, "f", ""))
