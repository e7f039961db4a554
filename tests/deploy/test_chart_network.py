"""Who may talk to whom, worked out from the rendered policies as a network plug-in would."""

from typing import Any

import pytest
from chart_objects import ROOT, TRAINER_LABELS, Objects, from_chart, from_value_set, load_script

flows = load_script(ROOT / "manifests" / "flows.py")
PARTIES = flows.PARTIES
MLFLOW, SERVED, TEST = PARTIES["MLflow"], PARTIES["served model"], PARTIES["`helm test`"]
FOLLOWER, UPLOAD, KFP = PARTIES["follower and door"], PARTIES["pipeline upload"], PARTIES["KFP server"]
STEP, STEP_ELSEWHERE = PARTIES["step of a run"], PARTIES["step of another tenant"]
TRAINER, STRANGER, DNS = PARTIES["node of a TrainJob"], PARTIES["other pod here"], PARTIES["cluster's DNS"]
GATEWAY, PROMETHEUS, DATABASE = PARTIES["gateway"], PARTIES["Prometheus"], PARTIES["database"]
RUN_TEST, PUSHGATEWAY = PARTIES["`helm test` of runs"], PARTIES["Pushgateway"]
INTERNET, METADATA = PARTIES["any address"], PARTIES["cloud's metadata service"]


def may_connect(objects: Objects, source: Any, target: Any, port: int | str) -> bool:
    allowed: bool = flows.may_connect(objects.of("NetworkPolicy"), source, target, port)
    return allowed


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        (STEP, MLFLOW, "http", True),
        (TRAINER, MLFLOW, "http", True),
        (TEST, MLFLOW, "http", True),
        (STRANGER, MLFLOW, "http", False),
        (SERVED, MLFLOW, "http", False),
        (GATEWAY, MLFLOW, "http", False),
        (STEP_ELSEWHERE, MLFLOW, "http", False),
        (STEP, SERVED, 8080, True),
        (GATEWAY, SERVED, 8080, True),
        (PROMETHEUS, SERVED, 8080, True),
        (STRANGER, SERVED, 8080, False),
        (MLFLOW, SERVED, 8080, False),
        (SERVED, INTERNET, 443, True),
        (SERVED, INTERNET, 80, False),
        (SERVED, METADATA, 443, False),
        (SERVED, DNS, 53, True),
        (MLFLOW, DNS, 53, True),
        (MLFLOW, INTERNET, 443, False),
        (MLFLOW, DATABASE, 5432, False),
        (TEST, INTERNET, 443, False),
        (TEST, SERVED, 8080, False),
    ],
)
def test_default_flows(source: Any, target: Any, port: int | str, allowed: bool) -> None:
    assert may_connect(from_value_set("default"), source, target, port) is allowed


