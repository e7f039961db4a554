"""How many requests an endpoint gets at a time: found while running, from nothing but its answers.

    starts      moderate; doubles with each round of answers while answers per second grow
    silence     an endpoint that for half a second neither answers nor refuses is queueing what it got:
                it gets twice as much, up to a number that one server bears without being asked
    refusal     429 or 503: what is still in flight was accepted, so that is the limit from now on;
                it grows back at once to what was borne before, and beyond that only after ten calm seconds
    failure     any other 5xx, time-out or broken answer takes half a slot away: if a whole round fails the
                limit halves, and one failure among thousands costs nothing
    recovery    up to what was borne before as fast as at the start, from there by 5 % a round
    slowness    while answers take longer than a quarter of the time-out, nothing is added to the queue

Sources: slow start and additive increase from RFC 5681; growth only while the limit is in use from RFC 7661;
decrease in proportion to the share of failures from RFC 8257. No round-trip time is taken as a sign of
overload, because a server that computes requests in batches answers later and faster at the same time.
"""

from dataclasses import dataclass

_GROWTH = 1.05
_CALM_S = 10.0
_SILENCE_S = 0.5
_SMOOTH = 0.1


@dataclass(frozen=True, slots=True)
class Opening:
    """How boldly an engine begins with an endpoint that it does not know.

    Args:
        first: requests in flight before the first answer.
        unproven: requests in flight that silence may lead to.
    """

    first: int
    unproven: int


class Pressure:
    """The limit of one endpoint; times are seconds on one monotonic clock.

    Args:
        most: never more than this.
        opening: see `Opening`.
        slow_s: answers that take longer stop the growth.
    """

    def __init__(self, most: int, opening: Opening, slow_s: float) -> None:
        self._most, self._slow_s = float(most), slow_s
        self._limit = self._borne = min(float(opening.first), self._most)
        self._unproven = min(float(opening.unproven), self._most)
        self._searching = True
        self._eased_at = self._refused_at = float("-inf")
        self._heard_at: float | None = None
        self._latency_s = self._best_rate = 0.0
        self._round = _Round(0.0, self._limit)

    @property
    def limit(self) -> int:
        """Requests in flight at most, now; at least 1."""
        return int(self._limit)

    def began(self, now: float) -> None:
        """Note a request; the first one starts the clock."""
        if self._heard_at is None:
            self._heard_at, self._round = now, _Round(now, self._limit)

    def silence_ends(self) -> float | None:
        """When an endpoint that is full and says nothing gets more; None if that cannot happen."""
        if self._heard_at is None or not self._searching or self._limit >= self._unproven:
            return None
        return self._heard_at + _SILENCE_S

    def widen_in_silence(self, now: float) -> None:
        """Double the limit if the silence has lasted long enough."""
        ends = self.silence_ends()
        if ends is not None and now >= ends:
            self._limit = self._borne = min(2 * self._limit, self._unproven)
            self._heard_at = now

    def answered(self, now: float, took_s: float, *, full: bool) -> None:
        """Note an answer.

        Args:
            now: the time.
            took_s: from request to answer.
            full: whether the endpoint had as many requests in flight as it may have at some time meanwhile.
        """
        self._heard_at = now
        self._latency_s += (took_s - self._latency_s) * (_SMOOTH if self._latency_s else 1.0)
        self._end_round(now, full)
        if full:
            self._grow(now)

    def refused(self, now: float, sent: float, left: int) -> None:
        """Note that the endpoint wants less.

        Args:
            now: the time.
            sent: when the refused request was sent.
            left: requests that are still in flight.
        """
        self._ease(now, sent)
        self._refused_at = now
        self._limit = max(1.0, min(self._limit, float(left)))

    def failed(self, now: float, sent: float) -> None:
        """Note a request that came to nothing; see `refused`."""
        self._ease(now, sent)
        self._limit = max(1.0, min(self._limit - 0.5, self._borne))

    def _grow(self, now: float) -> None:
        if self._limit < self._borne:
            self._limit = min(self._limit + 1.0, self._borne)
        elif self._latency_s <= self._slow_s and now - self._refused_at >= _CALM_S:
            step = 1.0 if self._searching else max(1.0 / self._limit, _GROWTH - 1.0)
            self._limit = self._borne = min(self._limit + step, self._most)

    def _ease(self, now: float, sent: float) -> None:
        self._searching, self._heard_at = False, now
        if self._limit <= 1.0:  # a request that is alone says nothing about how many would be too many
            return
        if sent >= self._eased_at:  # the first bad news of its round: the others of the round say the same
            self._borne, self._eased_at = max(self._limit, self._borne / 2), now
        self._borne = max(1.0, self._borne - 0.5)

    def _end_round(self, now: float, full: bool) -> None:
        """Compare answers per second of this round with the best one; no growth ends the doubling."""
        if not full:  # a limit that is not in use says nothing about the endpoint
            self._round = _Round(now, self._limit)
            return
        self._round.answers += 1
        lasted_s = now - self._round.began
        if self._round.answers < self._round.length or lasted_s < self._latency_s or not lasted_s:
            return
        rate = self._round.answers / lasted_s
        flat = rate < _GROWTH * self._best_rate and self._round.length >= self._unproven
        if self._searching and flat:
            self._searching, self._limit = False, self._round.length
            self._borne = self._limit
        self._best_rate = max(rate, self._best_rate)
        self._round = _Round(now, self._limit)


@dataclass(slots=True)
class _Round:
    """As many answers as there were slots when it began, and at least as long as one answer takes."""

    began: float
    length: float
    answers: int = 0
