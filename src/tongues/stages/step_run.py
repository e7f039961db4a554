"""What surrounds a pipeline step: its log, its metrics, its line in the run's journal, its exit code.

A step's error becomes one line on the log and the process's exit code (3 where the gate refused),
and is left for whoever started the run on this machine.
"""

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

from tongues import __version__
from tongues.core.errors import GateRefusedError, ProblemsError, TonguesError, TrainingInterruptedError
from tongues.core.log_lines import MARK, log_line, run_id, trace_id
from tongues.core.meters import METER
from tongues.core.progress import Say
from tongues.platform.metrics_port import shown
from tongues.platform.pipelines import FAILURE_ENV
from tongues.stages.run_journal import Entry, note

P = ParamSpec("P")
R = TypeVar("R")
Outcome = Literal["succeeded", "failed", "refused", "interrupted"]


def say(line: str) -> None:
    """Print a line that the run's owner will see among KFP's own."""
    print(log_line(line, mark=MARK), flush=True)


def step(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a `TonguesError` into a line, a failure file and an exit code; a bug into a failure file."""
    name = function.__name__

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        METER.begin(name, "")
        METER.set("tongues_step_info", 1, run_id=run_id(), trace_id=trace_id(), version=__version__)
        with shown(METER, say), _told(name, args, kwargs):
            return function(*args, **kwargs)

    return run


@contextmanager
def measured(name: str, model: str, told: Say) -> Iterator[None]:
    """Show what a process of a step measures, where that is not the step's own process.

    Args:
        name: stands where the step's name would: what both push would else replace each other.
        model: registered name.
        told: takes a line where the port or the gateway does not work.
    """
    METER.begin(name, model)
    METER.set("tongues_step_info", 1, run_id=run_id(), trace_id=trace_id(), version=__version__)
    with shown(METER, told):
        yield


@contextmanager
def _told(name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> Iterator[None]:
    """Say how the step ended: on the log, as a metric, in the journal of the run."""
    given = dict(enumerate(map(str, args))) | {key: str(value) for key, value in kwargs.items()}
    workspace, job = given.get("workspace", given.get(1, "")), given.get("job", given.get(3, ""))
    started = time.time()

    def end(outcome: Outcome, error: str = "") -> None:
        METER.set("tongues_step_finished_timestamp_seconds", time.time(), outcome=outcome)
        entry = Entry(
            name, job if name == "translate" else "", outcome, round(time.time() - started, 1), error
        )
        if name != "report":  # which has closed the journal
            note(workspace, run_id(), entry, say)

    try:
        yield
    except TonguesError as error:
        say(f"error: {error.line()}")
        _leave(error)
        end(_outcome(error), error.line())
        sys.exit(error.exit_code)
    except Exception as error:
        ours = TonguesError(f"{type(error).__name__}: {error}", where=f"step {name}")
        _leave(ours)
        end("failed", ours.line())
        raise
    end("succeeded")


def _outcome(error: TonguesError) -> Outcome:
    if isinstance(error, GateRefusedError):
        return "refused"
    return "interrupted" if isinstance(error, TrainingInterruptedError) else "failed"


def _leave(error: TonguesError) -> None:
    if path := os.environ.get(FAILURE_ENV):
        problems = list(error.problems) if isinstance(error, ProblemsError) else []
        failure = {"what": error.what, "where": error.where, "fix": error.fix, "problems": problems}
        Path(path).write_text(json.dumps(failure | {"exit_code": error.exit_code}), encoding="utf-8")
