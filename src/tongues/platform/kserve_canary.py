"""A canary on KServe: the next revision beside the one that serves, with a share of the requests.

In Standard mode KServe 0.20 has ``spec.canary``: a list of predictors with a share each, every one a
Deployment and a Service of its own. Promotion gives the predictor the canary's name, so that its pods are
kept. ``canaryTrafficPercent``, the older field, only counts in Knative mode and is passed over in silence
elsewhere. The shares reach requests as weights in the HTTPRoute, which KServe 0.20.0 does not write yet; so
the route is looked at, and nobody is told that clients are spared who are not.

Sources: API types of KServe 0.20 (serving.kserve.io/v1beta1); kserve pulls 5672 (``spec.canary``), 5912
(weights), 5984 (no requests to pods that are not ready).
"""

import re
from collections.abc import Mapping
from math import ceil
from typing import Any

from tongues.core.errors import KubernetesError, ServingError
from tongues.platform.kserve_api import KServeApi
from tongues.platform.kserve_objects import ANNOTATION, GROUP

_ROUTES, _ROUTE_S = "gateway.networking.k8s.io/v1", 60.0
_UNKNOWN = re.compile(r'unknown field "spec\.canary"|\.spec\.canary: field not declared in schema')
_SERVICE_CHARACTERS = 63
_NOT_IN_CANARY = ("maxReplicas", "autoScaling", "scaleTarget", "scaleMetric", "scaleMetricType", "workerSpec")
_FIX = "use a KServe that writes weights (after 0.20.0, Gateway API on), or leave serving.kserve.canary out"


class Canary:
    """A new revision that is to take the place of the one that serves.

    Args:
        api: the cluster.
        live: the InferenceService as it stands.
        service: the InferenceService of the new revision.
        version: of the new revision, which gives the canary its name.
        timeout_s: longest start, in seconds.
        take_over: take fields that another manager has set to another value.
    """

    def __init__(
        self,
        api: KServeApi,
        live: Mapping[str, Any],
        service: Mapping[str, Any],
        version: int,
        *,
        timeout_s: float,
        take_over: bool = False,
    ) -> None:
        self._api, self._live, self._service = api, live, service
        self._timeout_s, self._take_over = timeout_s, take_over
        self.name = _other_name(live, f"v{version}")
        metadata = service["metadata"]
        self.model, self.namespace = str(metadata["name"]), str(metadata["namespace"])
        self.service_name = f"{self.model}-{self.name}-predictor"
        if len(self.service_name) > _SERVICE_CHARACTERS:
            what = f"{self.service_name!r} is too long for a Service ({_SERVICE_CHARACTERS} characters)"
            raise ServingError(what, where=self.model, fix="register the model under a shorter name")

    @property
    def url(self) -> str:
        """Its own address inside the cluster."""
        return f"http://{self.service_name}.{self.namespace}.svc.cluster.local"

    def start(self) -> None:
        """Start it beside what serves, without a request of a client, and wait until it can answer.

        Raises:
            KubernetesError: this KServe knows no canaries, or the revision does not come up.
        """
        try:
            item = self._with(0)
            applied = self._api.apply(item, take_over=self._take_over)
        except KubernetesError as error:
            if _UNKNOWN.search(error.what):
                raise KubernetesError(
                    f"this KServe takes no canary: {error.what}", where=error.where, fix=_FIX
                ) from error
            raise
        self._api.wait_canary(applied, item, self.name, timeout_s=self._timeout_s)

    def shift(self, percent: int) -> None:
        """Give it a share of the requests, and wait until the route says so.

        Args:
            percent: 1 to 99.

        Raises:
            ServingError: this KServe shares no requests out.
            KubernetesError: refused, or the canary is no longer ready.
        """
        item = self._with(percent)
        applied = self._api.apply(item, take_over=self._take_over)
        self._api.wait_canary(applied, item, self.name, timeout_s=self._timeout_s)
        named_so = {"name": self.model, "namespace": self.namespace}
        route = {"apiVersion": _ROUTES, "kind": "HTTPRoute", "metadata": named_so}
        fit = self._api.wait_seen(route, lambda seen: self.share_in(seen) == percent, timeout_s=_ROUTE_S)
        if not fit:
            what = (
                f"this KServe gives a canary no share of the requests: HTTPRoute {self.model} has no weight"
            )
            raise ServingError(f"{what} {percent} for {self.service_name}", where=self.namespace, fix=_FIX)

    @property
    def promoted(self) -> dict[str, Any]:
        """The object by which it serves all requests: the predictor takes its name, so its pods go on."""
        return named(self._service, self.name)

    def withdraw(self) -> None:
        """Take it away; what served before serves all requests."""
        self._api.apply(_standing(self._live), take_over=self._take_over)

    def _with(self, percent: int) -> dict[str, Any]:
        """The object that serves, with the canary beside it."""
        item = _standing(self._live)
        predictor = named(self._service, self.name)["spec"]["predictor"]
        kept = {field: value for field, value in predictor.items() if field not in _NOT_IN_CANARY}
        kept["model"] = {"name": "", **kept["model"]}  # its schema asks for one, its webhook for none
        # As many as KServe takes for the share by itself, but one where it has none yet.
        kept["minReplicas"] = max(
            1, ceil(self._live["spec"]["predictor"].get("minReplicas", 1) * percent / 100)
        )
        item["spec"]["canary"] = [{"trafficPercent": percent, "predictor": kept}]
        return item

    def share_in(self, route: Mapping[str, Any]) -> float | None:
        """Percent of the requests that a route gives it; None where it names none, or not one alone."""
        rules = route.get("spec", {}).get("rules", [])
        shares = {_share(rule.get("backendRefs", []), self.service_name) for rule in rules}
        return shares.pop() if len(shares) == 1 else None


def is_served(live: Mapping[str, Any], service: Mapping[str, Any]) -> bool:
    """Whether an object that stands serves the revision of another one, and nothing beside it."""
    return same_revision(live, service) and not live["spec"].get("canary")


def same_revision(live: Mapping[str, Any], service: Mapping[str, Any]) -> bool:
    """Whether two objects serve the same; a canary that a killed rollout left does not count."""
    name = f"{ANNOTATION}manifest-sha256"
    one, other = (each["metadata"].get("annotations", {}).get(name) for each in (live, service))
    return bool(one == other)


def keeping_name(live: Mapping[str, Any] | None, service: Mapping[str, Any]) -> dict[str, Any]:
    """The object under the name that an earlier promotion gave the predictor: another one would be a new
    Deployment in place of the one that serves."""
    name = live["spec"]["predictor"].get("name") if live else None
    return named(service, name) if name else dict(service)


def named(service: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object with a name for its predictor."""
    spec = {**service["spec"], "predictor": {**service["spec"]["predictor"], "name": name}}
    return {**service, "spec": spec}


def _standing(live: Mapping[str, Any]) -> dict[str, Any]:
    """What an object says of the revision that serves, to be applied again beside a canary or without it."""
    metadata = live["metadata"]
    notes = metadata.get("annotations", {})
    ours = {key: value for key, value in notes.items() if key.startswith((f"{GROUP}/", ANNOTATION))}
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "annotations": ours},
        "spec": {"predictor": dict(live["spec"]["predictor"])},
    }


def _other_name(live: Mapping[str, Any], name: str) -> str:
    return f"{name}-b" if live["spec"]["predictor"].get("name") == name else name


def _share(backends: list[Mapping[str, Any]], service: str) -> float | None:
    weights = {one["name"]: one.get("weight", 1) for one in backends}
    total = sum(weights.values())
    return 100 * weights[service] / total if service in weights and total else None
