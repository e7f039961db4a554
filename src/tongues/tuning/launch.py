"""torchrun, started from within: the same command on a node with several GPUs, or on several nodes.

How many processes a node gets stands in the recipe; how many nodes there are, which one this is and where
the first one listens stands in torchrun's own variables (PET_NNODES, PET_NODE_RANK, PET_MASTER_ADDR and
their like), as Kubeflow Trainer sets them in each pod of a TrainJob. Processes that torchrun has started
already start nothing.
"""

import json
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tongues.core.errors import (
    PreflightError,
    ProblemsError,
    TonguesError,
    TrainingInterruptedError,
    TuningError,
)
from tongues.core.recipe import TuningSection
from tongues.tuning.ranks import Ranks

_FAILURES_ENV = "TONGUES_RANK_FAILURES"


def processes_per_node(section: TuningSection) -> int:
    """Processes of this node: what torchrun's environment or the recipe says, else one for each GPU.

    A preference stage takes its pairs through TRL's own loop, in one process.
    """
    import torch

    if (given := os.environ.get("PET_NPROC_PER_NODE", "")).isdigit():
        return int(given)
    if section.hardware.processes != "auto":
        return section.hardware.processes
    return 1 if section.preference else max(torch.cuda.device_count(), 1)


def planned_ranks(section: TuningSection) -> Ranks:
    """The processes as they are, or, before any was started, as they will be."""
    here, local = Ranks.here(), processes_per_node(section)
    if here.count > 1:
        return here
    return Ranks(0, local * _nodes(), 0, local)


def must_launch(section: TuningSection) -> bool:
    """Whether there are to be several processes and this one is none of them."""
    return "RANK" not in os.environ and planned_ranks(section).count > 1


def launch(module: str, arguments: Sequence[str], section: TuningSection) -> None:
    """Run a module in all of this node's processes, under torchrun, until they have ended.

    SIGTERM is passed on, and they have the recipe's grace to save. What goes wrong in one of them ends
    all, and is raised here.

    Args:
        module: calls `report_failure` with what it raises.
        arguments: of its command line.
        section: processes and grace.

    Raises:
        TonguesError: what the first process that failed has raised.
        TrainingInterruptedError: evicted, or stalled.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch
    from torch.distributed.run import config_from_args, get_args_parser

    local = processes_per_node(section)
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // local, 1)))
    alone = [] if _nodes() > 1 else ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    options = [f"--nproc-per-node={local}", *alone, "-m", module, *arguments]
    config, program, command = config_from_args(get_args_parser().parse_args(options))
    config.shutdown_timeout = round(section.safety.grace_s)
    with tempfile.TemporaryDirectory(prefix="tongues-ranks-") as failures:
        os.environ[_FAILURES_ENV] = failures
        try:
            elastic_launch(config, program)(*command)
        except SignalException as error:
            name = signal.Signals(error.sigval).name
            raise TrainingInterruptedError(
                f"stopped by {name}; what was saved is kept",
                fix="run the same command again: it goes on from there",
            ) from error
        except ChildFailedError as error:
            raise first_failure(Path(failures), error) from error
        finally:
            del os.environ[_FAILURES_ENV]


def report_failure(error: TonguesError) -> None:
    """Leave an error where the process that launched this one finds it."""
    if folder := os.environ.get(_FAILURES_ENV):
        problems = list(error.problems) if isinstance(error, ProblemsError) else []
        told = {"what": error.what, "where": error.where, "fix": error.fix, "problems": problems}
        path = Path(folder) / f"{Ranks.here().rank:05}.json"
        path.write_text(json.dumps(told | {"exit_code": error.exit_code}), encoding="utf-8")


def leave_to_torchrun(error: Exception) -> None:
    """Leave an error where a torchrun that somebody else has started looks for why a process ended."""
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    get_error_handler().record_exception(error)


def first_failure(folder: Path, error: Any) -> TonguesError:
    """A process that the system has killed; else the lowest one's own words; else an exit code.

    The others of one that ended only know that it has, and torchrun ends those with SIGTERM: theirs come
    last.

    Args:
        folder: where `report_failure` left errors.
        error: torchrun's ChildFailedError.
    """
    codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
    killed = [rank for rank, code in codes.items() if code < 0 and code != -signal.SIGTERM]
    told = [] if killed else [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    if told:
        return _own_words(min(told, key=_is_interrupted))
    rank = killed[0] if killed else error.get_first_failure()[0]
    code = codes[rank]
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return TuningError(
        f"process {rank} {how}",
        fix="run the same command again: it goes on from the last checkpoint; where the system killed it for "
        "memory (SIGKILL), lower tuning.batch_tokens",
    )


def _nodes() -> int:
    given = os.environ.get("PET_NNODES", "1")
    return int(given) if given.isdigit() else 1


def _is_interrupted(told: dict[str, Any]) -> bool:
    return bool(told["exit_code"] == TrainingInterruptedError.exit_code)


def _own_words(told: dict[str, Any]) -> TonguesError:
    if told["problems"]:
        return PreflightError(told["problems"])
    kind = TrainingInterruptedError if _is_interrupted(told) else TuningError
    return kind(told["what"], where=told["where"], fix=told["fix"])
