"""A place for programs that nobody has read: one process, no network, nothing of this machine to see.

The protection is the kernel's: namespaces of its own for network, processes, mounts, IPC and host name,
entered with util-linux; a root that holds the system's programs and this Python, read-only, and an empty
folder in memory; another user without capabilities where this one is root; limits on time, memory, files
and processes. Inside a chroot without capabilities no further user namespace can be made. There is no
weaker way: where the kernel or the container's rules do not allow namespaces, nothing is run.

What it does not protect against is an error of the kernel itself; a cluster that fears that runs the
evaluation under a runtime with a kernel of its own (gVisor, Kata).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from tongues.core.errors import EvaluationError

_SETUP = """
set -eu
root=$1 drop=$2 limits=$3; shift 3
mount --make-rprivate /
mount -t tmpfs -o size=1m,mode=755,nosuid none "$root"
show() {
    if [ -L "$1" ]; then cp -P "$1" "$root$1"
    elif [ -d "$1" ]; then
        mkdir -p "$root$1"; mount --bind "$1" "$root$1"; mount -o remount,bind,ro,nosuid "$root$1"
    fi
}
while [ "$1" != -- ]; do show "$1"; shift; done
shift
mkdir "$root/tmp"
mount -t tmpfs -o size=16m,nr_inodes=256,mode=1777,nosuid,nodev none "$root/tmp"
mount -o remount,bind,ro,nosuid "$root"
cd "$root/tmp"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/tmp PYTHONHASHSEED=0 \
    chroot "$root" setpriv $drop \
    --no-new-privs --bounding-set=-all --inh-caps=-all --pdeathsig KILL \
    sh -c 'cd /tmp; limits=$1; shift; exec prlimit $limits "$@"' sh "$limits" "$@"
"""
"""Run as process 1 of the new namespaces; arguments: root, how to become somebody else, limits, folders."""
_NAMESPACES = ("--net", "--pid", "--mount", "--ipc", "--uts", "--fork", "--kill-child")
_NOBODY = "--reuid=65534 --regid=65534 --clear-groups"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAMS = ("unshare", "mount", "chroot", "setpriv", "prlimit")
_PROBE = (
    "import os, socket\n"
    "assert [name for _, name in socket.if_nameindex()] in ([], ['lo']), 'a network'\n"
    "assert os.getpid() <= 2, 'other processes'\n"
    "assert sorted(os.listdir('/tmp')) == [], 'files'\n"
    "assert not os.path.exists('/etc/passwd') and not os.path.exists('/proc/self'), 'this machine'\n"
    "try: os.fork()\n"
    "except OSError: print('closed')\n"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use.

    Args:
        cpu_s: seconds of processor time.
        wall_s: seconds by the clock, after which it is killed.
        memory_mib: address space; beyond it allocations fail.
        file_mib: size of any file; all files together fit 16 MiB of memory.
    """

    cpu_s: int = 5
    wall_s: float = 30.0
    memory_mib: int = 512
    file_mib: int = 4

    def arguments(self) -> str:
        """The same for prlimit; one process, so that nothing forks or starts a thread."""
        memory, file = self.memory_mib << 20, self.file_mib << 20
        return f"--cpu={self.cpu_s} --as={memory} --fsize={file} --nproc=1 --nofile=32 --core=0"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A way into the namespaces that works on this machine; see `open_sandbox`.

    Args:
        prefix: the command that enters them.
        drop: options of setpriv by which the program becomes somebody else.
        protection: for reports.
    """

    prefix: tuple[str, ...]
    drop: str
    protection: str

    @contextmanager
    def started(
        self, program: Sequence[str], limits: Limits, *, stdin: IO[bytes] | None, stdout: IO[bytes] | None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A Python program inside; killed, with whatever it left, at the end of the block.

        Args:
            program: arguments for Python, such as ``("-c", "print(1)")``.
            limits: what it may use; the clock is the caller's to watch.
            stdin: a file, or None for nothing to read.
            stdout: a file, or None for nowhere.
        """
        with tempfile.TemporaryDirectory(prefix="tongues-sandbox-") as root:
            process = subprocess.Popen(
                [*self.prefix, "sh", "-c", _SETUP, "sh", root, self.drop, limits.arguments(), *_shown(), "--",
                 *_python(), *program],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.DEVNULL if stdout is None else stdout,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={"PATH": _PATH},
            )  # fmt: skip
            try:
                yield process
            finally:
                process.kill()  # --kill-child takes process 1 along, and that one everything inside
                process.wait()

    def run(self, program: Sequence[str], limits: Limits) -> tuple[int | None, str]:
        """Run a Python program inside to its end.

        Returns:
            Its exit status, None where the clock ran out, and what it printed, up to 64 KiB.
        """
        with tempfile.TemporaryFile() as printed:
            with self.started(program, limits, stdin=None, stdout=printed) as process:
                try:
                    status: int | None = process.wait(limits.wall_s)
                except subprocess.TimeoutExpired:
                    status = None
            printed.seek(0)
            return status, printed.read(65_536).decode("utf-8", "replace")


@cache
def open_sandbox() -> Sandbox:
    """The sandbox of this machine, tried out: no network, no other processes, no files, no fork.

    Raises:
        EvaluationError: this machine cannot give that guarantee; nothing may be run then.
    """
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    tried = [] if missing else [sandbox for sandbox in _ways() if _closed(sandbox)]
    if not tried:
        why = f"{', '.join(missing)} missing" if missing else "namespaces are not allowed here"
        raise EvaluationError(
            f"generated code cannot be run without network and apart from this machine ({why})",
            where="sandbox",
            fix="run on Linux with util-linux, in a container whose seccomp rules allow unshare and mount "
            "(user namespaces, or CAP_SYS_ADMIN), or leave evaluation.generated_code.run false",
        )
    return tried[0]


def _ways() -> Iterator[Sandbox]:
    """Root makes the namespaces itself and becomes nobody; others need a user namespace."""
    if os.geteuid() == 0:
        yield Sandbox(("unshare", *_NAMESPACES), _NOBODY, "namespaces as root, then user nobody")
    else:
        prefix = ("unshare", "--user", "--map-root-user", *_NAMESPACES)
        yield Sandbox(prefix, "", "user namespace without capabilities")


def _closed(sandbox: Sandbox) -> bool:
    return sandbox.run(("-c", _PROBE), Limits()) == (0, "closed\n")


def _python() -> list[str]:
    """This interpreter without its packages: isolated, without site, and without writing bytecode."""
    return [str(Path(getattr(sys, "_base_executable", sys.executable)).resolve()), "-I", "-S", "-B"]


def _shown() -> list[str]:
    """Folders of the system and of this Python."""
    folders = ["/usr", "/bin", "/lib", "/lib64"]
    own = str(Path(sys.base_prefix).resolve())
    return folders if own.startswith("/usr") else [*folders, own]
