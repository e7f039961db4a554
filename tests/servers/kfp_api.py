"""A real HTTP server with the shape of the Kubeflow Pipelines API v2beta1, standalone or multi-user.

It keeps pipelines, versions, experiments and runs in memory; a run goes through the scenes it was given, one
each time it is asked for. Nodes, zero times and errors look as in recorded answers of API servers: the
nodes are those of the Argo workflow, an unknown time is the year 1970 or 1, an error carries its stack trace.
The official client works against it, which a test makes sure of.
"""

import json
import re
import socket
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote_plus, urlsplit

import yaml

LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Log in to Your Account</title></head><body>dex</body></html>"
ADA, BOB = "ada@example.org", "bob@example.org"
TOKENS = {"token-of-ada": ADA, "token-of-bob": BOB}
MEMBERS = {"team-a": {ADA}, "team-b": {BOB}}
ZERO_TIME, NO_TIME = "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13}
TERMINAL = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")

Choose = Callable[[int, str, str], str]
"""From the number of the request, its method and its path to the name of a fault, or ""."""


@dataclass
class Scene:
    """A step as it stands at one moment: its state, and the state of each try."""

    name: str
    state: str = "SUCCEEDED"
    tries: Sequence[str] = ()
    message: str = ""
    minute: int = 0


def nodes(workflow: str, scenes: Sequence[Scene], *, pods: bool = True) -> list[dict[str, Any]]:
    """The Argo nodes behind steps, in the order of their names, as the server lists them.

    Args:
        workflow: name of the workflow.
        scenes: the steps; one that comes twice is a turn of a loop.
        pods: whether nodes carry their own pod's name, as newer servers tell.
    """
    found = [
        _node(workflow, "root-driver", "SUCCEEDED", 0, pods),
        _node(workflow, "root", "RUNNING", 0, pods),
    ]
    found.append(_node(workflow, workflow, "RUNNING", 0, pods) | _children(workflow, ["root-driver"]))
    for turn, scene in enumerate(scenes):
        found += _step_nodes(workflow, scene, turn, pods)
    return sorted(found, key=lambda node: node["task_id"])


def _step_nodes(workflow: str, scene: Scene, turn: int, pods: bool) -> list[dict[str, Any]]:
    driver = _node(workflow, f"{scene.name}-driver", "SUCCEEDED", scene.minute, pods, f"d{turn}")
    step = _node(workflow, scene.name, scene.state, scene.minute, pods, f"s{turn}")
    step |= _children(workflow, [f"executor{turn}"])
    executor = _node(workflow, "executor", scene.state, scene.minute, pods, f"executor{turn}")
    tries = scene.tries
    executor |= _children(workflow, [f"try{turn}.{n}" for n in range(len(tries))] or ["next-driver"])
    found = [driver, step, executor]
    for number, state in enumerate(tries):
        found.append(_node(workflow, f"executor({number})", state, scene.minute, pods, f"try{turn}.{number}"))
    if scene.message:
        last = found[-1]["state_history"][-1]
        last["error"] = {"code": 13, "message": scene.message}
    return found


def _node(workflow: str, name: str, state: str, minute: int, pods: bool, key: str = "") -> dict[str, Any]:
    """A node; its pod is named after the template and the same number as the node itself."""
    ended = state in ("SUCCEEDED", "FAILED", "SKIPPED")
    node = {
        "run_id": "",
        "task_id": _uuid(f"{workflow} {key or name}"),
        "display_name": name,
        "create_time": "2026-11-22T03:00:00Z",
        "start_time": f"2026-11-22T03:{minute:02d}:00Z",
        "end_time": f"2026-11-22T03:{minute + 1:02d}:30Z" if ended else NO_TIME,
        "state": state,
        "state_history": [{"update_time": f"2026-11-22T03:{minute:02d}:10Z", "state": state}],
    }
    return node | ({"pod_name": pod_of(workflow, key or name)} if pods else {})


def pod_of(workflow: str, key: str) -> str:
    """Name of the pod of a node."""
    if key == workflow:
        return workflow
    template = "-root" if key == "root" else "-system-container-impl"
    return f"{workflow}{template}-{_number(workflow, key)}"


def _children(workflow: str, keys: Sequence[str]) -> dict[str, Any]:
    """Children are named by node, not by pod."""
    return {"child_tasks": [{"pod_name": f"{workflow}-{_number(workflow, key)}"} for key in keys]}


def _number(workflow: str, key: str) -> int:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{workflow} {key}").int % 4_000_000_000


