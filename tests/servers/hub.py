"""A real HTTP server with as much of the Hugging Face Hub's API as a commit of a folder needs.

It keeps data sets in memory: path to content. A token that is not `TOKEN` is refused.
"""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TOKEN = "hf_loopback"


class Hub:
    """The server; a context manager, on a free port of the loopback."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.commits = 0

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._json(404, {"error": "not found"})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._json(401, {"error": "Invalid credentials"})
        if self.path == "/api/repos/create":
            return self._create(json.loads(body))
        if self.path == "/api/validate-yaml":
            return self._json(200, {"errors": [], "warnings": []})
        name, verb = self.path.removeprefix("/api/datasets/").rsplit("/", 2)[:2]
        return self._preupload(json.loads(body)) if verb == "preupload" else self._commit(name, body)

    def _create(self, asked: Any) -> None:
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        status = 409 if name in self.hub.files else 200
        if status == 200:
            self.hub.files[name], self.hub.private[name] = {}, asked.get("visibility") == "private"
        self._json(status, {"url": f"{self.hub.url}/datasets/{name}", "name": name, "id": name})

    def _preupload(self, asked: Any) -> None:
        files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked["files"]]
        self._json(200, {"files": files})

    def _commit(self, name: str, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.hub.files[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        self.hub.commits += 1
        url = f"{self.hub.url}/datasets/{name}/commit/{self.hub.commits:040x}"
        self._json(200, {"commitUrl": url, "commitOid": f"{self.hub.commits:040x}"})

    def _json(self, status: int, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
