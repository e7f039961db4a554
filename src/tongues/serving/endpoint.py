"""A server that runs: where it is, whether it lives, how to find it again and stop it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tongues.core.manifest import write_atomically
from tongues.platform.processes import command_of, stop_group

MODULE = "vllm.entrypoints.openai.api_server"
STATE = "endpoints"
_LOG_LINES = 8


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that runs.

    Args:
        url: OpenAI-compatible address, up to and with /v1.
        name: model name to ask for.
        pid: leader of the server's process group.
        port: TCP port on this machine.
        folder: the weights it serves.
        log: everything the server prints.
        state: file by which other commands find it.
        program: what its command line shows it to be.
    """

    url: str
    name: str
    pid: int
    port: int
    folder: str
    log: str
    state: str
    program: str = MODULE

    @property
    def alive(self) -> bool:
        """Whether that very server still runs, not another process with its number."""
        command = command_of(self.pid)
        return self.program in command and f"--port {self.port} " in f"{command} "

    def log_text(self) -> str:
        """All that the server has printed."""
        return Path(self.log).read_text(encoding="utf-8", errors="replace")

    def last_words(self) -> str:
        """The last lines of the log, on one line."""
        lines = [line.strip() for line in self.log_text().splitlines() if line.strip()]
        return " | ".join(line[:200] for line in lines[-_LOG_LINES:])

    def stop(self) -> None:
        """Stop the server and all its processes, and forget it; nothing happens if it is gone."""
        if self.alive:
            stop_group(self.pid)
        Path(self.state).unlink(missing_ok=True)


def running(workspace: Path) -> list[Endpoint]:
    """Servers started from this workspace that still run; forgets those that do not."""
    found = [_read_state(path) for path in sorted((workspace / STATE).glob("*.json"))]
    endpoints = [endpoint for endpoint in found if endpoint is not None]
    for endpoint in endpoints:
        if not endpoint.alive:
            Path(endpoint.state).unlink(missing_ok=True)
    return [endpoint for endpoint in endpoints if endpoint.alive]


def remember(endpoint: Endpoint) -> None:
    """Write down a server, so that `running` finds it."""
    write_atomically(Path(endpoint.state), json.dumps(asdict(endpoint)).encode())


def _read_state(path: Path) -> Endpoint | None:
    try:
        return Endpoint(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, FileNotFoundError):
        return None
