"""What stands on a Kubeflow Pipelines server after we asked: once, in the right namespace, whatever broke."""

import threading

import pytest
from kfp_api import KfpApi, Scene, pod_of

from tongues.core.errors import PipelineServerError
from tongues.platform.kfp_connection import NotFoundError, RefusedError, ServerAwayError

PIPELINE = b"pipelineInfo: {name: p}\nroot: {inputDefinitions: {parameters: {recipe: {}, workspace: {}}}}\n"
ASKED = {"recipe": "r", "workspace": "s3://b/w"}
ADA = {"user": "ada@example.org", "namespace": "team-a"}


def started(server, name="quick-1"):
    version = server.version("p", "p-1", PIPELINE)
    return server.start(version, name, ASKED, experiment_id=server.experiment("tongues"))


@pytest.mark.parametrize(("multi_user", "who"), [(False, {}), (True, ADA)])
def test_a_version_is_uploaded_once_for_a_content(multi_user, who, reach):
    with KfpApi(multi_user=multi_user) as api:
        server = reach(api, **who)
        first, second = (server.version("p", "p-1", PIPELINE) for _ in range(2))
        third = server.version("p", "p-2", PIPELINE + b"# changed\n")
    assert (first.uploaded, second.uploaded, third.uploaded) == (True, False, True)
    assert first.version_id == second.version_id != third.version_id
    assert len(api.pipelines) == 1 and len(api.versions) == 2
    assert {p.get("namespace", "") for p in api.pipelines.values()} == {who.get("namespace", "")}


@pytest.mark.parametrize(("multi_user", "who"), [(False, {}), (True, ADA)])
def test_an_experiment_is_made_once(multi_user, who, reach):
    with KfpApi(multi_user=multi_user) as api:
        server = reach(api, **who)
        assert server.find_experiment("100% + more") == ""
        assert server.experiment("100% + more") == server.experiment("100% + more")
        assert server.experiment("other") != server.experiment("100% + more")
    assert len(api.experiments) == 2


@pytest.mark.parametrize("part", ["/pipelines", "/upload_version", "/experiments"])
def test_what_was_made_before_the_answer_got_lost_is_found_not_made_twice(part, reach):
    def lose(number, method, path):
        return "lost" if method == "POST" and path.endswith(part) else ""

    with KfpApi(choose=lose) as api:
        assert started(reach(api)).run_id in api.runs
    assert (len(api.pipelines), len(api.versions), len(api.experiments)) == (1, 1, 1)


def test_a_run_whose_answer_got_lost_is_found_by_its_name(reach):
    def lose(number, method, path):
        return "lost" if method == "POST" and path.endswith("/runs") else ""

    with KfpApi(choose=lose) as api:
        assert [started(reach(api)).run_id] == list(api.runs)


def test_a_run_that_was_surely_not_started_is_an_error(reach):
    with KfpApi(
        choose=lambda n, method, path: "500" if (method, path[-5:]) == ("POST", "/runs") else ""
    ) as api:
        with pytest.raises(ServerAwayError, match="Too many connections"):
            started(reach(api))
        assert api.asked("POST", "/runs") == 1, "what may have been done is not done again"


def test_two_that_make_the_same_thing_at_a_time_get_the_same_one(reach):
    with KfpApi() as api:
        gate, found = threading.Barrier(2), []

        def submit():
            server = reach(api)
            gate.wait()
            found.append((server.version("p", "p-1", PIPELINE).version_id, server.experiment("tongues")))

        both = [threading.Thread(target=submit) for _ in range(2)]
        for one in both:
            one.start()
        for one in both:
            one.join()
    assert len(found) == 2 and found[0] == found[1]


def test_a_multi_user_server_wants_a_namespace_before_anything_is_made(reach):
    with KfpApi(multi_user=True) as api, pytest.raises(PipelineServerError, match="no namespace is named"):
        reach(api, user="ada@example.org")
    assert not api.asked("POST", "/")


def test_a_namespace_of_others_is_refused(reach):
    with KfpApi(multi_user=True) as api, pytest.raises(RefusedError) as caught:
        reach(api, user="ada@example.org", namespace="team-b").version("p", "p-1", PIPELINE)
    assert "not authorized" in caught.value.what and "-n team-b" in caught.value.fix


def test_a_single_user_server_is_not_asked_by_namespace(reach):
    with KfpApi() as api:
        server = reach(api, namespace="ml")
        assert list(server.runs()) == []
        assert server.kubectl("r", "pod-1") == "kubectl logs -n ml pod-1 -c main"
        assert not any("namespace" in path for _, path, _ in api.requests)


def test_parameters_that_the_pipeline_lacks_are_refused_by_the_server(reach):
    with KfpApi() as api:
        server = reach(api)
        version = server.version("p", "p-1", PIPELINE)
        with pytest.raises(RefusedError, match="not required by pipeline"):
            server.start(version, "x", {"recip": "r"}, experiment_id=server.experiment("tongues"))


def test_runs_come_newest_first_over_all_pages(reach):
    with KfpApi(page_rows=2) as api:
        server = reach(api)
        names = [f"quick-{n}" for n in range(5)]
        for name in names:
            started(server, name)
        assert [run.name for run in server.runs()] == names[::-1]
        assert [run.name for run in server.runs(name="-3")] == ["quick-3"]


def test_a_name_cannot_lead_to_another_address(reach):
    with KfpApi() as api:
        with pytest.raises(NotFoundError):
            reach(api).run("../healthz?x=")
        assert api.requests[-1][1] == "/apis/v2beta1/runs/..%2Fhealthz%3Fx%3D"


def test_a_run_is_found_by_identifier_and_by_whole_name(reach):
    with KfpApi() as api:
        server = reach(api)
        run = started(server, "quick-1")
        started(server, "quick-11")
        assert server.find(run.run_id).name == server.find("quick-1").name == "quick-1"
        for absent in ("quick", "../../healthz", "3f0d2f5e-0000-4000-8000-000000000000"):
            with pytest.raises(NotFoundError, match="no run"):
                server.find(absent)


@pytest.mark.parametrize("api_logs", [True, False])
def test_a_log_comes_from_the_api_or_else_from_the_pages_server(api_logs, reach):
    scenes = [("RUNNING", [Scene("finetune", "RUNNING")])]
    with KfpApi(scenes=scenes, api_logs=api_logs) as api:
        server = reach(api)
        run = server.run(started(server).run_id)
        pod = run.steps[0].pods[0]
        assert pod == pod_of("quick-1-x7k2p", "executor0")
        api.logs[pod] = "zeile 1\nשורה 2\n"
        assert list(server.log(run.run_id, pod)) == ["zeile 1", "שורה 2"]
        with pytest.raises(PipelineServerError, match="Could not get main container logs"):
            list(server.log(run.run_id, "gone"))
