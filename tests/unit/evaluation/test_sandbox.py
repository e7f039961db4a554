"""Programs that try to get out, or to pass without being right: none does, whoever starts them.

Everything is tried twice where the tests run as root: by root, and by a child that has become nobody.
"""

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tongues.core.errors import EvaluationError
from tongues.core.ports import Identified
from tongues.evaluation import sandbox as sandbox_module
from tongues.evaluation.chains import PLAIN
from tongues.evaluation.items import CodeItem
from tongues.evaluation.programs import ProgramTests, passes, program_in
from tongues.evaluation.sandbox import Limits, open_sandbox
from tongues.evaluation.score import measure
from tongues.evaluation.suite import Suite
from tongues.evaluation.tasks import Asking, ask_code

pytestmark = pytest.mark.slow
LIMITS = Limits(cpu_s=1, wall_s=10.0, memory_mib=256)
TESTS = ProgramTests(
    "add", "def check(candidate):\n    assert candidate(2, 3) == 5\n    assert candidate(-1, 1) == 0\n"
)
RIGHT = "def add(a, b):\n    return a + b\n"


SOURCES = Path(sandbox_module.__file__).parents[2]
NOBODY = 65534
BECOME_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--bounding-set=-all")
CHILD = """
import json, os, sys
from tongues.core.errors import EvaluationError
from tongues.evaluation.programs import ProgramTests, passes
from tongues.evaluation.sandbox import Limits, open_sandbox
try: place = open_sandbox()
except EvaluationError as error: sys.exit(print(json.dumps(str(error)), flush=True))
print(json.dumps([os.getuid(), place.protection]), flush=True)
for line in sys.stdin:
    what, arguments, limits = json.loads(line)
    if what == "run": found = place.run(arguments, Limits(**limits))
    else: found = passes(arguments[0], ProgramTests(*arguments[1:]), place, Limits(**limits))
    print(json.dumps(found), flush=True)
"""


class AsIAm:
    """The sandbox of whoever runs the tests."""

    def __init__(self) -> None:
        self.place, self.owner = open_sandbox(), os.geteuid()

    def run(self, program: Sequence[str], limits: Limits) -> tuple[int | None, str]:
        return self.place.run(program, limits)

    def passes(self, program: str, tests: ProgramTests, limits: Limits) -> str:
        return passes(program, tests, self.place, limits)

    def close(self) -> None:
        pass


