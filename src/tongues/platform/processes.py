"""Child servers: free ports, start with a log, watch, and stop with all their children."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_POLL_S = 0.1


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could bind the port now."""
    with socket.socket() as probe:
        # As servers do, so that a port whose last connections are winding down counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def start_group(command: Sequence[str], *, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command as leader of its own process group, with everything it prints in a log.

    Args:
        command: program and arguments.
        env: the whole environment of the child.
        log: created or emptied; the folder too.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        return subprocess.Popen(
            list(command),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def command_of(pid: int) -> str:
    """The command line of a live process; empty where there is none, or only its corpse."""
    import psutil

    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())
    except psutil.Error:
        return ""


def stop_group(pid: int, *, grace_s: float = 15.0) -> None:
    """End a process group: ask, wait for all of it to be gone, then insist.

    Args:
        pid: the group's leader.
        grace_s: seconds between asking and insisting.
    """
    for sent, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError):
            os.killpg(pid, sent)
        if _gone_within(pid, wait_s):
            break
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # bury the leader if it was our child


def _gone_within(group: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while _group_lives(group):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _group_lives(group: int) -> bool:
    """Whether the group has a process that is more than a corpse nobody has buried yet."""
    import psutil

    members = (p for p in psutil.process_iter(["status"]) if _group_of(p.pid) == group)
    return any(p.info["status"] != psutil.STATUS_ZOMBIE for p in members)


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return -1
