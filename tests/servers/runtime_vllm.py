"""A server that loads and unloads adapters as vLLM does, within milliseconds and with faults to order.

Three real replicas do not fit a test machine. What it answers stands in
the adapter's folder, else it is the digest of the adapter's weights.
"""

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_file
from tongues.platform.processes import free_port


@dataclass
class RuntimeVllm:
    """One server; what it holds is lost when it stops.

    Args:
        port: TCP port, the same after a restart.
        held: name to folder.
        refuses: names it cannot load.
        wrong: names it answers with something else than their folder says.
        broken: names it answers with 500.
        gate: while clear, completions wait.
    """

    port: int = field(default_factory=free_port)
    held: dict[str, Path] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Its address, without /v1."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, holding nothing."""
        self.held.clear()
        self.gate.set()
        handler = type("Handler", (_Handler,), {"vllm": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Stop it as a crash does."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def load(self, name: str, path: str) -> tuple[int, str]:
        """As /v1/load_lora_adapter answers."""
        if name in self.held:
            return 400, f"The lora adapter '{name}' has already been loaded."
        if name in self.refuses:
            return 500, "out of memory"
        if not Path(path).is_dir():
            return 404, f"No adapter found for '{path}'"
        self.held[name] = Path(path)
        return 200, "Success"

    def unload(self, name: str) -> tuple[int, str]:
        """As /v1/unload_lora_adapter answers."""
        gone = self.held.pop(name, None) is None
        return (404, f"The lora adapter '{name}' cannot be found.") if gone else (200, "Success")

    def complete(self, name: str, body: dict[str, Any]) -> tuple[int, str]:
        """As /v1/chat/completions answers; a word is a token here."""
        self.asked.append(name)
        folder = self.held.get(name)
        self.gate.wait(30)
        if folder is None:
            return 404, f"The model `{name}` does not exist."
        if name in self.broken:
            return 500, "EngineDeadError"
        said = (
            "something else" if name in self.wrong or not _asked_as_taught(folder, body) else _answer(folder)
        )
        return 200, "".join(re.findall(r"\S+\s*", said)[: body.get("max_tokens", 100)])


def _asked_as_taught(folder: Path, body: dict[str, Any]) -> bool:
    """Whether the system message is there that the adapter's folder says it was taught with."""
    taught = folder / "system.txt"
    systems = [one["content"] for one in body.get("messages", []) if one["role"] == "system"]
    return systems == ([taught.read_text()] if taught.is_file() else [])


def _answer(folder: Path) -> str:
    told = folder / "answer.txt"
    return told.read_text() if told.is_file() else digest_file(folder / "adapter_model.safetensors")[:12]


class _Handler(BaseHTTPRequestHandler):
    vllm: RuntimeVllm
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _crashed(self) -> bool:
        """Connections that stand end with their server."""
        self.close_connection = self.close_connection or self.vllm.server is not self.server
        return self.vllm.server is not self.server

    def do_GET(self) -> None:
        if self._crashed():
            return
        names = ["base", *self.vllm.held]
        self._send(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/load_lora_adapter":
            status, said = self.vllm.load(body["lora_name"], body["lora_path"])
        elif self.path == "/v1/unload_lora_adapter":
            status, said = self.vllm.unload(body["lora_name"])
        else:
            status, said = self.vllm.complete(body["model"], body)
        if self._crashed():
            return
        if status != 200:
            self._send(status, {"error": {"message": said, "code": status}})
            return
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        usage = {"prompt_tokens": 1, "completion_tokens": len(said.split())}
        self._send(
            200,
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": body.get("model", ""),
                "choices": [choice],
                "usage": usage,
            },
        )

    def _send(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
