"""Programs that a model wrote, held against a set's tests (HumanEval, arXiv 2107.03374).

The program and the tests run in two sandboxes that exchange nothing but calls and plain values, written as
Python literals. So a program cannot pass by ending early with status 0, by changing what ``assert`` or
``==`` mean, by answering with an object that equals everything, or by looking at what is expected: all that
it can do is to answer each call with a value.
"""

import os
import re
import subprocess
import textwrap
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Literal

from tongues.evaluation.sandbox import Limits, Sandbox

Ended = Literal["passed", "failed", "time", "too-long", "no-code"]
"""How a program ended: "failed" is a wrong value, an error, or a process that ended or used up its limits."""
_LONGEST = 100_000
_PASSED = 0
_VALUES = """
import ast, os, sys
def said(value, depth=0):
    deeper = depth + 1
    if depth > 50: raise TypeError("too deep")
    if value is None or type(value) in (bool, int, str, bytes, complex): return repr(value)
    if type(value) is float: return repr(value).replace("inf", "1e999")
    if type(value) is list: return "[" + ", ".join(said(v, deeper) for v in value) + "]"
    if type(value) is tuple: return "(" + "".join(said(v, deeper) + "," for v in value) + ")"
    if type(value) is set: return "{" + ", ".join(said(v, deeper) for v in value) + "}" if value else "set()"
    if type(value) is dict:
        return "{" + ", ".join(said(k, deeper) + ": " + said(v, deeper) for k, v in value.items()) + "}"
    raise TypeError("not a plain value")
written, read = os.fdopen(os.dup(1), "w", 1), os.fdopen(os.dup(0), "r")
nothing = os.open("/tmp/.out", os.O_CREAT | os.O_RDWR)
for stream in range(3): os.dup2(nothing, stream)
"""
"""Of both sides: values as literals, and pipes that what is printed does not get into."""
_SOLVER = (
    _VALUES
    + """
program, name = sys.argv[1:]
sys.argv = [""]
space = {"__name__": "solution"}
exec(compile(program, "solution", "exec"), space)
for call in read:
    arguments, options = ast.literal_eval(call)
    print(said(space[name](*arguments, **options)), file=written)
"""
)
_TESTER = (
    _VALUES
    + """
helpers, tests, name = sys.argv[1:]
def candidate(*arguments, **options):
    print(said((arguments, options)), file=written)
    answer = read.readline(1_000_000)
    if not answer.endswith("\\n"): raise RuntimeError("no answer")
    return ast.literal_eval(answer)
space = {"__name__": "tests"}
try: exec(compile(helpers, "helpers", "exec"), space)
except Exception: space = {"__name__": "tests"}
space[name] = candidate
exec(compile(tests, "tests", "exec"), space)
space["check"](candidate)
"""
)


@dataclass(frozen=True, slots=True)
class ProgramTests:
    """What a program is held against.

    Args:
        entry_point: name of the function that is asked for.
        tests: Python that defines ``check(candidate)``.
        helpers: Python whose names the tests may use, besides; passed over where it does not run.
    """

    entry_point: str
    tests: str
    helpers: str = ""


def passes(program: str, tests: ProgramTests, sandbox: Sandbox, limits: Limits) -> Ended:
    """Run a program's function through its tests.

    Args:
        program: Python that defines the function.
        tests: what it is held against.
        sandbox: where both run, each on its own.
        limits: of either.
    """
    if max(len(text.encode("utf-8", "replace")) for text in (program, tests.tests, tests.helpers)) > _LONGEST:
        return "too-long"
    if "\0" in program:
        return "failed"
    with ExitStack() as stack:
        to_solver, from_tester, to_tester, from_solver = map(stack.enter_context, (*_pipe(), *_pipe()))
        solver = ("-c", _SOLVER, _sound(program), tests.entry_point)
        tester = ("-c", _TESTER, tests.helpers, tests.tests, tests.entry_point)
        stack.enter_context(sandbox.started(solver, limits, stdin=to_solver, stdout=from_solver))
        testing = stack.enter_context(sandbox.started(tester, limits, stdin=to_tester, stdout=from_tester))
        for end in (to_solver, from_tester, to_tester, from_solver):
            end.close()  # held by one process alone now, so that its end is seen by the other
        try:
            return "passed" if testing.wait(limits.wall_s) == _PASSED else "failed"
        except subprocess.TimeoutExpired:
            return "time"


def _sound(text: str) -> str:
    """A text that can be an argument of a process: half of a surrogate pair cannot."""
    return text.encode("utf-8", "replace").decode()


def _pipe() -> tuple[BinaryIO, BinaryIO]:
    """Both ends of a pipe; files, because closing one twice does no harm."""
    reading, writing = os.pipe()
    return os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0)


_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)


def program_in(answer: str, prompt: str, entry_point: str) -> str | None:
    """The program in a model's answer.

    Of fenced blocks the first one that defines the function counts, with what the prompt has before the
    function (imports, helpers) if that is Python; else the answer as it is, if it defines the function; else
    the answer as the body that the prompt leaves open.

    Args:
        answer: the model's text.
        prompt: the beginning of a program: imports, helpers, signature and docstring.
        entry_point: name of the function.

    Returns:
        Python, which may still be broken; None where there is nothing that could be a program.
    """
    blocks = _FENCED.findall(answer) or ([answer] if answer.strip() else [])
    defines = re.compile(rf"^[ \t]*def\s+{re.escape(entry_point)}\s*\(", re.MULTILINE)
    for block in map(textwrap.dedent, blocks):
        if defines.search(block):
            return f"{_before(prompt, defines)}\n{block}"
    return f"{prompt.rstrip()}\n{_as_body(blocks[0])}" if blocks else None


def _before(prompt: str, defines: re.Pattern[str]) -> str:
    """What stands in the prompt before its function, if it is Python."""
    found = defines.search(prompt)
    before = prompt[: found.start()] if found else ""
    try:
        compile(before, "prompt", "exec")
    except (SyntaxError, ValueError):
        return ""
    return before


def _as_body(text: str) -> str:
    """A function's body, indented, whatever its own indentation was."""
    lines = text.strip("\n").split("\n")
    whole = all(line.startswith((" ", "\t")) for line in lines if line.strip())
    return "\n".join(lines) if whole else textwrap.indent("\n".join(lines), "    ")
