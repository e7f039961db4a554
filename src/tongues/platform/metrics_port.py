"""Shows what a step measures to Prometheus: on a port while the step runs, at a Pushgateway when it ends.

A batch pod is gone soon after its last value, and Prometheus comes by every half minute or so. So running
values are scraped, and the last ones are pushed where a Pushgateway is named. Groups there are a step of a
model, not a run: the next run takes the last one's place, and nothing piles up.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tongues.core.errors import PreflightError
from tongues.core.meters import METERS, Meters
from tongues.core.progress import Say

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

PORT_ENV, GATEWAY_ENV = "TONGUES_METRICS_PORT", "TONGUES_PUSHGATEWAY_URL"
_TIMEOUT_S = 10
Stop = Callable[[], None]


@contextmanager
def shown(meters: Meters, say: Say) -> Iterator[None]:
    """Serve the values at ``:PORT/metrics`` where a port is named; push the last ones at the end.

    A port that is taken or a gateway that is away is told and stops no work.

    Raises:
        PreflightError: the port is not a number.
    """
    registry = registry_of(meters)
    stop = _listen(registry, say)
    try:
        yield
    finally:
        stop()
        _push(registry, meters, say)


def registry_of(meters: Meters) -> "CollectorRegistry":
    """A registry that reads the values when it is asked."""
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(_Collector(meters))
    return registry


class _Collector:
    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def collect(self) -> "Iterator[Metric]":
        from prometheus_client.core import Metric

        common = self._meters.common
        for name, values in sorted(self._meters.snapshot().items()):
            meter = METERS[name]
            metric = Metric(name.removesuffix("_total"), meter.meaning, meter.kind)
            for labels, value in values.items():
                metric.add_sample(name, common | dict(labels), value)
            yield metric


def _listen(registry: "CollectorRegistry", say: Say) -> Stop:
    port = os.environ.get(PORT_ENV, "")
    if not port:
        return lambda: None
    if not port.isdecimal() or int(port) > 65535:
        raise PreflightError([f"{port!r} is no port"], where=PORT_ENV, fix="a number from 1 to 65535")
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(int(port), registry=registry)
    except OSError as error:
        say(f"metrics: port {port} cannot be opened ({error.strerror}); going on without")
        return lambda: None

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(_TIMEOUT_S)

    return stop


def _push(registry: "CollectorRegistry", meters: Meters, say: Say) -> None:
    gateway = os.environ.get(GATEWAY_ENV, "")
    if not gateway:
        return
    from prometheus_client import push_to_gateway

    key = {name: value or "none" for name, value in meters.common.items()}
    try:
        push_to_gateway(gateway, "tongues", registry, grouping_key=key, timeout=_TIMEOUT_S)
    except (OSError, ValueError) as error:
        say(f"metrics: {GATEWAY_ENV} does not take them ({error}); going on without")
