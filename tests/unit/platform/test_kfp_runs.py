"""Steps out of the nodes of an Argo workflow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kfp_api import NO_TIME, ZERO_TIME, Scene, nodes, pod_of

from tongues.platform.kfp_runs import parse_run, parse_steps

FLOW = "quick-x7k2p"
TWO = [Scene("a", minute=3), Scene("b", tries=["FAILED", "SUCCEEDED"], minute=5)]
FIELDS = ["state", "display_name", "pod_name", "start_time", "end_time", "child_tasks", "state_history"]


def steps(*scenes, pods=True):
    return {step.name: step for step in parse_steps(nodes(FLOW, scenes, pods=pods))}


def test_only_the_steps_a_reader_knows_are_left():
    found = steps(Scene("prepare"), Scene("for-loop-1"), Scene("iteration-item-0"), Scene("gather"))
    assert list(found) == ["gather", "prepare"]


@pytest.mark.parametrize("pods", [True, False])
def test_the_workflow_itself_is_no_step_whether_or_not_nodes_name_their_pods(pods):
    assert list(steps(Scene("prepare"), pods=pods)) == ["prepare"]


def test_steps_are_in_order_of_beginning():
    assert list(steps(Scene("z", minute=1), Scene("a", minute=2), Scene("m", minute=0))) == ["m", "z", "a"]


def test_turns_of_a_loop_are_one_step_and_the_worst_of_them_counts():
    scenes = [Scene("translate", state) for state in ("SUCCEEDED", "RUNNING", "FAILED", "SUCCEEDED")]
    step = steps(*scenes)["translate"]
    assert (step.state, step.tasks, step.done, step.finished) == ("FAILED", 4, 2, None)
    assert steps(*scenes[:2])["translate"].state == "RUNNING"


def test_a_retry_is_counted_and_the_pods_are_those_of_the_tries():
    step = steps(Scene("finetune", "RUNNING", tries=["FAILED", "FAILED", "RUNNING"]))["finetune"]
    assert step.retries == 2
    assert step.pods == tuple(pod_of(FLOW, f"try0.{n}") for n in range(3))


def test_a_step_without_retries_has_one_pod_and_a_cached_one_none():
    assert steps(Scene("prepare"))["prepare"].pods == (pod_of(FLOW, "executor0"),)
    listed = nodes(FLOW, [Scene("prepare")])
    cached = [node | {"state": "SKIPPED"} if node["display_name"] == "executor" else node for node in listed]
    (step,) = parse_steps(cached)
    assert (step.state, step.done, step.pods) == ("SUCCEEDED", 1, ())


def test_servers_that_do_not_tell_pods_leave_none():
    step = steps(Scene("finetune", "RUNNING", tries=["RUNNING"]), pods=False)["finetune"]
    assert (step.pods, step.retries) == ((), 0)


def test_a_step_whose_driver_failed_is_a_failed_step():
    listed = [node for node in nodes(FLOW, [Scene("finetune")]) if node["display_name"] == "finetune-driver"]
    (step,) = parse_steps([listed[0] | {"state": "FAILED"}])
    assert (step.name, step.state) == ("finetune", "FAILED") and "driver failed" in step.message


def test_a_root_that_failed_is_told_although_no_step_has_begun():
    listed = [
        node | ({"state": "FAILED"} if node["display_name"] == "root-driver" else {})
        for node in nodes(FLOW, [])
    ]
    assert [(step.name, step.state) for step in parse_steps(listed)] == [("root", "FAILED")]


def test_times_that_are_not_known_yet_are_no_times():
    answer = {"run_id": "r", "state": "RUNNING", "created_at": ZERO_TIME, "finished_at": NO_TIME}
    run = parse_run(answer | {"run_details": {"task_details": nodes(FLOW, [Scene("a", "RUNNING")])}})
    assert (run.created, run.finished, run.steps[0].finished) == (None, None, None)
    assert run.steps[0].started is not None and run.steps[0].started.year == 2026


def test_the_first_step_to_fail_is_the_failed_one_and_brings_its_message():
    scenes = [
        Scene("b", "FAILED", minute=9, message="late"),
        Scene("c", "FAILED", minute=2, message="exit code 3\nx"),
    ]
    answer = {"run_id": "r", "state": "FAILED", "run_details": {"task_details": nodes(FLOW, scenes)}}
    failed = parse_run(answer).failed_step
    assert failed is not None and (failed.name, failed.message) == ("c", "exit code 3")


@given(st.permutations(nodes(FLOW, TWO)))
def test_the_order_of_the_nodes_does_not_matter(listed):
    known = parse_steps(nodes(FLOW, TWO))
    found = parse_steps(listed)
    assert [(s.name, s.state, s.retries, sorted(s.pods)) for s in found] == [
        (s.name, s.state, s.retries, sorted(s.pods)) for s in known
    ]


@given(st.dictionaries(st.sampled_from(FIELDS), st.none()))
def test_missing_values_of_any_kind_break_nothing(holes):
    listed = [node | holes for node in nodes(FLOW, [Scene("a", "RUNNING", tries=["RUNNING"])])]
    run = parse_run({"run_id": "r", "run_details": {"task_details": listed}, "error": None, "state": None})
    assert run.state == "PENDING" and not run.ended