class AsNobody:
    """The same in a child that is nobody: without root, and without any capability to begin with.

    It runs the system's own Python, since the one of the tests may lie where nobody may look.
    """

    owner = NOBODY

    def __init__(self) -> None:
        python = shutil.which("python3", path="/usr/bin:/bin") or "python3"
        self.child = subprocess.Popen(
            [*BECOME_NOBODY, python, "-B", "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(SOURCES), "JUDGE_KEY": "hidden"},
            cwd="/",
            text=True,
        )
        self.said = self._read()

    def run(self, program: Sequence[str], limits: Limits) -> tuple[int | None, str]:
        status, printed = self._ask("run", program, limits)
        return status, printed

    def passes(self, program: str, tests: ProgramTests, limits: Limits) -> str:
        return str(self._ask("passes", [program, *dataclasses.astuple(tests)], limits))

    def _ask(self, what: str, arguments: Sequence[str], limits: Limits) -> Any:
        assert self.child.stdin
        self.child.stdin.write(json.dumps([what, arguments, dataclasses.asdict(limits)]) + "\n")
        self.child.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self.child.stdout
        line = self.child.stdout.readline()
        return json.loads(line) if line else f"ended with {self.child.wait()}"

    def close(self) -> None:
        self.child.communicate()


Place = AsIAm | AsNobody


@pytest.fixture(scope="module", params=["as I am", "as nobody"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "as I am":
        try:
            yield AsIAm()
        except EvaluationError as error:
            pytest.skip(str(error))
        return
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else; the tests run as an ordinary user already")
    somebody = AsNobody()
    if somebody.said != [NOBODY, "user namespace without capabilities"]:
        somebody.close()
        pytest.skip(f"nobody has no sandbox here: {somebody.said}")
    yield somebody
    somebody.close()


def said(place: Place, program: str) -> tuple[int | None, str]:
    return place.run(("-c", program), LIMITS)


def test_right_program_passes_and_empty_one_fails(place: Place) -> None:
    assert place.passes(RIGHT, TESTS, LIMITS) == "passed"
    assert place.passes("def add(a, b):\n    pass\n", TESTS, LIMITS) == "failed"
    assert place.passes("", TESTS, LIMITS) == "failed"


PRETENDERS = {
    "exits with 0 at once": "import sys\nsys.exit(0)",
    "exits with 0 without a farewell": "import os\nos._exit(0)",
    "exits with 0 when called": "import os\ndef add(a, b):\n    os._exit(0)",
    "equals everything": (
        "class Same:\n    def __eq__(self, other): return True\ndef add(a, b): return Same()"
    ),
    "a number that equals everything": (
        "class Same(int):\n    def __eq__(self, other): return True\ndef add(a, b): return Same(1)"
    ),
    "patches assert's error": (
        "import builtins\nbuiltins.AssertionError = type(None)\ndef add(a, b): return 1"
    ),
    "patches compile and exec": (
        "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None\ndef add(a, b): return 1"
    ),
    "defines its own check": "def check(candidate): pass\ndef add(a, b): return 1",
    "an answer that is code": (
        "class Text(str):\n    def __repr__(self): return \"__import__('os')._exit(0)\"\n"
        "def add(a, b): return Text('x')"
    ),
    "writes answers before it is asked": "import os\nos.write(3, b'5\\n' * 1000)\ndef add(a, b): return 9",
    "writes on every descriptor": (
        "import os\nfor fd in range(32):\n    try: os.write(fd, b'passed\\n5\\n')\n    except OSError: pass\n"
        "def add(a, b): return 9"
    ),
    "reads what is expected from its parent": (
        "import gc\ndef add(a, b):\n    return [o for o in gc.get_objects() if 'assert' in str(o)][0]"
    ),
    "raises at the end of everything": "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit(0)",
    "is no text that Python knows": "def add(a, b):\n    return a + \ud800",
    "holds a zero": "def add(a, b):\n    return '\0'",
    "never ends": "while True: pass",
    "never ends when called": "def add(a, b):\n    while True: pass",
    "sleeps through its processor time": "import time\ndef add(a, b): time.sleep(3600)",
    "ignores signals": (
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass"
    ),
    "raises its limits": (
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (-1, -1))\ndef add(a, b): return a + b"
    ),
    "answers without end": "import os\ndef add(a, b):\n    while True: os.write(3, b'x' * 65536)",
    "recurses": "def add(a, b): return add(a, b)",
    "a deep answer": "def add(a, b):\n    x = []\n    for _ in range(100000): x = [x]\n    return x",
}


@pytest.mark.parametrize("program", PRETENDERS.values(), ids=PRETENDERS.keys())
def test_program_that_only_pretends_does_not_pass(place: Place, program: str) -> None:
    limits = Limits(cpu_s=1, wall_s=3.0, memory_mib=256)
    assert place.passes(program, TESTS, limits) in {"failed", "time"}


ESCAPES = {
    "opens a socket to the machine": (
        "import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=2)"
    ),
    "opens a socket to the world": "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=2)",
    "speaks over a socket of the machine": "import socket\nsocket.socket(socket.AF_UNIX).connect({unix!r})",
    "an abstract socket": "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0' + {abstract!r})",
    "reads passwords": "print(open('/etc/shadow').read())",
    "reads a file of the machine": "print(open({secret!r}).read())",
    "reads its parent's environment": "print(open('/proc/1/environ').read())",
    "writes outside": "open({secret!r}, 'w').write('x')",
    "writes into the system": "open('/usr/lib/x', 'w').write('x')",
    "writes into the root": "open('/x', 'w').write('x')",
    "forks": "import os\nos.fork()",
    "starts a program": "import subprocess\nsubprocess.run(['/bin/sh', '-c', 'true'])",
    "starts a thread": "import threading\nthreading.Thread(target=print).start()",
    "kills its parent": "import os\nos.kill({parent}, 9)",
    "kills everybody": "import os\nos.kill(-1, 15)\nraise SystemExit(1)",
    "fills memory": "x = bytearray(1 << 30)",
    "fills memory by and by": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "fills the disk": "open('/tmp/x', 'wb').write(b'0' * (64 << 20))",
    "fills the disk with files": (
        "for n in range(100):\n    with open(f'/tmp/{{n}}', 'wb') as f: f.write(b'0' * (3 << 20))"
    ),
    "fills the disk with names": "for n in range(100000): open(f'/tmp/{{n}}', 'w').close()",
    "becomes root and acts as such": "import os\nos.setuid(0)\nos.chown('/tmp', 1, 1)",
    "becomes somebody else": "import os\nos.setuid(1000)",
    "leaves its root": "import os\nos.chroot('/tmp')",
    "makes a user namespace": ("import ctypes, sys\nsys.exit(ctypes.CDLL(None).unshare(0x10000000) != 0)"),
    "mounts": "import ctypes, sys\nsys.exit(ctypes.CDLL(None).mount(b'n', b'/tmp', b'tmpfs', 0, None) != 0)",
    "traces a process": "import ctypes, sys\nsys.exit(ctypes.CDLL(None).ptrace(16, {parent}, 0, 0) != 0)",
    "makes a device": "import os, stat\nos.mknod('/tmp/d', stat.S_IFBLK | 0o600, os.makedev(8, 0))",
    "imports what is installed": "import pydantic",
}


@pytest.fixture
def own(place: Place) -> Iterator[Path]:
    """A folder that whoever starts the program could read and write."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, place.owner, -1)
        yield Path(name)


@pytest.mark.parametrize("program", ESCAPES.values(), ids=ESCAPES.keys())
def test_program_cannot_reach_outside(place: Place, program: str, own: Path) -> None:
    secret = own / "secret"
    secret.write_text("hidden")
    abstract = f"tongues-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as named,
    ):
        unix.bind("\0" + abstract)
        unix.listen()
        named.bind(str(own / "s"))
        named.listen()
        for path in (secret, own / "s"):
            os.chown(path, place.owner, -1)
        port = server.getsockname()[1]
        names = {"port": port, "unix": str(own / "s"), "abstract": abstract, "secret": str(secret)}
        status, printed = said(place, program.format(**names, parent=os.getpid()))
    assert status not in {0, None}
    assert "hidden" not in printed
    assert "root:" not in printed
    assert secret.read_text() == "hidden"


def test_program_sees_no_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "hidden")
    status, printed = said(place, "import os\nprint(sorted(os.environ), os.getuid() != 0)")
    assert status == 0
    assert "JUDGE_KEY" not in printed
    if place.owner == 0:
        assert "True" in printed


def test_next_program_finds_nothing_of_the_last(place: Place) -> None:
    said(place, "open('/tmp/left', 'w').write('x')")
    assert said(place, "import os\nprint(os.listdir('/tmp'))") == (0, "[]\n")


def test_nothing_lives_on_after_the_clock(place: Place) -> None:
    before = set(_processes())
    status, _ = place.run(("-c", "import time\ntime.sleep(3600)"), Limits(wall_s=0.5))
    assert status is None
    deadline = time.monotonic() + 10
    while left := {p for p in set(_processes()) - before if b"time.sleep(3600)" in _command(p)}:
        assert time.monotonic() < deadline, left
        os.sched_yield()


def _processes() -> list[int]:
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_plain_values_cross_as_they_are(place: Place) -> None:
    values = "[None, True, 1.5, float('inf'), -2, 'é\\n', b'x', (1,), (), {1: [2]}, {3}, set(), {}]"
    tests = ProgramTests(
        "same", f"def check(f):\n    for v in {values}: assert f(v) == v and type(f(v)) is type(v), v\n"
    )
    assert place.passes("def same(v):\n    return v\n", tests, LIMITS) == "passed"


def test_helpers_of_the_set_serve_its_tests(place: Place) -> None:
    tests = ProgramTests(
        "add", "def check(f):\n    assert f(1, 1) == twice(1)\n", helpers="def twice(x): return 2 * x\n"
    )
    assert place.passes(RIGHT, tests, LIMITS) == "passed"
    broken = ProgramTests("add", TESTS.tests, helpers="desde typing importar List")
    assert place.passes(RIGHT, broken, LIMITS) == "passed"


def test_without_namespaces_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "_NAMESPACES", ("--mount", "--fork", "--kill-child"))
    with pytest.raises(EvaluationError, match="without network"):
        open_sandbox.__wrapped__()


def test_where_programs_are_missing_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "_PROGRAMS", ("unshare", "no-such-program"))
    with pytest.raises(EvaluationError, match="no-such-program missing"):
        open_sandbox.__wrapped__()


PROMPT = 'from typing import List\n\n\ndef add(a: int, b: int) -> int:\n    """Suma."""\n'


@pytest.mark.parametrize(
    "answer",
    [
        "Sure!\n```python\ndef add(a, b):\n    return a + b\n```\nThis adds.",
        "```python\nprint('first')\n```\n```\ndef add(a: List, b):\n    return a + b\n```",
        "def add(a, b):\n    return a + b",
        "    return a + b",
        "return a + b",
        "```python\n    return a + b\n```",
        "```python\ndef add(a, b):\n    return a + b",
    ],
)
def test_program_is_found_in_an_answer(place: Place, answer: str) -> None:
    program = program_in(answer, PROMPT, "add")
    assert program is not None
    assert place.passes(program, TESTS, LIMITS) == "passed"


def test_answer_without_text_has_no_program() -> None:
    assert program_in(" \n", PROMPT, "add") is None


class Writes:
    """A runner that answers each task with the next of its programs."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers

    def generate(self, prompts: Sequence[str], **_: object) -> list[str]:
        assert all("```python\ndef add" in prompt for prompt in prompts)
        return list(self.answers)


def test_pass_at_1_counts_programs_that_pass_and_the_sets_own(place: Place) -> None:
    items = tuple(
        CodeItem(str(n), "es", "def add(a, b):\n", "add", TESTS.tests, own)
        for n, own in enumerate(("    return a + b\n", "    return a - b\n", ""))
    )
    suite = Suite("s", "en", ("es",), code={"es": items})
    runner = Writes("```python\ndef add(a, b):\n    return a + b\n```", "while True: pass", "")
    asking = Asking(lambda: runner, suite, identify, 9, 9, PLAIN, lambda _: None, 99, LIMITS)  # type: ignore[arg-type,return-value]
    samples = ask_code(asking, ["es"])
    assert [s.ended for s in samples] == ["passed", "failed", "no-code"]
    found, _ = measure({("code", "es"): samples})
    assert found["code/es/pass_at_1"].value == pytest.approx(1 / 3)
    assert (found["code/es/reference_pass_rate"].value, found["code/es/reference_pass_rate"].n) == (0.5, 2)
    assert found["code/es/no_program_rate"].value == pytest.approx(1 / 3)


def identify(text: str, candidates: Sequence[str]) -> Identified:
    return Identified(candidates[0], 1.0)
