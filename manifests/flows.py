"""Who may talk to whom, worked out from rendered policies as a network plug-in would.

It writes docs/network.md.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from render import CHART, NAMESPACE, ROOT, render

PAGE = ROOT / "docs" / "network.md"
VALUES = CHART / "ci" / "full-values.yaml"
SIDES = {"ingress": "from", "egress": "to"}
Port = int | str


@dataclass(frozen=True)
class Party:
    """One end of a connection: a pod in a namespace, or an address outside.

    Args:
        labels: of the pod, as pairs.
        namespace: of the pod.
        address: IP address, for what is no pod.
    """

    labels: tuple[tuple[str, str], ...] = ()
    namespace: str = NAMESPACE
    address: str = ""


def of_release(component: str) -> Party:
    """A pod of the release `tongues`."""
    names = {"name": "tongues", "instance": "tongues", "component": component}
    return Party(tuple((f"app.kubernetes.io/{key}", value) for key, value in names.items()))


PARTIES = {
    "MLflow": of_release("mlflow"),
    "served model": of_release("serving"),
    "follower and door": of_release("follower"),
    "pipeline upload": of_release("upload"),
    "`helm test`": of_release("test"),
    "`helm test` of runs": of_release("run-test"),
    "step of a run": Party((("pipelines.kubeflow.org/v2_component", "true"),)),
    "node of a TrainJob": Party((("jobset.sigs.k8s.io/jobset-name", "job"),)),
    "gateway": Party((("app", "envoy"),), "envoy-gateway-system"),
    "Prometheus": Party((("app", "prometheus"),), "monitoring"),
    "Pushgateway": Party((("app", "pushgateway"),), "monitoring"),
    "KFP server": Party((("app", "ml-pipeline"),), "kubeflow"),
    "cluster's DNS": Party((("k8s-app", "kube-dns"),), "kube-system"),
    "other pod here": Party((("app", "shell"),)),
    "step of another tenant": Party((("pipelines.kubeflow.org/v2_component", "true"),), "other"),
    "any address": Party(address="203.0.113.9"),
    "database": Party(address="10.20.1.2"),
    "cloud's metadata service": Party(address="169.254.169.254"),
}
PORTS: dict[str, Sequence[Port]] = {
    "MLflow": ["http"],
    "served model": [8080],
    "follower and door": ["http", "metrics"],
    "step of a run": [9464],
    "node of a TrainJob": [29500, 9464],
    "Pushgateway": [9091],
    "KFP server": [8888],
    "cluster's DNS": [53],
    "any address": [443, 80],
    "database": [5432],
    "cloud's metadata service": [80, 443],
}
"""Ports on which a party listens, by the name or number that policies use."""


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector chooses these labels.

    Raises:
        NotImplementedError: the selector has an operator that no policy of ours uses.
    """
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    expressions = selector.get("matchExpressions", [])
    if unknown := [entry["operator"] for entry in expressions if entry["operator"] != "Exists"]:
        raise NotImplementedError(f"operator {unknown[0]} of a label selector")
    return all(entry["key"] in labels for entry in expressions)


def is_peer(peer: Mapping[str, Any], party: Party) -> bool:
    """Whether a peer of a policy of the release's namespace is this party."""
    if party.address or "ipBlock" in peer:
        return bool(party.address) and "ipBlock" in peer and _in_block(peer["ipBlock"], party.address)
    if "namespaceSelector" in peer:
        if not matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": party.namespace}):
            return False
    elif party.namespace != NAMESPACE:
        return False
    return matches(peer.get("podSelector", {}), dict(party.labels))


def _in_block(block: Mapping[str, Any], address: str) -> bool:
    where = ip_address(address)
    holes = (ip_network(hole) for hole in block.get("except", []))
    return where in ip_network(block["cidr"]) and not any(where in hole for hole in holes)


def lets(
    policies: Sequence[Mapping[str, Any]], direction: str, owner: Party, other: Party, port: Port
) -> bool:
    """Whether the policies on one party let the other through; a pod no policy selects is open."""
    governed = [
        policy["spec"]
        for policy in policies
        if owner.namespace == NAMESPACE
        and not owner.address
        and matches(policy["spec"]["podSelector"], dict(owner.labels))
        and direction.capitalize() in policy["spec"]["policyTypes"]
    ]
    return not governed or any(
        _rule_lets(rule, SIDES[direction], other, port)
        for policy in governed
        for rule in policy.get(direction, [])
    )


def _rule_lets(rule: Mapping[str, Any], side: str, other: Party, port: Port) -> bool:
    on_port = "ports" not in rule or any(entry["port"] == port for entry in rule["ports"])
    return on_port and any(is_peer(peer, other) for peer in rule[side])


def may_connect(policies: Sequence[Mapping[str, Any]], source: Party, target: Party, port: Port) -> bool:
    """Whether one party may open a connection to a port of another."""
    return lets(policies, "egress", source, target, port) and lets(policies, "ingress", target, source, port)


def policies_of(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The network policies of a render."""
    texts = [text for path, text in render(values).items() if not path.endswith(".txt")]
    items = [item for text in texts for item in yaml.safe_load_all(text) if item]
    return [item for item in items if item["kind"] == "NetworkPolicy"]


def rows(policies: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, list[Port]]]]:
    """Source to target to the ports that are open, for every party that is governed or calls."""
    for source, caller in PARTIES.items():
        if caller.address or source == "cluster's DNS":
            continue
        yield (
            source,
            {
                target: [port for port in ports if may_connect(policies, caller, PARTIES[target], port)]
                for target, ports in PORTS.items()
                if target != source or source == "node of a TrainJob"
            },
        )


def page() -> str:
    """The page with the table."""
    values = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    held = values | {"networkPolicy": values["networkPolicy"] | {"runs": {"enabled": True}}}
    head = ["from \\ to", *PORTS]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for source, open_ports in rows(policies_of(held)):
        cells = [", ".join(map(str, open_ports.get(target, []))) or "-" for target in PORTS]
        lines.append(f"| {source} | {' | '.join(cells)} |")
    return TEXT.replace("TABLE", "\n".join(lines))


TEXT = """<!-- Written by manifests/flows.py: change the chart, then run `make manifests`. -->

# Network

Who may talk to whom when every part of the chart is on (`helm/tongues/ci/full-values.yaml`) and runs are
held to their flows (`networkPolicy.runs.enabled`). The table is worked out from the rendered policies, as a
network plug-in would. A cell names the ports that are open, by number or by the name the pod gives them; a
dash means none.

TABLE

Ports by number: 8080 is vLLM's; 9464 has the metrics of steps and of a TrainJob's first node, and 9091 takes
their last values; at 29500 the nodes of a TrainJob meet (they reach each other on every port, since torch
chooses more); 8888 is the API of Kubeflow Pipelines.

The gateway, Prometheus, the KFP server and other pods are not the chart's, so nothing here keeps them from
calling others; what they reach of ours is what our own policies let in. "Any address" stands for the object
store at its default, `networkPolicy.objectStore`, which should be narrowed to where yours is. A pod without a
policy may talk to everybody: the policies hold only where a network plug-in enforces them.
"""


def main() -> int:
    """Write docs/network.md, or with --check say whether it is up to date."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when it is out of date")
    wanted = page()
    if not parser.parse_args().check:
        PAGE.write_text(wanted, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted:
        print(f"{PAGE} is out of date: run python manifests/flows.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