@pytest.mark.parametrize(
    ("target", "port", "allowed"),
    [(INTERNET, 443, True), (DATABASE, 5432, True), (INTERNET, 5432, False), (METADATA, 443, False)],
)
def test_mlflow_on_database_and_object_store_flows(target: Any, port: int, allowed: bool) -> None:
    assert may_connect(from_value_set("full-values.yaml"), MLFLOW, target, port) is allowed


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        (GATEWAY, FOLLOWER, "http", True),
        (STEP, FOLLOWER, "http", True),
        (GATEWAY, FOLLOWER, "metrics", False),
        (PROMETHEUS, FOLLOWER, "metrics", True),
        (STRANGER, FOLLOWER, "http", False),
        (STEP_ELSEWHERE, FOLLOWER, "http", False),
        (FOLLOWER, MLFLOW, "http", True),
        (FOLLOWER, SERVED, 8080, True),
        (FOLLOWER, DATABASE, 5432, False),
        (FOLLOWER, METADATA, 80, False),
        (UPLOAD, KFP, 8888, True),
        (UPLOAD, MLFLOW, "http", False),
        (UPLOAD, INTERNET, 443, False),
        (TEST, FOLLOWER, "http", True),
        (RUN_TEST, MLFLOW, "http", True),
        (RUN_TEST, INTERNET, 443, True),
        (RUN_TEST, METADATA, 80, False),
        (RUN_TEST, SERVED, 8080, False),
    ],
)
def test_full_flows(source: Any, target: Any, port: int | str, allowed: bool) -> None:
    assert may_connect(from_value_set("full-values.yaml"), source, target, port) is allowed


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    [
        (STEP, SERVED, 8080, True),
        (STEP, FOLLOWER, "http", True),
        (STEP, INTERNET, 443, True),
        (STEP, METADATA, 80, False),
        (STEP, METADATA, 443, False),
        (STEP, flows.Party(MLFLOW.labels, "other"), "http", False),
        (STEP, flows.Party(SERVED.labels, "other"), 8080, False),
        (STEP, flows.Party(FOLLOWER.labels, "other"), "http", False),
        (TRAINER, TRAINER, 29500, True),
        (TRAINER, TRAINER, 41234, True),
        (TRAINER, flows.Party(TRAINER.labels, "other"), 29500, False),
        (flows.Party(TRAINER.labels, "other"), TRAINER, 29500, False),
        (STRANGER, TRAINER, 29500, False),
        (STEP, TRAINER, 29500, False),
        (TRAINER, SERVED, 8080, False),
        (TRAINER, FOLLOWER, "http", False),
        (PROMETHEUS, STEP, 9464, True),
        (PROMETHEUS, TRAINER, 9464, True),
        (PROMETHEUS, STEP, 8080, False),
        (STRANGER, STEP, 9464, False),
        (STEP, PUSHGATEWAY, 9091, False),
        (STEP_ELSEWHERE, SERVED, 8080, False),
    ],
)
def test_tenant_flows_end_at_its_namespace(source: Any, target: Any, port: int | str, allowed: bool) -> None:
    assert may_connect(from_value_set("multi-user-values.yaml"), source, target, port) is allowed


@pytest.mark.parametrize("source", [STEP, TRAINER], ids=["step", "trainer"])
def test_runs_push_their_last_values_where_a_gateway_is_named(source: Any) -> None:
    held = {"networkPolicy": {"runs": {"enabled": True}}}
    named = held | {"pipeline": {"settings": {"pushgatewayUrl": "http://pushgateway.monitoring.svc:9091"}}}
    assert not may_connect(from_chart(held), source, PUSHGATEWAY, 9091)
    assert may_connect(from_chart(named), source, PUSHGATEWAY, 9091)


def test_runs_without_scrapers_let_nobody_in_but_trainers_each_other() -> None:
    objects = from_chart({"networkPolicy": {"runs": {"enabled": True}, "metrics": {"from": []}}})
    assert not may_connect(objects, PROMETHEUS, STEP, 9464)
    assert may_connect(objects, TRAINER, TRAINER, 29500)


def test_table_of_flows_is_that_of_the_render() -> None:
    assert flows.PAGE.read_text() == flows.page()


def test_serving_without_peers_answers_nobody() -> None:
    objects = from_chart({"networkPolicy": {"serving": {"from": []}, "metrics": {"from": []}}})
    assert not any(may_connect(objects, source, SERVED, 8080) for source in (STEP, GATEWAY, STRANGER))


def test_policies_switched_off_none_rendered() -> None:
    assert not from_chart({"networkPolicy": {"enabled": False}}).of("NetworkPolicy")


def test_policies_no_rule_is_open_to_everybody(objects: Objects) -> None:
    for policy in objects.of("NetworkPolicy"):
        own = {"podSelector": policy["spec"]["podSelector"]}
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, []):
                # Only among themselves may pods use any port: the nodes of a TrainJob.
                assert rule[side] == [own] or (rule[side] and rule["ports"]), policy["metadata"]["name"]


def test_policies_deny_covers_every_pod_of_the_release(objects: Objects) -> None:
    deny = next(
        item for item in objects.of("NetworkPolicy") if item["metadata"]["name"].endswith("default-deny")
    )
    assert "ingress" not in deny["spec"] and "egress" not in deny["spec"]
    for pod in objects.pods():
        if pod.labels is TRAINER_LABELS:
            continue  # Trainer makes them; networkPolicy.runs covers them.
        assert flows.matches(deny["spec"]["podSelector"], pod.labels), pod.owner
