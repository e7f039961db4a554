"""A real HTTP server with the manners of a Kubernetes API: tokens, `Status` objects, faults on request.

What it knows is its subclasses' business: TrainJobs and their pods, KServe objects, or whatever a look at a
cluster asks for.
"""

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict"}
TOKEN = "token-of-ada"

Choose = Callable[[int, str, str], str]
"""From the number of the request, its method and its path to the name of a fault, or ""."""


class Refusal(Exception):
    """What the server says no with.

    Args:
        status: of HTTP.
        message: in its words.
        details: such as the name and kind of what is not there.
    """

    def __init__(self, status: int, message: str, **details: str) -> None:
        super().__init__(message)
        self.status, self.details = status, details


@dataclass(frozen=True)
class Request:
    """One request as the server understood it."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: bytes


@dataclass(kw_only=True)
class KubernetesHttp:
    """The server; a context manager, on a free port of the loopback.

    Args:
        choose: which fault a request meets: "reset", "lost" (done, and no answer), or a status.
        token: what a caller must show; anybody may ask when empty.
    """

    choose: Choose = lambda number, method, path: ""
    token: str = TOKEN
    requests: list[tuple[str, str]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"cluster": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def route(self, request: Request) -> Any:
        """The answer: text, or an object; with a status of its own as a pair.

        Raises:
            Refusal: to say no.
        """
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Address of the API."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self, folder: Path, *, token: str = TOKEN) -> Path:
        """A file by which clients find the server, in namespace team-a."""
        cluster = {"name": "c", "cluster": {"server": self.url}}
        user = {"name": "u", "user": {"token": token}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "team-a"}}
        config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "users": [user]}
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config | {"contexts": [context], "current-context": "x"}))
        return path

    def asked(self, method: str, part: str) -> int:
        """How many requests of a method had a part in their path."""
        return sum(m == method and part in path for m, path in self.requests)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the test."""


class _Handler(BaseHTTPRequestHandler):
    cluster: KubernetesHttp

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        request = Request(method, parts.path, query, self.headers.get("content-type") or "", body)
        with self.cluster.lock:
            number = len(self.cluster.requests)
            self.cluster.requests.append((method, parts.path))
            self.cluster.queries.append(query)
        fault = self.cluster.choose(number, method, parts.path)
        if fault == "reset":
            self._reset()
        elif fault.isdigit():
            told = f"fault {fault}: user system:serviceaccount:team-a:runner"
            self._refuse(Refusal(int(fault), told))
        else:
            self._serve(request, lose=fault == "lost")

    def _serve(self, request: Request, *, lose: bool) -> None:
        """Answer; or do what was asked and then break the connection without a word."""
        try:
            if self.cluster.token and self.headers.get("authorization") != f"Bearer {self.cluster.token}":
                raise Refusal(401, "Unauthorized")
            with self.cluster.lock:
                value = self.cluster.route(request)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        status, value = value if isinstance(value, tuple) else (200, value)
        if lose:
            self._reset()
        elif isinstance(value, str):
            self._send(status, "text/plain", value.encode())
        else:
            self._send(status, "application/json", json.dumps(value).encode())

    def _refuse(self, refusal: Refusal) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": str(refusal)}
        status |= {"code": refusal.status, "reason": REASONS.get(refusal.status, "InternalError")}
        body = json.dumps(status | {"details": refusal.details}).encode()
        self._send(refusal.status, "application/json", body)

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
