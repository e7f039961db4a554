"""Progress with rate and time left, for a terminal, a log or a test."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tongues.core.log_lines import log_line
from tongues.core.meters import METER

Say = Callable[[str], None]


def say_on_stderr(line: str) -> None:
    """Print a line where it does not disturb the result on standard output."""
    print(log_line(line), file=sys.stderr, flush=True)


class Progress(Protocol):
    """What a long loop reports to."""

    def advance(self, done: int = 1, **facts: float | str) -> None:
        """Count work done since the last call, with facts worth showing."""


class LineProgress:
    """Says at most one line per interval: what, how far, how fast, how long still.

    Args:
        what: the work, such as "translate es".
        total: units there are; None if not known, then there is no time left.
        unit: plural name of the unit, such as "rows".
        say: takes the line.
        every_s: seconds between lines.
        clock: seconds, monotonic.
        rates: facts that are totals and of which the rate since the start is said too.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        unit: str,
        *,
        say: Say = say_on_stderr,
        every_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        rates: Sequence[str] = (),
    ) -> None:
        self.what, self.total, self.unit, self.say = what, total, unit, say
        self.every_s, self.clock, self.rates = every_s, clock, frozenset(rates)
        self.done = 0
        self.started = self.last_said = clock()

    def advance(self, done: int = 1, **facts: float | str) -> None:
        """Count work done; speaks when the interval has passed or the work is complete."""
        self.done += done
        now = self.clock()
        self._measure(now)
        if now - self.last_said >= self.every_s or (self.total and self.done >= self.total):
            self.last_said = now
            self.say(self.line(now, facts))

    def line(self, now: float, facts: dict[str, float | str]) -> str:
        """The line for this moment."""
        seconds = max(now - self.started, 1e-9)
        rate = self.done / seconds
        of = f"/{self.total}" if self.total is not None else ""
        left = (
            f", {duration((self.total - self.done) / rate)} left" if self.total is not None and rate else ""
        )
        more = "".join(f", {k} {_number(v)}{self._rate(k, v, seconds)}" for k, v in facts.items())
        return f"{self.what}: {self.done}{of} {self.unit}, {rate:.1f} {self.unit}/s{left}{more}"

    def _measure(self, now: float) -> None:
        METER.set("tongues_step_progress_timestamp_seconds", time.time())
        if self.total and self.done:
            left = max(self.total - self.done, 0)
            METER.set("tongues_step_progress_ratio", min(self.done / self.total, 1.0))
            METER.set("tongues_step_remaining_seconds", left * (now - self.started) / self.done)

    def _rate(self, name: str, value: float | str, seconds: float) -> str:
        told = name in self.rates and not isinstance(value, str)
        return f" ({_number(float(value) / seconds)}/s)" if told else ""


def duration(seconds: float) -> str:
    """Seconds as people say them: "1 h 05 min", "2 min 10 s", "7 s"."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    )


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
