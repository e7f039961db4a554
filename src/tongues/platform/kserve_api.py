"""KServe objects on a cluster: applied server-side, watched until the right generation is ready."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tongues.core.errors import KubernetesError
from tongues.core.progress import Say
from tongues.platform import kserve_status
from tongues.platform.kubernetes_api import ApiAwayError, ApiRefusedError, KubernetesApi

_PLURALS = {
    "InferenceService": "inferenceservices",
    "LLMInferenceService": "llminferenceservices",
    "ServingRuntime": "servingruntimes",
    "HTTPRoute": "httproutes",
}
_POLL_S = 2.0
_PATIENCE_S = 60.0
_FIXES = {
    409: "let its owner give the fields up, or take them over with --take-over",
    422: "correct the recipe's serving section",
    400: "use a KServe of the version the objects are for (0.20 or later), or correct the recipe",
}
_REASONS = {
    "RuntimeNotRecognized": "install the chart with serving.enabled, name a runtime of the namespace in "
    "serving.kserve.runtime, or add --with-runtime",
    "RuntimeDisabled": "enable the ServingRuntime, or name another one in serving.kserve.runtime",
    "NoSupportingRuntime": "name a runtime that serves the format vLLM in serving.kserve.runtime",
    "InvalidPredictorSpec": "correct the recipe's serving section",
    "ModelLoadFailed": "read the log of the pod that failed; raise pool.memory if it was killed for memory",
    "RuntimeUnhealthy": "read the log of the pod; raise the runtime's start-up time if it was still loading",
}


@dataclass(frozen=True, slots=True)
class Applied:
    """An object as the server holds it.

    Args:
        kind: such as "InferenceService".
        name: of the object.
        namespace: of the object.
        generation: of the spec; what is waited for is a status of this one or a later one.
        url: where it answers; empty before it does.
        conditions: of its controller, name to "True", "False" or "Unknown".
    """

    kind: str
    name: str
    namespace: str
    generation: int
    url: str
    conditions: Mapping[str, str]


class KServeApi:
    """Requests about KServe objects to one API server.

    Args:
        api: requests to the cluster.
        say: takes lines for the user.
        wait: what waits between two looks.
        clock: seconds that only go up.
    """

    def __init__(
        self,
        api: KubernetesApi,
        say: Say,
        *,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._say, self._wait, self._clock = api, say, wait, clock

    @classmethod
    def here(cls, say: Say) -> KServeApi:
        """With the access that this process has: in a pod its service account's, elsewhere kubectl's.

        Raises:
            KubernetesError: it has none.
        """
        return cls(KubernetesApi.here(say, patience_s=_PATIENCE_S), say)

    def apply(self, item: Mapping[str, Any], *, dry_run: bool = False, take_over: bool = False) -> Applied:
        """Create or change an object server-side; unknown fields are refused, nothing else is touched.

        Args:
            item: the object; fields that others set and it does not name stay theirs.
            dry_run: have the server check it, admission included, and keep nothing.
            take_over: take fields that another manager has set to another value.

        Raises:
            KubernetesError: a field belongs to somebody else, a right is missing, KServe is not installed, or
                the object is not valid; nothing has changed.
        """
        try:
            return _applied(self._api.apply(_path(item), item, dry_run=dry_run, take_over=take_over))
        except ApiRefusedError as error:
            raise _refused(error, item) from error
        except ApiAwayError as error:
            raise KubernetesError(error.what, where=_name(item), fix=error.fix) from error

    def wait_ready(self, applied: Applied, item: Mapping[str, Any], *, timeout_s: float) -> Applied:
        """Wait until the server has this generation, or a later one, ready.

        Args:
            applied: what `apply` returned.
            item: the object.
            timeout_s: longest wait, in seconds.

        Returns:
            The object with its URL.

        Raises:
            KubernetesError: it failed, in the words of its modelStatus, or was not ready in time.
        """
        return self._wait_for(applied, item, kserve_status.whole, timeout_s=timeout_s)

    def wait_canary(
        self, applied: Applied, item: Mapping[str, Any], name: str, *, timeout_s: float
    ) -> Applied:
        """Wait until the canary of this name can answer; see `wait_ready` for the rest."""
        return self._wait_for(
            applied, item, lambda status: kserve_status.canary(status, name), timeout_s=timeout_s
        )

    def find(self, item: Mapping[str, Any]) -> dict[str, Any] | None:
        """An object as it stands; None where there is none.

        Args:
            item: its apiVersion, kind, name and namespace.
        """
        try:
            return self._api.get(_path(item))
        except ApiRefusedError as error:
            raise _refused(error, item) from error

    def wait_seen(
        self, item: Mapping[str, Any], fit: Callable[[dict[str, Any]], bool], *, timeout_s: float
    ) -> bool:
        """Wait until an object is as asked for; False where it is not in time.

        Args:
            item: its apiVersion, kind, name and namespace.
            fit: whether it is; an object that is not there has no fields.
            timeout_s: longest wait, in seconds.
        """
        started = self._clock()
        while not fit(self.find(item) or {}):
            if self._clock() - started > timeout_s:
                return False
            self._wait(_POLL_S)
        return True

    def _wait_for(
        self,
        applied: Applied,
        item: Mapping[str, Any],
        part: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        *,
        timeout_s: float,
    ) -> Applied:
        started, told = self._clock(), ""
        while True:
            current = self._look(item)
            seen = current.get("status", {}).get("observedGeneration", 0) >= applied.generation
            status = part(current.get("status", {}))
            if seen and (failure := kserve_status.failure(status)):
                raise _failed(applied, *failure)
            if seen and kserve_status.ready(status):
                return _applied(current)
            standing = kserve_status.standing(status) if seen else "KServe has not looked at it yet"
            waited = self._clock() - started
            if waited > timeout_s:
                raise _late(applied, timeout_s, standing)
            if standing != told:
                self._say(f"serve {applied.name}: {standing} ({waited:.0f} s)")
                told = standing
            self._wait(_POLL_S)

    def _look(self, item: Mapping[str, Any]) -> dict[str, Any]:
        found = self.find(item)
        if found is None:
            raise KubernetesError("is gone", where=_name(item), fix="run the same again; see who deletes it")
        return found


def _path(item: Mapping[str, Any]) -> str:
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    return f"/apis/{item['apiVersion']}/namespaces/{namespace}/{_PLURALS[item['kind']]}/{name}"


def _name(item: Mapping[str, Any]) -> str:
    return f"{item['kind']} {item['metadata']['namespace']}/{item['metadata']['name']}"


def _applied(item: Mapping[str, Any]) -> Applied:
    status, metadata = item.get("status", {}), item["metadata"]
    return Applied(
        kind=item["kind"],
        name=metadata["name"],
        namespace=metadata["namespace"],
        generation=metadata.get("generation", 0),
        url=kserve_status.url(status),
        conditions={one["type"]: one["status"] for one in status.get("conditions", [])},
    )


def _refused(error: ApiRefusedError, item: Mapping[str, Any]) -> KubernetesError:
    """The same in the words of who serves a model."""
    if error.status != 404:
        return KubernetesError(error.what, where=_name(item), fix=_FIXES.get(error.status, error.fix))
    if error.details.get("kind") == "namespaces":
        return KubernetesError(error.what, where=_name(item), fix="create the namespace, or name another one")
    what = f"the cluster knows no {item['apiVersion']} {item['kind']}"
    return KubernetesError(what, where=_name(item), fix="install KServe 0.20 or later with this kind")


def _failed(applied: Applied, reason: str, said: str) -> KubernetesError:
    what = f"generation {applied.generation} failed: {reason}{f' ({said})' if said else ''}"
    fix = _REASONS.get(reason, "read the events and the pod's log")
    return KubernetesError(what, where=f"{applied.kind} {applied.namespace}/{applied.name}", fix=fix)


def _late(applied: Applied, timeout_s: float, standing: str) -> KubernetesError:
    return KubernetesError(
        f"generation {applied.generation} was not ready within {timeout_s:g} s: {standing}; what served "
        "before goes on serving",
        where=f"{applied.kind} {applied.namespace}/{applied.name}",
        fix="raise serving.ready_timeout_s, or look at the pods: kubectl describe",
    )
