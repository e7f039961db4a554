"""Signs that a run is of no use any more: a loss that leaves its course, a step that does not end."""

import os
import signal
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Self

from tongues.core.errors import TrainingInterruptedError
from tongues.core.progress import Say
from tongues.core.recipe import SafetySection

_WINDOW = 64
_LEAST_HISTORY = 16
_SCATTERS = 6
_SIGMAS_PER_MAD = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""

_STEPS_BEFORE_STALL = 3
_LOOKS_PER_LIMIT = 20
_LAST_RESORT_S = 30.0


class LossWatch:
    """Tells a divergence from a noisy loss.

    A loss is high if it stands `divergence_nats` and six times the usual scatter above the median of the
    last 64 that were not; the scatter is taken from the median absolute deviation, so that one outlier
    does not widen it. Batches of one length or one language differ by less.

    Args:
        section: the bounds.
        earlier: losses of the steps before, where the run is resumed.
    """

    def __init__(self, section: SafetySection, earlier: Sequence[float] = ()) -> None:
        self._section, self._high = section, 0
        self._usual: deque[float] = deque(maxlen=_WINDOW)
        for loss in earlier:
            self.diverges(loss)

    def diverges(self, loss: float) -> str:
        """Take a step's loss; what has been seen once it diverges, else an empty string."""
        bound = self._bound()
        if bound is None or loss <= bound:
            self._high = 0
            self._usual.append(loss)
            return ""
        self._high += 1
        if self._high < self._section.divergence_steps:
            return ""
        return (
            f"loss {loss:.2f} after {self._high} steps above {bound:.2f}, where it was {self._median():.2f}"
        )

    def _bound(self) -> float | None:
        if len(self._usual) < _LEAST_HISTORY:
            return None
        middle = self._median()
        scatter = statistics.median(abs(loss - middle) for loss in self._usual) * _SIGMAS_PER_MAD
        return middle + max(self._section.divergence_nats, _SCATTERS * scatter)

    def _median(self) -> float:
        return statistics.median(self._usual)


class Watchdog:
    """Ends a run whose steps have stopped; use it as a context manager around the training loop.

    A thread looks at the clock. On a stall it sends the main thread SIGUSR1, whose handler raises; that
    ends every wait that Python is in. One that hangs inside a library does not see it, and the process is
    ended from the thread after 30 seconds more. In a process whose main thread does something else, there
    is no watchdog.

    Args:
        section: the bounds.
        last_good: names the newest checkpoint.
        say: takes the last line.
        last_resort_s: seconds from the signal to the end of the process.
    """

    def __init__(
        self,
        section: SafetySection,
        last_good: Callable[[], str],
        say: Say,
        *,
        last_resort_s: float = _LAST_RESORT_S,
    ) -> None:
        self._section, self._last_good, self._say = section, last_good, say
        self._last_resort_s = last_resort_s
        self._steps: deque[float] = deque(maxlen=_WINDOW)
        self._last = time.monotonic()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: signal._HANDLER = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGUSR1, self._raise)
            self._thread = threading.Thread(target=self._watch, name="stall watchdog", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            signal.signal(signal.SIGUSR1, self._before)

    def beat(self, *, step: bool = True) -> None:
        """A step has ended, or something else that takes its time, such as a save."""
        now = time.monotonic()
        if step:
            self._steps.append(now - self._last)
        self._last = now

    @property
    def median_s(self) -> float:
        """Seconds of the median step; 0 before the first one."""
        return statistics.median(list(self._steps)) if self._steps else 0.0

    @property
    def limit_s(self) -> float:
        """Seconds without a step that are a stall; infinite while too few steps are known."""
        if len(self._steps) < _STEPS_BEFORE_STALL:
            return float("inf")
        return max(self._section.stall_least_s, self._section.stall_factor * self.median_s)

    def _watch(self) -> None:
        while not self._over.wait(min(self._section.stall_least_s, 60.0) / _LOOKS_PER_LIMIT):
            if time.monotonic() - self._last > self.limit_s:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                if not self._over.wait(self._last_resort_s):
                    self._say(f"error: {self._error().line()}")
                    os._exit(TrainingInterruptedError.exit_code)
                return

    def _raise(self, _number: int, _frame: FrameType | None) -> None:
        raise self._error()

    def _error(self) -> TrainingInterruptedError:
        waited, usual = time.monotonic() - self._last, self.median_s
        return TrainingInterruptedError(
            f"training stalled: no step for {waited:.0f} s, a step takes {usual:.1f} s; {self._last_good()}",
            fix="run the same command again; if it stalls again, look at the disk, the GPU and the network",
        )
