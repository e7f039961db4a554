"""What the status of a KServe object says: ready, failed, or what stands in between."""

from collections.abc import Mapping
from typing import Any

_FAILED = ("InvalidSpec", "BlockedByFailedLoad")


def is_ready(live: Mapping[str, Any]) -> bool:
    """Whether an object, as it stands, is ready as its spec now wants it."""
    status = live.get("status", {})
    seen = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    return bool(seen and ready(status))


def ready(status: Mapping[str, Any]) -> bool:
    """Whether a status is that of a service which answers, at an address, with what was asked for."""
    model = status.get("modelStatus", {}).get("transitionStatus", "UpToDate")
    return _says_ready(status) and bool(url(status)) and model == "UpToDate"


def url(status: Mapping[str, Any]) -> str:
    """Where a service answers; empty before it does."""
    return str(status.get("address", {}).get("url") or status.get("url", ""))


def whole(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """All of a status."""
    return status


def canary(status: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What is said of one canary, in the form in which the whole is told of."""
    told = next((dict(one) for one in status.get("canaryStatuses", []) if one.get("name") == name), {})
    condition = {"type": "Ready", "status": "True" if told.get("ready") else "Unknown"}
    return {
        "conditions": [condition],
        "modelStatus": told.get("modelStatus", {}),
        "url": url(status),  # a canary answers at the service's
    }


def failure(status: Mapping[str, Any]) -> tuple[str, str] | None:
    """Reason and message of a failure from which KServe will not come back by itself."""
    model = status.get("modelStatus", {})
    if model.get("transitionStatus") not in _FAILED:
        return None
    info = model.get("lastFailureInfo", {})
    said = [str(info[key]) for key in ("message", "location") if info.get(key)]
    if "exitCode" in info:
        said.append(f"exit code {info['exitCode']}")
    return str(info.get("reason") or model["transitionStatus"]), "; ".join(said)[:600]


def standing(status: Mapping[str, Any]) -> str:
    """What stands between it and ready: the condition that is not true, in the controller's words."""
    for name in ("PredictorReady", "WorkloadsReady", "IngressReady", "RouterReady", "Ready"):
        condition = _condition(status, name)
        if condition.get("status") in ("False", "Unknown"):
            said = ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
            return f"{name} is {condition['status']}{f', {said}' if said else ''}"[:300]
    if _says_ready(status) and not url(status):
        return "it is ready and has no address yet"
    return "the new revision is loading"


def _says_ready(status: Mapping[str, Any]) -> bool:
    return bool(_condition(status, "Ready").get("status") == "True")


def _condition(status: Mapping[str, Any], name: str) -> dict[str, Any]:
    return next((dict(c) for c in status.get("conditions", []) if c.get("type") == name), {})
