"""The processes that share one training: which of them this is, and what they have to agree on.

torchrun starts them and tells each its place in the environment. Process 0 leads: it alone says
something, writes files and talks to the object store. What it decides (which checkpoint is continued,
whether the work is there already) the others are told; what any of them sees (SIGTERM) all act upon
after the same step. Those messages go over gloo, also where gradients go over NCCL.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from tongues.core.errors import TrainingInterruptedError

T = TypeVar("T")

_PATIENCE = timedelta(hours=6)
"""How long a process waits for the others: as long as the leader may merge and publish. One that has
died is noticed at once, by its closed connections."""

_PEER_GONE = re.compile(
    r"closed by peer|reset by peer|broken pipe|connection refused|remote process exited|socket error",
    re.IGNORECASE,
)
"""What gloo and NCCL say where the other end of a connection is gone."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of the training.

    Args:
        rank: of all nodes, from 0.
        count: processes on all nodes.
        local_rank: on this node, from 0; the number of its GPU.
        local_count: processes on this node.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @classmethod
    def here(cls) -> "Ranks":
        """What torchrun has put into the environment; one process where it has put nothing."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        if not all(name in os.environ for name in names):
            return cls()
        return cls(*(int(os.environ[name]) for name in names))

    @property
    def leads(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0

    @property
    def far(self) -> bool:
        """Whether this process is on another node than the leader, with a disk of its own."""
        return self.rank >= self.local_count

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Within, the processes can reach each other; a single one needs nothing."""
        if self.count == 1:
            yield
            return
        import torch
        from torch import distributed

        on_gpu = torch.cuda.is_available()
        if on_gpu:
            torch.cuda.set_device(self.local_rank)
        backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
        distributed.init_process_group(backend, timeout=_PATIENCE)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def agreed(self, value: T) -> T:
        """The leader's value, in all processes.

        Raises:
            TrainingInterruptedError: another process has ended.
        """
        return self.gathered(value)[0]

    def any(self, flag: bool) -> bool:
        """Whether it holds in one of the processes."""
        return any(self.gathered(flag))

    def wait(self) -> None:
        """Go on when all processes are here."""
        self.gathered(None)

    def summed(self, numbers: Sequence[float]) -> list[float]:
        """Sums over the processes, added in the order of their ranks."""
        return [sum(column) for column in zip(*self.gathered(list(numbers)), strict=True)]

    def gathered(self, value: T) -> list[T]:
        """Every process's value, by rank.

        Raises:
            TrainingInterruptedError: another process has ended.
        """
        if self.count == 1:
            return [value]
        from torch import distributed

        found: list[Any] = [None] * self.count
        with self.told_if_alone():
            distributed.all_gather_object(found, value)
        return found

    @contextmanager
    def told_if_alone(self) -> Iterator[None]:
        """Within, a connection that another process has closed is told as what it is.

        Nothing is wrong with this process: the one that ended has the reason, and its exit code.

        Raises:
            TrainingInterruptedError: another process has ended.
        """
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not _PEER_GONE.search(str(error)):
                raise
            line = str(error).strip().splitlines()[0]
            raise TrainingInterruptedError(
                f"process {self.rank} of {self.count} goes no further: another one has ended ({line})",
                fix="look at what that one said; the same command goes on from the last checkpoint",
            ) from error
