"""What the door counts: requests per revision, their time and outcome, and what is in flight.

The follower reads it too: which table the door goes by, and whether anybody still uses a revision.
"""

import sys
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.parser import text_string_to_metric_families

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 40, 80, 160)


class DoorMetrics:
    """The door's Prometheus metrics.

    Args:
        generation: of the table it starts with.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, generation: int) -> None:
        self._all = CollectorRegistry()
        names = ("model", "revision")
        self._requests = Counter(
            "tongues_door_requests", "Requests answered.", (*names, "code"), registry=self._all
        )
        self._seconds = Histogram(
            "tongues_door_request_seconds",
            "From request to last byte.",
            names,
            buckets=_SECONDS,
            registry=self._all,
        )
        self._flying = Gauge(
            "tongues_door_requests_in_flight", "Requests at a server.", ("revision",), registry=self._all
        )
        self._again = Counter(
            "tongues_door_retries", "Attempts that failed.", ("reason",), registry=self._all
        )
        self._generation = Gauge("tongues_door_routes_generation", "Table in force.", registry=self._all)
        self._generation.set(generation)

    def answered(self, model: str, revision: str, code: int, seconds: float) -> None:
        """Count an answer; a name that nobody serves is not a label, since clients choose it."""
        self._requests.labels(model, revision, str(code)).inc()
        self._seconds.labels(model, revision).observe(seconds)

    def in_flight(self, revision: str, change: int) -> None:
        """Count a request that goes to a server, or comes back."""
        self._flying.labels(revision).inc(change)

    def tried_again(self, reason: str) -> None:
        """Count an attempt that failed before the client saw anything."""
        self._again.labels(reason).inc()

    def generation(self, number: int) -> None:
        """Say which table is in force."""
        self._generation.set(number)

    def unreadable(self, problem: str) -> None:
        """Say that a new table or key file is not taken."""
        sys.stderr.write(f"door: {problem}; going by the last good one\n")

    def exposition(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._all)


@dataclass(frozen=True, slots=True)
class DoorState:
    """What a door says of itself.

    Args:
        generation: table it goes by.
        in_flight: revision to requests at a server.
        answered: revision to requests answered.
        failed: revision to those of them answered with 500 or above.
    """

    generation: int = -1
    in_flight: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)


def together(states: Sequence[DoorState]) -> DoorState:
    """Several doors as one: it goes by the oldest of their tables."""
    flying, answered, failed = (
        dict(sum((Tally(getattr(state, name)) for state in states), Tally[str]()))
        for name in ("in_flight", "answered", "failed")
    )
    return DoorState(min(state.generation for state in states), flying, answered, failed)


def read_state(exposition: str) -> DoorState:
    """Read a door's metrics."""
    generation, flying = -1, dict[str, int]()
    answered, failed = defaultdict[str, int](int), defaultdict[str, int](int)
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            revision, value = sample.labels.get("revision", ""), int(sample.value)
            if sample.name == "tongues_door_routes_generation":
                generation = value
            elif sample.name == "tongues_door_requests_in_flight":
                flying[revision] = value
            elif sample.name == "tongues_door_requests_total":
                answered[revision] += value
                failed[revision] += value if sample.labels["code"] >= "500" else 0
    return DoorState(generation, flying, dict(answered), dict(failed))
