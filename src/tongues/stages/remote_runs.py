"""Runs on a Kubeflow Pipelines server: follow one, end it, read its logs."""

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tongues.core.errors import GateRefusedError, PipelineServerError
from tongues.core.log_lines import message_of
from tongues.core.progress import Say, duration
from tongues.platform.kfp_connection import NotFoundError, RefusedError, ServerAwayError
from tongues.platform.kfp_runs import Run, Step
from tongues.platform.kfp_server import KfpServer

Wait = Callable[[float], None]

_EXIT_STATUS = re.compile(r"exit (?:status|code) (\d+)")
_LAST_LINES = 400
_ERROR = "error: "


@dataclass(frozen=True)
class Pace:
    """How often a run is looked at.

    Args:
        first_s: seconds after a change.
        longest_s: seconds when nothing has changed for long.
        patience_s: how long a server may be away.
        wait: what waits.
        clock: seconds, monotonic.
    """

    first_s: float = 2.0
    longest_s: float = 30.0
    patience_s: float = 900.0
    wait: Wait = time.sleep
    clock: Callable[[], float] = time.monotonic

    def longer(self, seconds: float) -> float:
        """The next wait when nothing has changed."""
        return min(seconds * 1.5, self.longest_s)


def follow(server: KfpServer, run_id: str, pace: Pace, say: Say) -> Iterator[Run]:
    """A run each time it is looked at, up to its end; a server that is away for a while is waited for.

    Raises:
        PipelineServerError: it is away for too long, or refuses; the run goes on all the same.
    """
    seconds, last = pace.first_s, None
    away_since: float | None = None
    while True:
        try:
            run = server.run(run_id)
        except ServerAwayError as error:
            away_since = _patiently(error, away_since, pace, say, run_id)
            seconds = pace.longer(seconds)
        except RefusedError as error:
            what = f"{error.what}; the run goes on without being watched"
            raise RefusedError(what, where=error.where, fix=error.fix, status=error.status) from error
        else:
            if away_since is not None:
                say(f"{server.host} is back after {duration(pace.clock() - away_since)}")
            away_since = None
            yield run
            if run.ended:
                return
            seconds = pace.longer(seconds) if run == last else pace.first_s
            last = run
        pace.wait(seconds)


def _patiently(error: ServerAwayError, since: float | None, pace: Pace, say: Say, run_id: str) -> float:
    """Since when the server is away; an error once that is too long."""
    now = pace.clock()
    if since is None:
        say(f"{error.where}: {error.what}; trying on for {duration(pace.patience_s)}")
        return now
    if now - since > pace.patience_s:
        what = f"away for {duration(now - since)} ({error.what}); the run goes on without being watched"
        raise ServerAwayError(
            what, where=error.where, fix=f"watch it again: tongues watch {run_id}"
        ) from error
    return since


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        run: the run.
        url: its page.
        exit_code: 0 succeeded, 3 the gate refused, 1 anything else.
        message: why it did not succeed; empty where it did.
        log: command that shows the failing step's log; empty where it succeeded.
    """

    run: Run
    url: str
    exit_code: int
    message: str = ""
    log: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON."""
        failed = self.run.failed_step
        return self.run.as_dict() | {
            "url": self.url,
            "exit_code": self.exit_code,
            "failed_step": failed.name if failed else None,
            "message": self.message,
            "log": self.log,
            "steps": [step.as_dict() for step in self.run.steps],
        }


def outcome(server: KfpServer, run: Run) -> Outcome:
    """What a run's end means, with the failing step's own words where the server still has its log."""
    url, failed = server.run_url(run.run_id), run.failed_step
    if run.state in ("SUCCEEDED", "SKIPPED"):
        return Outcome(run, url, 0)
    if failed is None:
        told = run.message or "ended without a failing step; the page of the run tells more"
        message = "cancelled" if run.state == "CANCELED" else told
        return Outcome(run, url, 1, message, server.kubectl(run.run_id))
    pod = failed.pods[-1] if failed.pods else ""
    lines = _last_lines(server, run, pod)
    status = _exit_status([failed.message, run.message, *lines])
    refused = GateRefusedError.exit_code
    message = _own_words(lines) or failed.message or run.message or _silent(pod)
    code = refused if status == refused else 1
    return Outcome(run, url, code, f"step {failed.name}: {message}", server.kubectl(run.run_id, pod))


def _silent(pod: str) -> str:
    return "failed; its log is not to be had here" if pod else "failed; the server does not say why"


def _last_lines(server: KfpServer, run: Run, pod: str) -> list[str]:
    if not pod:
        return []
    try:
        return list(deque(server.log(run.run_id, pod), maxlen=_LAST_LINES))
    except PipelineServerError:
        return []


def _exit_status(lines: list[str]) -> int:
    """The exit status of the step's program, which KFP's launcher logs; its own is always 1."""
    component = [line for line in lines if "failed to execute component" in line] or lines
    found = [int(match) for line in component for match in _EXIT_STATUS.findall(line)]
    return found[-1] if found else 1


def _own_words(lines: list[str]) -> str:
    """The error that a step of ours prints, see `tongues.stages.steps`."""
    told = (message_of(line) or "" for line in reversed(lines))
    return next((line.removeprefix(_ERROR) for line in told if line.startswith(_ERROR)), "")


def cancel(server: KfpServer, run: Run, pace: Pace) -> Run:
    """Ask for a run's end and wait for it; nothing to do where it has ended.

    Returns:
        The run, which may still be on its way to its end after `patience_s`.
    """
    if run.ended:
        return run
    try:
        server.terminate(run.run_id)
    except PipelineServerError:
        run = server.run(run.run_id)
        if not run.ended and run.state != "CANCELING":
            raise
    begun, seconds = pace.clock(), pace.first_s
    while not (run := server.run(run.run_id)).ended and pace.clock() - begun < pace.patience_s:
        pace.wait(seconds)
        seconds = pace.longer(seconds)
    return run


def logs(server: KfpServer, run: Run, step: str) -> Iterator[tuple[Step, str, Iterator[str]]]:
    """Each pod of a run, or of one of its steps, with the lines of its log.

    Raises:
        PipelineServerError: the run has no such step, or the server does not tell the pods.
    """
    steps = [one for one in run.steps if step in ("", one.name)]
    if not steps:
        begun = ", ".join(one.name for one in run.steps) or "none"
        raise NotFoundError(
            f"no step {step!r} has begun" if step else "no step has begun",
            where=f"run {run.run_id}",
            fix=f"steps that have: {begun}",
        )
    if not any(one.pods for one in steps):
        fix = f"list them: {server.kubectl(run.run_id)}"
        raise NotFoundError("the server does not tell the pods", where=f"run {run.run_id}", fix=fix)
    for one in steps:
        for pod in one.pods:
            yield one, pod, server.log(run.run_id, pod)


def experiment_runs(server: KfpServer, experiment: str, name: str) -> Iterator[Run]:
    """Runs of an experiment, or of all, the newest first.

    Raises:
        PipelineServerError: there is no such experiment.
    """
    experiment_id = server.find_experiment(experiment) if experiment else ""
    if experiment and not experiment_id:
        fix = "the page of the server lists the experiments; a namespace has its own"
        raise NotFoundError(f"no experiment {experiment!r}", where=server.host, fix=fix)
    return server.runs(name=name, experiment_id=experiment_id)


def now() -> datetime:
    """This moment, for how long a step has been running."""
    return datetime.now(UTC)
