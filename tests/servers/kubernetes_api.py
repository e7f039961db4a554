"""A real HTTP server with the shape of the Kubernetes API, as far as a look at a cluster asks it.

It knows objects by path, groups of APIs, rights of who asks, and may be old, or another program.
"""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import yaml

APIS = ("argoproj.io/v1alpha1", "serving.kserve.io/v1beta1", "kueue.x-k8s.io/v1beta2", "keda.sh/v1alpha1")
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass
class KubernetesApi:
    """The server; a context manager, on a free port of the loopback.

    Args:
        version: as /version tells it.
        apis: group and version of each API served.
        objects: path to object, or to the items of a list.
        forbidden: paths that who asks may not read.
        denied: rights they do not have, as "verb resource".
        token: what a caller must show; anybody may ask when empty.
        page: answer everything with a web page.
    """

    version: str = "v1.34.1"
    apis: tuple[str, ...] = APIS
    objects: dict[str, Any] = field(default_factory=dict)
    forbidden: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    token: str = ""
    page: bool = False
    requests: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, token: str = "") -> str:
        """The text of a file that makes this the current context."""
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "ada"}}],
                "clusters": [{"name": "here", "cluster": {"server": self.url}}],
                "users": [{"name": "ada", "user": {"token": token} if token else {}}],
            }
        )


class _Handler(BaseHTTPRequestHandler):
    api: KubernetesApi

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        self.api.requests.append((method, path))
        if self.api.page:
            return self._send(200, b"<html>a router</html>", "text/html")
        if self.api.token and self.headers.get("authorization") != f"Bearer {self.api.token}":
            return self._status(401, "Unauthorized")
        if method == "POST" and path == _REVIEW:
            return self._review(json.loads(body))
        if path in self.api.forbidden:
            return self._status(403, f'User "ada" cannot get resource "{path.rsplit("/", 1)[1]}"')
        return self._read(path)

    def _read(self, path: str) -> None:
        if path == "/version":
            return self._json({"major": "1", "gitVersion": self.api.version})
        if path == "/apis":
            groups = [{"name": a.split("/")[0], "versions": [{"groupVersion": a}]} for a in self.api.apis]
            return self._json({"kind": "APIGroupList", "groups": groups})
        if path not in self.api.objects:
            return self._status(404, f"{path} not found")
        found = self.api.objects[path]
        return self._json({"kind": "List", "items": found} if isinstance(found, list) else found)

    def _review(self, asked: dict[str, Any]) -> None:
        about = asked["spec"]["resourceAttributes"]
        sub = f"/{about['subresource']}" if about.get("subresource") else ""
        allowed = f"{about['verb']} {about['resource']}{sub}" not in self.api.denied
        self._json(asked | {"status": {"allowed": allowed}}, 201)

    def _status(self, code: int, message: str) -> None:
        self._json({"kind": "Status", "status": "Failure", "message": message, "code": code}, code)

    def _json(self, value: Any, code: int = 200) -> None:
        self._send(code, json.dumps(value).encode(), "application/json")

    def _send(self, code: int, content: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
