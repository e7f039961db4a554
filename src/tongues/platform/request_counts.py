"""Requests that vLLM answered, as Prometheus counted them."""

from collections.abc import Mapping
from typing import Any

import httpx

from tongues.core.errors import ServingError

_LIMIT_S = 10.0


def requests_of(prometheus_url: str, *, namespace: str, pods: str) -> tuple[int, int]:
    """Requests that the pods have answered since they started, and those of them answered with 500 or above.

    Args:
        prometheus_url: such as http://prometheus.monitoring:9090.
        namespace: of the pods.
        pods: what their names begin with.

    Raises:
        ServingError: Prometheus does not answer, or has not seen the pods: nothing was measured.
    """
    series = f'http_requests_total{{namespace="{namespace}", pod=~"{pods}-.*", handler=~"/v1/.*"}}'
    query = f"sum by (status) ({series})"
    try:
        reply = httpx.get(f"{prometheus_url}/api/v1/query", params={"query": query}, timeout=_LIMIT_S)
        found = _by_status(reply.raise_for_status().json()["data"]["result"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        what = f"clients' requests cannot be counted ({error or type(error).__name__})"
        fix = "correct serving.kserve.prometheus_url, or leave it out where nobody counts"
        raise ServingError(what, where=prometheus_url, fix=fix) from error
    if not found:
        fix = "have Prometheus scrape the pods (monitoring.enabled of the chart), or leave prometheus_url out"
        raise ServingError(f"no requests counted of pods {pods}-*", where=prometheus_url, fix=fix)
    return sum(found.values()), sum(count for status, count in found.items() if status.startswith("5"))


def _by_status(result: list[Mapping[str, Any]]) -> dict[str, int]:
    return {one["metric"].get("status", ""): int(float(one["value"][1])) for one in result}
