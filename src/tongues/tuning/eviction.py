"""Eviction: a spot machine is taken back with SIGTERM, and what was learnt is to outlive it.

While the trainer works, the signal only leaves a note, which the trainer reads after the step it is in:
a checkpoint amid a step would not repeat it exactly. At any other time nothing is unsaved, and the run
ends at once.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from tongues.core.errors import TrainingInterruptedError
from tongues.core.progress import Say
from tongues.tuning.ranks import Ranks


class Eviction:
    """Takes SIGTERM; use it as a context manager around the whole work.

    Only the main thread of a process may take signals; in another one it takes none.

    Args:
        grace_s: seconds from SIGTERM to SIGKILL.
        say: takes lines for the user.
    """

    def __init__(self, grace_s: float, say: Say) -> None:
        self.grace_s, self.say = grace_s, say
        self._asked_at: float | None = None
        self._training = False
        self._before: signal._HANDLER = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    @property
    def asked(self) -> bool:
        """Whether the machine has been asked back."""
        return self._asked_at is not None

    def asked_anywhere(self) -> bool:
        """Whether one of the training's processes has been asked; all of them get the same answer.

        A signal that arrives during the exchange counts at the next one: by `asked`, read after it, this
        process would stop alone.
        """
        together = Ranks.here().any(self.asked)
        if together and self._asked_at is None:
            self._asked_at = time.monotonic()
        return together

    @property
    def left_s(self) -> float:
        """Seconds of grace that are left, at least 0; all of them while nobody has asked."""
        gone = time.monotonic() - self._asked_at if self._asked_at is not None else 0.0
        return max(self.grace_s - gone, 0.0)

    @contextmanager
    def waits_for_the_step(self) -> Iterator[None]:
        """Within, the signal is left for the trainer to read; after it, the run ends if it came."""
        self._training = True
        try:
            yield
        finally:
            self._training = False

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        if not self._training:
            raise evicted("no step was under way")
        self.say(f"finetune: SIGTERM: a checkpoint follows this step; {self.grace_s:.0f} s of grace")


def evicted(kept: str) -> TrainingInterruptedError:
    """The error for a run whose machine is taken back."""
    return TrainingInterruptedError(
        f"stopped by SIGTERM; {kept}", fix="run the same command again: it goes on from there"
    )
