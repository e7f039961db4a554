"""Work that takes a while, beside the loop that must not wait: each piece once at a time."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tongues.core.errors import TonguesError

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """A piece of work that ended.

    Args:
        key: what it was.
        value: what it returned; None where it failed.
        error: why it failed; empty if it did not.
    """

    key: Key
    value: Any = None
    error: str = ""


class Jobs:
    """Threads that do one piece of work each; whoever waits for an end is woken."""

    def __init__(self) -> None:
        self._running = set[Key]()
        self._ended = queue.SimpleQueue[Finished | Exception]()
        self.woken = threading.Event()

    def start(self, key: Key, work: Callable[[], Any]) -> None:
        """Start a piece of work, unless it is being done already."""
        if key in self._running:
            return
        self._running.add(key)
        threading.Thread(target=self._do, args=(key, work), name=" ".join(key), daemon=True).start()

    def _do(self, key: Key, work: Callable[[], Any]) -> None:
        try:
            self._ended.put(Finished(key, work()))
        except TonguesError as error:
            self._ended.put(Finished(key, error=str(error)))
        except Exception as bug:
            self._ended.put(bug)
        self.woken.set()

    def finished(self) -> Iterator[Finished]:
        """What has ended since the last call.

        Raises:
            Exception: a piece of work failed in a way that nobody foresaw.
        """
        while not self._ended.empty():
            ended = self._ended.get()
            if isinstance(ended, Exception):
                raise ended
            self._running.discard(ended.key)
            yield ended

    def running(self) -> frozenset[Key]:
        """What is being done."""
        return frozenset(self._running)
