"""The stand-in cluster as far as TrainJobs and their pods go.

It keeps objects in memory. A job that is created goes through the moments it was given, one each time it is
asked for; the last one stays. Answers, conditions, labels and logs look as those of Kubernetes with Trainer
2.3; the name of a TrainJob that is created is held against the rule of its CustomResourceDefinition.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubernetes_http import KubernetesHttp, Refusal, Request

JOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team-a/trainjobs"
PODS = "/api/v1/namespaces/team-a/pods"


@dataclass
class PodMoment:
    """A pod as it stands at one moment.

    Args:
        node: its number.
        phase: Pending, Running, Succeeded or Failed.
        log: all lines so far, each with its second.
        exit_code: of an ended container.
        reason: why it waits or ended.
        attempt: how often JobSet has started it again.
    """

    node: int = 0
    phase: str = "Running"
    log: Sequence[tuple[str, str]] = ()
    exit_code: int | None = None
    reason: str = ""
    attempt: int = 0

    def as_json(self, job: str) -> dict[str, Any]:
        """The pod as the server lists it."""
        state: dict[str, Any] = {"running": {"startedAt": "2026-11-28T06:00:00Z"}}
        if self.phase == "Pending":
            state = {"waiting": {"reason": self.reason or "ContainerCreating"}}
        elif self.exit_code is not None:
            state = {"terminated": {"exitCode": self.exit_code, "reason": self.reason or "Error"}}
        return {
            "metadata": {
                "name": self.name(job),
                "namespace": "team-a",
                "creationTimestamp": f"2026-11-28T06:0{self.attempt}:00Z",
                "labels": {
                    "jobset.sigs.k8s.io/jobset-name": job,
                    "jobset.sigs.k8s.io/replicatedjob-name": "node",
                    "batch.kubernetes.io/job-completion-index": str(self.node),
                },
            },
            "spec": {"containers": [{"name": "node"}]},
            "status": {"phase": self.phase, "containerStatuses": [{"name": "node", "state": state}]},
        }

    def name(self, job: str) -> str:
        """Name of the pod."""
        return f"{job}-node-0-{self.node}-try{self.attempt}"


@dataclass
class Moment:
    """A job as it stands at one moment.

    Args:
        condition: Complete or Failed, once it has ended.
        reason: of the condition.
        message: of the condition.
        suspend: whether Kueue holds it back.
        pods: its pods.
        gone: whether somebody has deleted it.
    """

    condition: str = ""
    reason: str = ""
    message: str = ""
    suspend: bool = False
    pods: Sequence[PodMoment] = ()
    gone: bool = False


@dataclass
class TrainerServer(KubernetesHttp):
    """The server.

    Args:
        moments: of every job that is created.
        ended: called with a job's name at its last moment, as a job's own doing would be.
        known: whether Kubeflow Trainer is installed.
    """

    moments: Sequence[Moment] = (Moment("Complete"),)
    ended: Callable[[dict[str, Any]], None] = lambda job: None
    known: bool = True
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    def moment(self, name: str) -> Moment:
        """The moment that a job is in."""
        return self.moments[min(self.looks.get(name, 0), len(self.moments) - 1)]

    def route(self, request: Request) -> Any:
        """Jobs, pods and logs."""
        if request.path.startswith(JOBS):
            if not self.known:
                raise Refusal(404, "the server could not find the requested resource")
            return self._jobs(request, request.path[len(JOBS) + 1 :])
        if request.path == PODS:
            return {"items": self._job_pods(request.query["labelSelector"].partition("=")[2])}
        name, _, what = request.path[len(PODS) + 1 :].partition("/")
        return self._log(name, request.query) if what == "log" else self._kept(self.pods, name, "pods")

    def _jobs(self, request: Request, name: str) -> Any:
        jobs, looks = self.jobs, self.looks
        if request.method == "POST":
            return self._create(json.loads(request.body), request.query)
        if not name:
            return {
                "kind": "TrainJobList",
                "items": [self._with_status(job) for job in self._labelled(request.query)],
            }
        job = self._kept(jobs, name, "trainjobs")
        if request.method == "DELETE":
            self.deleted.append(name)
            del jobs[name]
            return {"kind": "Status", "status": "Success"}
        looks[name] = looks.get(name, -1) + 1
        moment = self.moment(name)
        if moment.gone:
            del jobs[name]
            raise Refusal(404, f'trainjobs.trainer.kubeflow.org "{name}" not found')
        if moment.condition and looks[name] == len(self.moments) - 1:
            self.ended(job)
        return self._with_status(job)

    def _labelled(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Those that the selector of the request chooses."""
        name, _, value = query.get("labelSelector", "").partition("=")
        return [job for job in self.jobs.values() if job["metadata"].get("labels", {}).get(name) == value]

    def _with_status(self, job: dict[str, Any]) -> dict[str, Any]:
        moment = self.moment(job["metadata"]["name"])
        job["spec"]["suspend"] = moment.suspend
        held = {"type": "Suspended", "status": str(moment.suspend), "reason": "Suspended", "message": ""}
        ended = {
            "type": moment.condition,
            "status": "True",
            "reason": moment.reason,
            "message": moment.message,
        }
        return job | {"status": {"conditions": [held, *([ended] if moment.condition else [])]}}

    def _create(self, job: dict[str, Any], query: Mapping[str, str]) -> Any:
        name = job["metadata"]["name"]
        if query.get("fieldValidation") != "Strict":
            raise Refusal(400, "the test wants strict field validation")
        if not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name):
            raise Refusal(422, "metadata.name must match RFC 1035 DNS label format")
        if name in self.jobs:
            raise Refusal(409, f'trainjobs.trainer.kubeflow.org "{name}" already exists')
        self.jobs[name] = job
        self.looks.pop(name, None)
        self.created.append(job)
        return job

    def _job_pods(self, job: str) -> list[dict[str, Any]]:
        return [pod.as_json(job) for pod in self.moment(job).pods]

    def _log(self, name: str, query: Mapping[str, str]) -> str:
        """As a kubelet answers: from a whole second on, with stamps of nanoseconds where asked for."""
        job = name.partition("-node-")[0]
        pod = next((one for one in self.moment(job).pods if one.name(job) == name), None)
        if pod is None:
            raise Refusal(404, f'pods "{name}" not found')
        if pod.phase == "Pending":
            raise Refusal(400, f'container "node" in pod "{name}" is waiting to start: ContainerCreating')
        since = query.get("sinceTime", "")
        lines = [(at, line) for at, line in pod.log if f"2026-11-28T06:{at}Z" >= since]
        lines = lines[-int(query.get("tailLines", len(lines) or 1)) :]
        stamped = query.get("timestamps") == "true"
        stamps = [f"2026-11-28T06:{at}.{n:09}Z " if stamped else "" for n, (at, _) in enumerate(lines)]
        return "".join(f"{stamp}{line}\n" for stamp, (_, line) in zip(stamps, lines, strict=True))

    def _kept(self, objects: dict[str, dict[str, Any]], name: str, kind: str) -> dict[str, Any]:
        if name not in objects:
            raise Refusal(404, f'{kind} "{name}" not found')
        return objects[name]
