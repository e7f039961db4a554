"""What the follower counts, for Prometheus."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from tongues.serving.status import ModelStatus, State

_STATES: tuple[State, ...] = ("serving", "watched", "coming", "refused", "taken-back", "absent")
_SECONDS = (1, 2, 5, 10, 20, 40, 80, 160, 320, 640)


class FollowerMetrics:
    """The follower's Prometheus metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._polls = self._counter("polls", "Looks at the registry.", "result")
        self._registry_up = Gauge(
            "tongues_follower_registry_up", "Whether it answered.", registry=self.registry
        )
        self._actions = self._counter("actions", "What was done about it.", "action", "result")
        self._checks = self._counter("checks", "Checks of revisions.", "model", "lang", "check", "result")
        self._state = self._gauge("model_state", "1 for the state a model is in.", "model", "state")
        self._revision = self._gauge("revision_info", "1 for what clients get.", "model", "revision")
        self._place_up = self._gauge("place_up", "Whether a server answers.", "place")
        self._switch_s = Histogram(
            "tongues_follower_switch_seconds",
            "From seeing an alias move to the switch.",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"tongues_follower_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"tongues_follower_{name}", meaning, labels, registry=self.registry)

    def serve(self, port: int, host: str) -> None:
        """Answer on a port, for Prometheus."""
        start_http_server(port, addr=host, registry=self.registry)

    def polled(self, *, ok: bool) -> None:
        """Count a look at the registry."""
        self._polls.labels("ok" if ok else "failed").inc()
        self._registry_up.set(ok)

    def acted(self, action: str, *, ok: bool) -> None:
        """Count an action by its name."""
        self._actions.labels(action, "ok" if ok else "failed").inc()

    def checked(self, model: str, lang: str, check: str, *, ok: bool) -> None:
        """Count one check."""
        self._checks.labels(model, lang, check, "ok" if ok else "failed").inc()

    def switched(self, seconds: float) -> None:
        """Note how long a promotion took to reach clients."""
        self._switch_s.observe(seconds)

    def show(self, models: Sequence[ModelStatus], places: dict[str, tuple[str, ...] | None]) -> None:
        """Show the state of models and places."""
        self._revision.clear()
        for one in models:
            for state in _STATES:
                self._state.labels(one.model, state).set(one.state == state)
            if one.serves:
                self._revision.labels(one.model, one.serves).set(1)
        for place, names in places.items():
            self._place_up.labels(place).set(names is not None)
