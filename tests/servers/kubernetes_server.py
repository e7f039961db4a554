"""A real HTTP server with the shape of the Kubernetes API, as far as TrainJobs and their pods go.

It keeps objects in memory. A job that is created goes through the moments it was given, one each time it is
asked for; the last one stays. Answers, conditions, labels and logs look as those of Kubernetes with Trainer
2.3; the name of a TrainJob that is created is held against the rule of its CustomResourceDefinition.
"""

import json
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

JOBS = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/team-a/trainjobs"
PODS = "/api/v1/namespaces/team-a/pods"
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "AlreadyExists"}

Choose = Callable[[int, str, str], str]
"""From the number of the request, its method and its path to the name of a fault, or ""."""


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
class KubernetesServer:
    """The server; a context manager, on a free port of the loopback.

    Args:
        moments: of every job that is created.
        choose: which fault a request meets.
        ended: called with a job's name at its last moment, as a job's own doing would be.
        known: whether Kubeflow Trainer is installed.
    """

    moments: Sequence[Moment] = (Moment("Complete"),)
    choose: Choose = lambda number, method, path: ""
    ended: Callable[[dict[str, Any]], None] = lambda job: None
    known: bool = True
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"cluster": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self, folder: Path) -> Path:
        """A file by which clients find the server, in namespace team-a."""
        cluster = {"name": "c", "cluster": {"server": self.url}}
        user = {"name": "u", "user": {"token": "token-of-ada"}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "team-a"}}
        config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "users": [user]}
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config | {"contexts": [context], "current-context": "x"}))
        return path

    def asked(self, method: str, part: str) -> int:
        """How many requests of a method had a part in their path."""
        return sum(m == method and part in path for m, path in self.requests)

    def moment(self, name: str) -> Moment:
        """The moment that a job is in."""
        return self.moments[min(self.looks.get(name, 0), len(self.moments) - 1)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the test."""


class _Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    cluster: KubernetesServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self.cluster.lock:
            number = len(self.cluster.requests)
            self.cluster.requests.append((method, parts.path))
        fault = self.cluster.choose(number, method, parts.path)
        if fault == "reset":
            self._reset()
        elif fault.isdigit():
            self._refuse(int(fault), f"fault {fault}: user system:serviceaccount:team-a:runner")
        else:
            self._serve(method, parts.path, lose=fault == "lost")

    def _serve(self, method: str, path: str, *, lose: bool) -> None:
        """Answer; or do what was asked and then break the connection without a word."""
        try:
            with self.cluster.lock:
                value = self._route(method, path)
        except _Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
            return
        if lose:
            self._reset()
        elif isinstance(value, str):
            self._send(200, "text/plain", value.encode())
        else:
            self._send(200, "application/json", json.dumps(value).encode())

    def _route(self, method: str, path: str) -> Any:
        if self.headers.get("authorization") != "Bearer token-of-ada":
            raise _Refusal(401, "Unauthorized")
        if path.startswith(JOBS):
            if not self.cluster.known:
                raise _Refusal(404, "the server could not find the requested resource")
            return self._jobs(method, path[len(JOBS) + 1 :])
        if path == PODS:
            return {"items": self._job_pods(self.query["labelSelector"].partition("=")[2])}
        name, _, what = path[len(PODS) + 1 :].partition("/")
        return self._log(name) if what == "log" else self._kept(self.cluster.pods, name, "pods")

    def _jobs(self, method: str, name: str) -> Any:
        jobs, looks = self.cluster.jobs, self.cluster.looks
        if method == "POST":
            return self._create(json.loads(self.body))
        if not name:
            return {"kind": "TrainJobList", "items": [self._with_status(job) for job in self._labelled(jobs)]}
        job = self._kept(jobs, name, "trainjobs")
        if method == "DELETE":
            self.cluster.deleted.append(name)
            del jobs[name]
            return {"kind": "Status", "status": "Success"}
        looks[name] = looks.get(name, -1) + 1
        moment = self.cluster.moment(name)
        if moment.gone:
            del jobs[name]
            raise _Refusal(404, f'trainjobs.trainer.kubeflow.org "{name}" not found')
        if moment.condition and looks[name] == len(self.cluster.moments) - 1:
            self.cluster.ended(job)
        return self._with_status(job)

    def _labelled(self, jobs: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Those that the selector of the request chooses."""
        name, _, value = self.query.get("labelSelector", "").partition("=")
        return [job for job in jobs.values() if job["metadata"].get("labels", {}).get(name) == value]

    def _with_status(self, job: dict[str, Any]) -> dict[str, Any]:
        moment = self.cluster.moment(job["metadata"]["name"])
        job["spec"]["suspend"] = moment.suspend
        held = {"type": "Suspended", "status": str(moment.suspend), "reason": "Suspended", "message": ""}
        ended = {
            "type": moment.condition,
            "status": "True",
            "reason": moment.reason,
            "message": moment.message,
        }
        return job | {"status": {"conditions": [held, *([ended] if moment.condition else [])]}}

    def _create(self, job: dict[str, Any]) -> Any:
        name = job["metadata"]["name"]
        if self.query.get("fieldValidation") != "Strict":
            raise _Refusal(400, "the test wants strict field validation")
        if not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name):
            raise _Refusal(422, "metadata.name must match RFC 1035 DNS label format")
        if name in self.cluster.jobs:
            raise _Refusal(409, f'trainjobs.trainer.kubeflow.org "{name}" already exists')
        self.cluster.jobs[name] = job
        self.cluster.looks.pop(name, None)
        self.cluster.created.append(job)
        return job

    def _job_pods(self, job: str) -> list[dict[str, Any]]:
        return [pod.as_json(job) for pod in self.cluster.moment(job).pods]

    def _log(self, name: str) -> str:
        """As a kubelet answers: from a whole second on, with stamps of nanoseconds where asked for."""
        job = name.partition("-node-")[0]
        pod = next((one for one in self.cluster.moment(job).pods if one.name(job) == name), None)
        if pod is None:
            raise _Refusal(404, f'pods "{name}" not found')
        if pod.phase == "Pending":
            raise _Refusal(400, f'container "node" in pod "{name}" is waiting to start: ContainerCreating')
        since = self.query.get("sinceTime", "")
        lines = [(at, line) for at, line in pod.log if f"2026-11-28T06:{at}Z" >= since]
        lines = lines[-int(self.query.get("tailLines", len(lines) or 1)) :]
        stamped = self.query.get("timestamps") == "true"
        stamps = [f"2026-11-28T06:{at}.{n:09}Z " if stamped else "" for n, (at, _) in enumerate(lines)]
        return "".join(f"{stamp}{line}\n" for stamp, (_, line) in zip(stamps, lines, strict=True))

    def _kept(self, objects: dict[str, dict[str, Any]], name: str, kind: str) -> dict[str, Any]:
        if name not in objects:
            raise _Refusal(404, f'{kind} "{name}" not found')
        return objects[name]

    def _refuse(self, status: int, message: str) -> None:
        body = {"kind": "Status", "status": "Failure", "message": message, "code": status}
        body["reason"] = REASONS.get(status, "InternalError")
        self._send(status, "application/json", json.dumps(body).encode())

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close()

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