def _uuid(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


@dataclass
class KfpApi:
    """The server; a context manager, on a free port of the loopback.

    Args:
        multi_user: whether callers need an identity and a namespace.
        login: what somebody unknown meets in front of it: "" (the API itself), "page" or "redirect".
        old: whether it is a server of KFP 1.
        choose: which fault a request meets.
        scenes: moments of every run that is started; the last one stays.
        cancelling: how often a run that was ended is still CANCELING.
    """

    multi_user: bool = False
    login: str = ""
    old: bool = False
    choose: Choose = lambda number, method, path: ""
    scenes: Sequence[tuple[str, Sequence[Scene]]] = (("PENDING", ()), ("RUNNING", ()), ("SUCCEEDED", ()))
    cancelling: int = 1
    api_logs: bool = True
    page_rows: int = 100
    port: int = 0
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    recurring: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> Self:
        self.closing = threading.Event()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.stop()

    def start(self) -> None:
        """Listen; again on the same port after `stop`."""
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be away: nobody listens any more."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method: str, part: str) -> int:
        """How many requests of a method had a part in their path."""
        return sum(m == method and part in path for m, path, _ in self.requests)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the test."""


class _Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    api: KfpApi

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.api.lock:
            number = len(self.api.requests)
            self.api.requests.append((method, self.path, headers))
        fault = self.api.choose(number, method, parts.path)
        if fault in ("", "lost"):
            self._serve(method, parts.path, lose=fault == "lost")
        else:
            getattr(self, f"_{fault}")()

    def _serve(self, method: str, path: str, *, lose: bool) -> None:
        """Answer; or do what was asked and then break the connection without a word."""
        if self.api.login and not self._identity():
            return self._page() if self.api.login == "page" else self._redirect()
        try:
            with self.api.lock:
                value = self._route(method, path)
        except _Refusal as refusal:
            return self._refuse(refusal.status, str(refusal))
        if lose:
            return self._broken()
        if isinstance(value, str):
            return self._send(200, "text/plain", value.encode())
        return self._json(200, value)

    # Faults

    def _401(self) -> None:
        self._refuse(401, f"Unauthenticated: token {self.headers.get('authorization')} has expired")

    def _403(self) -> None:
        self._refuse(403, "PermissionDenied: User 'ada@example.org' is not authorized with reason: no role")

    def _404(self) -> None:
        self._refuse(404, "Not Found")

    def _409(self) -> None:
        self._refuse(409, "Already exist error: already exists. Try another name")

    def _500(self) -> None:
        self._refuse(500, "Internal error: Error 1040: Too many connections")

    def _nobody_500(self) -> None:
        self._refuse(500, "Internal error: Unauthenticated: Request header error: there is no user identity")

    def _nobody_409(self) -> None:
        self._refuse(409, "BadRequestError: Request header error: there is no user identity header.")

    def _hang(self) -> None:
        self.api.closing.wait(30)

    def _half(self) -> None:
        self._send(200, "application/json", b'{"run_id": "3f, "sta')

    def _broken(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close()

    def _page(self) -> None:
        self._send(200, "text/html; charset=utf-8", LOGIN_PAGE)

    def _gateway(self) -> None:
        self._send(502, "text/html", b"<html><body>502 Bad Gateway</body></html>")

    def _redirect(self) -> None:
        self._send(302, "text/html", b"", {"Location": "/dex/auth?client_id=kubeflow&state=abc"})

    def _https(self) -> None:
        self._send(308, "text/html", b"", {"Location": f"https://127.0.0.1:{self.api.port}{self.path}"})

    # Who asks

    def _identity(self) -> str:
        if user := self.headers.get("kubeflow-userid"):
            return user
        if "authservice_session=ada" in (self.headers.get("cookie") or ""):
            return ADA
        return TOKENS.get((self.headers.get("authorization") or "").removeprefix("Bearer "), "")

    def _authorise(self, namespace: str, doing: str) -> str:
        """The namespace, after the checks of multi-user mode."""
        if not self.api.multi_user:
            if namespace:
                raise _Refusal(400, f"Invalid input error: In single-user mode, {doing} takes no namespace")
            return ""
        user = self._identity()
        if not user:
            raise _Refusal(401, "Unauthenticated: Request header error: there is no user identity header.")
        if not namespace:
            raise _Refusal(400, f"Invalid input error: In multi-user mode, {doing} must name a namespace")
        if user not in MEMBERS.get(namespace, ()):
            raise _Refusal(
                403, f"PermissionDenied: User '{user}' is not authorized with reason: (namespace {namespace})"
            )
        return namespace

    # What is asked

    def _route(self, method: str, path: str) -> Any:
        if path == "/apis/v1beta1/healthz":
            return {
                "commit_sha": "abc",
                "tag_name": "1.8.5" if self.api.old else "2.17.0",
                "multi_user": False,
            }
        if self.api.old:
            raise _Refusal(404, "Not Found")
        for pattern, asked in _ROUTES:
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return getattr(self, asked)(**found.groupdict())
        raise _Refusal(404, "Not Found")

    def healthz(self) -> Any:
        store = {"commit_sha": "abc", "tag_name": "2.17.0", "pipeline_store": "database"}
        return store | {"multi_user": self.api.multi_user}

    def list_pipelines(self) -> Any:
        self._authorise(self.query.get("namespace", ""), "ListPipelines")
        return {"pipelines": self._kept(self.api.pipelines)}

    def create_pipeline(self) -> Any:
        asked = json.loads(self.body)
        return self._new_pipeline(asked["name"], asked.get("namespace", ""))

    def upload(self) -> Any:
        name = self.query["name"]
        pipeline = self._new_pipeline(name, self.query.get("namespace", ""))
        self._new_version(pipeline["pipeline_id"], name)
        return pipeline

    def named_pipeline(self, name: str) -> Any:
        namespace = self._authorise(self.query.get("namespace", ""), "GetPipelineByName")
        return self._pipeline_named(name, namespace) or self._absent("Pipeline", name)

    def pipeline(self, pipeline: str) -> Any:
        return self.api.pipelines.get(pipeline) or self._absent("Pipeline", pipeline)

    def upload_version(self) -> Any:
        pipeline = self.pipeline(self.query["pipelineid"])
        self._authorise(pipeline.get("namespace", ""), "UploadPipelineVersion")
        return self._new_version(pipeline["pipeline_id"], self.query["name"])

    def list_versions(self, pipeline: str) -> Any:
        mine = {k: v for k, v in self.api.versions.items() if v["pipeline_id"] == pipeline}
        kept = self._kept(mine)
        return {"pipeline_versions": kept, "total_size": len(kept)} if kept else {}

    def list_experiments(self) -> Any:
        namespace = self._authorise(self.query.get("namespace", ""), "ListExperiments")
        mine = {k: v for k, v in self.api.experiments.items() if v.get("namespace", "") == namespace}
        kept = self._kept(mine)
        return {"experiments": kept, "total_size": len(kept)} if kept else {}

    def create_experiment(self) -> Any:
        asked = json.loads(self.body)
        namespace = self._authorise(asked.get("namespace", ""), "CreateExperiment")
        name = asked["display_name"]
        for there in self.api.experiments.values():
            if (there["display_name"], there.get("namespace", "")) == (name, namespace):
                raise _Refusal(409, f"Already exist error: The name {name} already exists.")
        made = {
            "experiment_id": str(uuid.uuid4()),
            "display_name": name,
            "created_at": "2026-11-22T03:00:00Z",
            "namespace": namespace,
            "storage_state": "AVAILABLE",
            "last_run_created_at": ZERO_TIME,
        }
        return self.api.experiments.setdefault(made["experiment_id"], made)

    def list_recurring(self) -> Any:
        kept = self._kept(self.api.recurring)
        return {"recurringRuns": kept, "total_size": len(kept)} if kept else {}

    def create_recurring(self) -> Any:
        asked = json.loads(self.body)
        experiment = self.api.experiments.get(asked["experiment_id"]) or self._absent("Experiment", "")
        self._authorise(experiment["namespace"], "CreateRecurringRun")
        version = asked.get("pipeline_version_reference", {}).get("pipeline_version_id")
        self._check_parameters(asked["runtime_config"]["parameters"], self.api.versions[version])
        if asked.get("max_concurrency") not in map(str, range(1, 11)):
            raise _Refusal(400, "Invalid input error: The max concurrency of the recurring run is 1 to 10.")
        made = asked | {"recurring_run_id": str(uuid.uuid4()), "status": "ENABLED"}
        return self.api.recurring.setdefault(made["recurring_run_id"], made)

    def create_run(self) -> Any:
        asked = json.loads(self.body)
        experiment = self.api.experiments.get(asked["experiment_id"]) or self._absent("Experiment", "")
        self._authorise(experiment["namespace"], "CreateRun")
        version = asked.get("pipeline_version_reference", {}).get("pipeline_version_id")
        self._check_parameters(asked["runtime_config"]["parameters"], self.api.versions[version])
        made = {
            "experiment_id": asked["experiment_id"],
            "run_id": str(uuid.uuid4()),
            "display_name": asked["display_name"],
            "storage_state": "AVAILABLE",
            "pipeline_version_reference": asked["pipeline_version_reference"],
            "runtime_config": asked["runtime_config"],
            "service_account": asked.get("service_account", "pipeline-runner"),
            "created_at": f"2026-11-22T03:00:{len(self.api.runs):02d}Z",
            "scheduled_at": "2026-11-22T03:00:00Z",
            "finished_at": ZERO_TIME,
            "state": "PENDING",
            "state_history": [{"update_time": "2026-11-22T03:00:00Z", "state": "PENDING"}],
        }
        self.api.looks[made["run_id"]] = 0
        return self.api.runs.setdefault(made["run_id"], made)

    def list_runs(self) -> Any:
        if not self.query.get("experiment_id"):
            self._authorise(self.query.get("namespace", ""), "ListRuns")
        found = [run for run in self._kept(self.api.runs) if self._in_sight(run)]
        found.sort(key=lambda run: run["created_at"], reverse="desc" in self.query.get("sort_by", ""))
        begin = int(self.query.get("page_token") or 0)
        end = begin + min(int(self.query.get("page_size") or 10), self.api.page_rows)
        token = {"next_page_token": str(end)} if end < len(found) else {}
        return {"runs": found[begin:end], "total_size": len(found)} | token if found else {}

    def get_run(self, run: str) -> Any:
        there = self._run(run)
        if there["state"] not in TERMINAL:
            self._play(there)
        return there

    def terminate_run(self, run: str) -> Any:
        there = self._run(run)
        if there["state"] in TERMINAL:
            raise _Refusal(400, f"Invalid input error: Failed to terminate a run {run}. Row not found")
        there["state"], self.api.looks[run] = "CANCELING", 0
        return {}

    def log(self, run: str, node: str) -> Any:
        self._run(run)
        if not self.api.api_logs:
            raise _Refusal(404, "Not Found")
        if node not in self.api.logs:
            raise _Refusal(500, f'Internal error: failed to read logs: pods "{node}" not found')
        return self.api.logs[node]

    def pod_log(self) -> Any:
        if self.query["podname"] not in self.api.logs:
            raise _Refusal(500, "Could not get main container logs: Error: no workflow status")
        return self.api.logs[self.query["podname"]]

    def _play(self, run: dict[str, Any]) -> None:
        look = self.api.looks[run["run_id"]]
        self.api.looks[run["run_id"]] += 1
        if run["state"] == "CANCELING":
            run["state"] = "CANCELED" if look >= self.api.cancelling else "CANCELING"
        else:
            run["state"], scenes = self.api.scenes[min(look, len(self.api.scenes) - 1)]
            workflow = run["display_name"][:20].rstrip("-") + "-x7k2p"
            listed = [node | {"run_id": run["run_id"]} for node in nodes(workflow, scenes)] if scenes else []
            run["run_details"] = {"task_details": listed}
        if run["state"] in TERMINAL:
            run["finished_at"] = "2026-11-22T03:40:00Z"

    def _check_parameters(self, given: dict[str, Any], version: dict[str, Any]) -> None:
        """As the server does: one that the pipeline lacks, one left out, one of another type is refused."""
        known = version["pipeline_spec"]["root"].get("inputDefinitions", {}).get("parameters", {})
        if extra := sorted(set(given) - set(known)):
            raise _Refusal(400, f"parameter(s) provided are not required by pipeline: {', '.join(extra)}")
        for name, about in known.items():
            if name not in given and "defaultValue" not in about and not about.get("isOptional"):
                told = "is not optional, yet has neither default value nor user provided value"
                raise _Refusal(400, f"parameter {name} {told}")
            wanted = bool if about.get("parameterType") == "BOOLEAN" else str
            if name in given and not isinstance(given[name], wanted):
                raise _Refusal(400, f"input parameter {name} requires type {wanted.__name__}")

    def _new_pipeline(self, name: str, namespace: str) -> Any:
        self._authorise(namespace, "CreatePipeline")
        if self._pipeline_named(name, namespace):
            raise _Refusal(409, f"Already exist error: The name {name} already exists.")
        made = {
            "pipeline_id": str(uuid.uuid4()),
            "display_name": name,
            "name": name,
            "created_at": "2026-11-22T03:00:00Z",
        } | ({"namespace": namespace} if namespace else {})
        return self.api.pipelines.setdefault(made["pipeline_id"], made)

    def _new_version(self, pipeline: str, name: str) -> Any:
        if any((v["pipeline_id"], v["name"]) == (pipeline, name) for v in self.api.versions.values()):
            raise _Refusal(409, "Failed to create a pipeline version")
        spec = next(iter(yaml.safe_load_all(self._uploaded())))
        made = {
            "pipeline_id": pipeline,
            "pipeline_version_id": str(uuid.uuid4()),
            "display_name": self.query.get("display_name", name),
            "name": name,
            "created_at": "2026-11-22T03:00:00Z",
            "pipeline_spec": spec,
        }
        return self.api.versions.setdefault(made["pipeline_version_id"], made)

    def _uploaded(self) -> bytes:
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + self.body)
        parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
        return bytes(parts["uploadfile"].get_payload(decode=True))

    def _pipeline_named(self, name: str, namespace: str) -> Any:
        there = self.api.pipelines.values()
        return next((p for p in there if (p["name"], p.get("namespace", "")) == (name, namespace)), None)

    def _in_sight(self, run: dict[str, Any]) -> bool:
        experiment = self.query.get("experiment_id")
        namespace = self.api.experiments[run["experiment_id"]]["namespace"]
        return (
            run["experiment_id"] == experiment if experiment else namespace == self.query.get("namespace", "")
        )

    def _run(self, run: str) -> Any:
        there = self.api.runs.get(run) or self._absent("Run", run)
        self._authorise(self.api.experiments[there["experiment_id"]]["namespace"], "GetRun")
        return there

    def _kept(self, things: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """What the filter lets through; the query's JSON is escaped once more by some callers."""
        asked = json.loads(unquote_plus(self.query.get("filter", "")) or '{"predicates": []}')
        return [thing for thing in things.values() if all(_holds(thing, p) for p in asked["predicates"])]

    def _absent(self, kind: str, name: str) -> Any:
        raise _Refusal(404, f"ResourceNotFoundError: {kind} {name} not found.")

    def _refuse(self, status: int, message: str) -> None:
        trace = (
            f"{message}\nFailed to do it\ngithub.com/kubeflow/pipelines/backend/src/common/util.Wrap\n\t/go"
        )
        detail = {"@type": "type.googleapis.com/google.rpc.Status", "message": message}
        self._json(status, {"code": CODES.get(status, 2), "message": trace, "details": [detail]})

    def _json(self, status: int, value: Any) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _holds(thing: dict[str, Any], predicate: dict[str, Any]) -> bool:
    value = predicate.get("string_value", predicate.get("stringValue"))
    there = thing.get(predicate["key"], "")
    return value in there if predicate["operation"] in (9, "IS_SUBSTRING") else value == there


_V2 = "/apis/v2beta1"
_ROUTES = [
    (f"GET {_V2}/healthz", "healthz"),
    (f"GET {_V2}/pipelines", "list_pipelines"),
    (f"POST {_V2}/pipelines", "create_pipeline"),
    (f"POST {_V2}/pipelines/upload", "upload"),
    (f"POST {_V2}/pipelines/upload_version", "upload_version"),
    (f"GET {_V2}/pipelines/names/(?P<name>[^/]+)", "named_pipeline"),
    (f"GET {_V2}/pipelines/(?P<pipeline>[^/]+)", "pipeline"),
    (f"GET {_V2}/pipelines/(?P<pipeline>[^/]+)/versions", "list_versions"),
    (f"GET {_V2}/experiments", "list_experiments"),
    (f"POST {_V2}/experiments", "create_experiment"),
    (f"GET {_V2}/recurringruns", "list_recurring"),
    (f"POST {_V2}/recurringruns", "create_recurring"),
    (f"GET {_V2}/runs", "list_runs"),
    (f"POST {_V2}/runs", "create_run"),
    (f"GET {_V2}/runs/(?P<run>[^/:]+)", "get_run"),
    (f"POST {_V2}/runs/(?P<run>[^/:]+):terminate", "terminate_run"),
    ("GET /apis/v1alpha1/runs/(?P<run>[^/]+)/nodes/(?P<node>[^/]+)/log", "log"),
    ("GET /k8s/pod/logs", "pod_log"),
]


if __name__ == "__main__":
    import sys

    with KfpApi(multi_user="--multi-user" in sys.argv) as api:
        print(api.url, flush=True)
        threading.Event().wait()
