"""The stand-in cluster as far as KServe objects go.

Server-side apply keeps who set which field and tells conflicts; objects are checked on request as strictly
as the CustomResourceDefinitions say; the controller is a list of statuses, one for each
look, of which the last one stays. A canary has a status of its own, and the HTTPRoute of a service shares its
requests out as KServe does from 0.20.1 on.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from kubernetes_http import KubernetesHttp, Refusal, Request

Status = Callable[[int], dict[str, Any]]
"""From the generation that the object has to the status its controller has written."""


def ready(generation: int) -> dict[str, Any]:
    """The status of an InferenceService that serves this generation."""
    return {
        "observedGeneration": generation,
        "url": "http://quickstart-team-a.example.com",
        "address": {"url": "http://quickstart-predictor.team-a.svc.cluster.local"},
        "conditions": [{"type": "PredictorReady", "status": "True"}, {"type": "Ready", "status": "True"}],
        "modelStatus": {"transitionStatus": "UpToDate", "states": {"activeModelState": "Loaded"}},
    }


def stale(generation: int) -> dict[str, Any]:
    """The status just after a change: it still praises the generation before."""
    return ready(generation - 1)


def loading(generation: int) -> dict[str, Any]:
    """The status while the new pods start and the old ones serve."""
    waiting = {"type": "PredictorReady", "status": "Unknown", "reason": "MinimumReplicasUnavailable"}
    conditions = [waiting, {"type": "Ready", "status": "Unknown"}]
    return ready(generation) | {"conditions": conditions, "modelStatus": {"transitionStatus": "InProgress"}}


def failed(transition: str, **info: Any) -> Status:
    """The status of a revision that will not come up."""
    model = {"transitionStatus": transition, "lastFailureInfo": info}
    conditions = [{"type": "PredictorReady", "status": "False"}, {"type": "Ready", "status": "False"}]
    return lambda generation: ready(generation) | {"conditions": conditions, "modelStatus": model}


def canary_ready(entry: dict[str, Any]) -> dict[str, Any]:
    """What the controller says of a canary that can answer."""
    told = {"name": entry["predictor"]["name"], "trafficPercent": entry["trafficPercent"]}
    return told | {"ready": True, "modelStatus": {"transitionStatus": "UpToDate"}}


def canary_loading(entry: dict[str, Any]) -> dict[str, Any]:
    """What it says of one whose pods do not get ready."""
    return canary_ready(entry) | {"ready": False, "modelStatus": {"transitionStatus": "InProgress"}}


def canary_failed(entry: dict[str, Any]) -> dict[str, Any]:
    """What it says of one whose weights do not load."""
    info = {"reason": "ModelLoadFailed", "message": "not a safetensors file", "exitCode": 1}
    model = {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": info}
    return canary_ready(entry) | {"ready": False, "modelStatus": model}


@dataclass
class KServeServer(KubernetesHttp):
    """The server.

    Args:
        statuses: what the controller says, one after the other; the last one stays.
        canary: what it says of a canary, from its entry in the spec.
        shares: "weights" in the HTTPRoute; "none", as KServe 0.20.0; "no route", without Gateway API.
        knows_canary: whether the InferenceService has the field at all.
        shifted: called with the share of the canary whenever an object was applied; 0 without one.
        refuse: HTTP status that every request meets; 0 for none.
        kinds: plural names of the kinds that are installed.
        namespaces: that exist.
        strict: whether objects are held against the CustomResourceDefinitions, which takes seconds to read.
    """

    statuses: Sequence[Status] = (ready,)
    canary: Callable[[dict[str, Any]], dict[str, Any]] = canary_ready
    shares: str = "weights"
    knows_canary: bool = True
    shifted: Callable[[int], None] = lambda percent: None
    refuse: int = 0
    kinds: Sequence[str] = ("inferenceservices", "llminferenceservices", "servingruntimes", "httproutes")
    namespaces: Sequence[str] = ("team-a",)
    strict: bool = False
    token: str = ""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    owners: dict[str, dict[str, str]] = field(default_factory=dict)
    looks: int = 0

    def route(self, request: Request) -> Any:
        """Look at an object, or apply one."""
        self._check(request.path)
        if request.method == "GET":
            return self._look(request.path)
        if request.content_type != "application/apply-patch+yaml" or "fieldManager" not in request.query:
            raise Refusal(415, "only server-side apply is understood here")
        item = yaml.safe_load(request.body)
        wrong = strictly_wrong(item) if self.strict else []
        if not self.knows_canary and "canary" in item["spec"]:
            wrong = ['unknown field "spec.canary"']
        if wrong:
            raise Refusal(400, f"strict decoding error: {'; '.join(wrong)}")
        answer = self._apply(request.path, item, request.query)
        if request.query.get("dryRun") != "All":
            entries = answer[1]["spec"].get("canary", [])
            self.shifted(entries[0]["trafficPercent"] if entries else 0)
        return answer

    def _look(self, address: str) -> dict[str, Any]:
        """An object as it stands; its controller has gone on since the last look."""
        *_, namespace, plural, name = address.split("/")
        if plural == "httproutes":
            return self._shared_out(namespace, name)
        if address not in self.objects:
            raise Refusal(404, f'inferenceservices "{name}" not found', name=name)
        found = self.objects[address]
        status = self.statuses[min(self.looks, len(self.statuses) - 1)](found["metadata"]["generation"])
        self.looks += 1
        canaries = [self.canary(entry) for entry in found["spec"].get("canary", [])]
        return found | {"status": status | ({"canaryStatuses": canaries} if canaries else {})}

    def _shared_out(self, namespace: str, name: str) -> dict[str, Any]:
        """The HTTPRoute of a service; a canary that is not ready gets nothing."""
        address = f"/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
        if self.shares == "no route" or address not in self.objects:
            raise Refusal(404, f'httproutes "{name}" not found', name=name)
        spec = self.objects[address]["spec"]
        canaries = [c for c in spec.get("canary", []) if self.canary(c)["ready"]]
        stable = "-".join(filter(None, (name, spec["predictor"].get("name"), "predictor")))
        backends = [{"kind": "Service", "name": stable, "port": 80}]
        if canaries and self.shares == "weights":
            left = 100 - sum(one["trafficPercent"] for one in canaries)
            backends = [backends[0] | {"weight": left}]
            for one in canaries:
                service = f"{name}-{one['predictor']['name']}-predictor"
                backends.append(
                    {"kind": "Service", "name": service, "port": 80, "weight": one["trafficPercent"]}
                )
        return {
            "kind": "HTTPRoute",
            "metadata": {"name": name},
            "spec": {"rules": [{"backendRefs": backends}]},
        }

    def set_by(self, manager: str, address: str, where: str, value: Any) -> None:
        """Have somebody else set one field, such as "spec.predictor.minReplicas"."""
        *parents, last = where.split(".")
        node = self.objects[address]
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = value
        self.owners[address][where] = manager

    def _apply(self, address: str, item: dict[str, Any], query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        mine, there = query["fieldManager"], self.objects.get(address)
        owners = self.owners.get(address, {})
        wanted, standing = dict(leaves(item)), dict(leaves(there or {}))
        conflicts = {
            where: owners[where]
            for where, value in wanted.items()
            if owners.get(where, mine) != mine and standing.get(where) != value
        }
        if conflicts and query.get("force") != "true":
            told = ", ".join(f'conflict with "{who}": .{where}' for where, who in conflicts.items())
            raise Refusal(409, f"Apply failed with {len(conflicts)} conflict: {told}")
        kept = {w: v for w, v in standing.items() if w not in wanted and owners.get(w, "") not in ("", mine)}
        merged = grown(kept | wanted)
        changed = there is None or merged["spec"] != there["spec"]
        generation = (there["metadata"]["generation"] if there else 0) + int(changed)
        merged["metadata"]["generation"] = generation
        if query.get("dryRun") != "All":
            self.objects[address] = merged
            others = {where: who for where, who in owners.items() if where in kept}
            self.owners[address] = others | dict.fromkeys(wanted, mine)
            self.looks = 0
        return (200 if there else 201), merged

    def _check(self, path: str) -> None:
        _, _, group, _, _, namespace, plural, _ = path.split("/")
        if self.refuse:
            raise Refusal(self.refuse, f'{plural}.{group} is forbidden: User "me" cannot do that')
        if plural not in self.kinds:
            raise Refusal(404, "the server could not find the requested resource")
        if namespace not in self.namespaces:
            raise Refusal(404, f'namespaces "{namespace}" not found', name=namespace, kind="namespaces")


def strictly_wrong(item: dict[str, Any]) -> list[str]:
    """What an API server with strict field validation would refuse."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "deploy"))
    from crd_schemas import problems

    return problems(item)


def leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every field with its path; a list is one field."""
    if isinstance(node, dict) and node:
        for name, child in node.items():
            yield from leaves(child, (*path, name))
    else:
        yield "\x00".join(path).replace("\x00", "."), node


def grown(fields: dict[str, Any]) -> dict[str, Any]:
    """The object that has these fields."""
    root: dict[str, Any] = {}
    for where, value in fields.items():
        node = root
        *parents, last = (
            where.split(".")
            if not where.startswith("metadata.annotations.")
            else (
                "metadata",
                "annotations",
                where.removeprefix("metadata.annotations."),
            )
        )
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = value
    return root
