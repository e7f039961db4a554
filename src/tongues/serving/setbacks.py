"""What failed, why, and when it may be tried again: a little later each time."""

import time
from dataclasses import dataclass, field

_LONGEST_S = 60.0


@dataclass(slots=True)
class _Setback:
    reason: str
    times: int
    due: float


@dataclass(slots=True)
class Setbacks:
    """Failures of whatever has a key.

    Args:
        first_s: pause before the first repetition, in seconds; each further one doubles it.
    """

    first_s: float = 2.0
    _all: dict[tuple[str, ...], _Setback] = field(default_factory=dict)

    def note(self, reason: str, *key: str) -> None:
        """Something failed."""
        times = self._all[key].times + 1 if key in self._all else 1
        pause = min(self.first_s * 2 ** (times - 1), _LONGEST_S)
        self._all[key] = _Setback(reason, times, time.monotonic() + pause)

    def clear(self, *key: str) -> None:
        """It succeeded, or is no longer wanted."""
        self._all.pop(key, None)

    def waiting(self, length: int) -> frozenset[tuple[str, ...]]:
        """Keys of so many parts that are not to be tried yet."""
        now = time.monotonic()
        return frozenset(key for key, one in self._all.items() if len(key) == length and one.due > now)

    def reason(self, *key: str) -> str:
        """Why it failed last; empty where it did not."""
        return self._all[key].reason if key in self._all else ""

    def about(self, name: str) -> list[str]:
        """Every reason that concerns a name, wherever it failed."""
        return [one.reason for key, one in self._all.items() if name in key]
