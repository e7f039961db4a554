"""Who may talk to whom, worked out from the rendered policies as a network plug-in would."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from chart_objects import TRAINER_LABELS, Objects, from_chart, from_value_set


@dataclass(frozen=True)
class Party:
    """One end of a connection: a pod in a namespace, or an address outside."""

    labels: tuple[tuple[str, str], ...] = ()
    namespace: str = "tongues"
    address: str = ""


def release(component: str) -> Party:
    names = {"name": "tongues", "instance": "tongues", "component": component}
    return Party(tuple((f"app.kubernetes.io/{key}", value) for key, value in names.items()))


MLFLOW, SERVED, TEST = release("mlflow"), release("serving"), release("test")
STEP = Party((("pipelines.kubeflow.org/v2_component", "true"),))
STEP_ELSEWHERE = Party(STEP.labels, "other")
TRAINER = Party((("jobset.sigs.k8s.io/jobset-name", "ft"),))
STRANGER = Party((("app", "shell"),))
GATEWAY = Party((("app", "envoy"),), "envoy-gateway-system")
PROMETHEUS = Party((("app", "prometheus"),), "monitoring")
DNS = Party((("k8s-app", "kube-dns"),), "kube-system")
INTERNET, METADATA, DATABASE = (
    Party(address="203.0.113.9"),
    Party(address="169.254.169.254"),
    Party(address="10.20.1.2"),
)


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    return all(entry["key"] in labels for entry in selector.get("matchExpressions", []))


def is_peer(peer: dict[str, Any], party: Party) -> bool:
    if party.address or "ipBlock" in peer:
        if not party.address or "ipBlock" not in peer:
            return False
        block, address = peer["ipBlock"], ip_address(party.address)
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(hole) for hole in block.get("except", [])
        )
    if "namespaceSelector" in peer:
        if not matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": party.namespace}):
            return False
    elif party.namespace != "tongues":
        return False
    return matches(peer.get("podSelector", {}), dict(party.labels))


def lets(objects: Objects, direction: str, owner: Party, other: Party, port: int | str) -> bool:
    """Whether the policies on one party let the other through; a pod no policy selects is open."""
    if owner.address:
        return True
    policies = [
        policy["spec"]
        for policy in objects.of("NetworkPolicy")
        if owner.namespace == "tongues" and matches(policy["spec"]["podSelector"], dict(owner.labels))
    ]
    governed = [policy for policy in policies if direction.capitalize() in policy["policyTypes"]]
    side = {"ingress": "from", "egress": "to"}[direction]
    return not governed or any(
        any(entry["port"] == port for entry in rule.get("ports", [{"port": port}]))
        and any(is_peer(peer, other) for peer in rule[side])
        for policy in governed
        for rule in policy.get(direction, [])
    )


def may_connect(objects: Objects, source: Party, target: Party, port: int | str) -> bool:
    return lets(objects, "egress", source, target, port) and lets(objects, "ingress", target, source, port)


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
def test_default_flows(source: Party, target: Party, port: int | str, allowed: bool) -> None:
    assert may_connect(from_value_set("default"), source, target, port) is allowed


@pytest.mark.parametrize(
    ("target", "port", "allowed"),
    [(INTERNET, 443, True), (DATABASE, 5432, True), (INTERNET, 5432, False), (METADATA, 443, False)],
)
def test_mlflow_on_database_and_object_store_flows(target: Party, port: int, allowed: bool) -> None:
    assert may_connect(from_value_set("full-values.yaml"), MLFLOW, target, port) is allowed


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
        assert matches(deny["spec"]["podSelector"], pod.labels), pod.owner
