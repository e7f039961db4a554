"""Requests to a Kubernetes API server: what its refusals mean in our words.

The official client finds the access (in a pod the service account's, elsewhere kubectl's) and sends; objects
stay the plain JSON they are. `kubeflow` 0.5.0, the SDK of Kubeflow Trainer, was read and not taken: no option
gives its jobs an owner, a refusal, a lost answer and "already exists" become the same bare RuntimeError, and
its wait ends after a fixed time, while a queue may hold a job for days.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tongues.core.errors import KubernetesError
from tongues.core.progress import Say

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, ApiException

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_WAITS = (1.0, 2.0, 5.0, 10.0, 30.0)
_TIMEOUT_S = (10.0, 60.0)
_MESSAGE_CHARACTERS = 600


class ApiAwayError(KubernetesError):
    """The server does not answer now, or only with an error of its own; it may be back later."""


class ApiRefusedError(KubernetesError):
    """The server understood and said no.

    Args:
        status: HTTP status of the answer.
    """

    def __init__(self, what: str, *, where: str, fix: str = "", status: int = 0) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status = status


def in_cluster() -> bool:
    """Whether this process runs in a pod."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


class KubernetesApi:
    """Requests to one server. A request that may be sent twice is sent again while the server is away.

    Args:
        client: of the official package, with its access.
        say: takes a line when the server goes away.
        patience_s: seconds a server may be away.
        wait: what waits between two tries.
    """

    def __init__(
        self,
        client: "ApiClient",
        say: Say,
        *,
        patience_s: float = 900.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._say, self._patience_s, self._wait = client, say, patience_s, wait

    @classmethod
    def here(cls, say: Say, *, patience_s: float = 900.0) -> "KubernetesApi":
        """With the access that this process has.

        Args:
            say: see the class.
            patience_s: see the class.

        Raises:
            KubernetesError: it has none.
        """
        from kubernetes import config
        from kubernetes.client import ApiClient, Configuration

        try:
            config.load_incluster_config() if in_cluster() else config.load_kube_config(_kubeconfig())
        except config.ConfigException as error:
            fix = "run this in a pod, or where kubectl works"
            raise KubernetesError(f"no access to a cluster ({error})", where="kubeconfig", fix=fix) from error
        access = Configuration.get_default_copy()
        access.retries = False  # tries are counted here, and told of
        return cls(ApiClient(access), say, patience_s=patience_s)

    def get(self, path: str, **query: str) -> dict[str, Any] | None:
        """An object; None where there is none."""
        answer = self._patiently("GET", path, query)
        return None if answer is None else dict(json.loads(answer))

    def text(self, path: str, **query: str) -> str | None:
        """A text, such as a log; None where there is none."""
        answer = self._patiently("GET", path, query)
        return None if answer is None else answer.decode("utf-8", "replace")

    def create(self, path: str, body: Mapping[str, Any]) -> bool:
        """Create an object; whether it was this call that did, and not one before it.

        Its name decides: where the answer to the first try gets lost, the second finds the object there.
        """
        try:
            created = self._patiently("POST", path, {"fieldValidation": "Strict"}, body)
        except ApiRefusedError as error:
            if error.status == 409:
                return False
            raise
        if created is None:
            what = f"the cluster knows no {body['apiVersion']} {body['kind']}"
            raise ApiRefusedError(what, where=path, fix="install Kubeflow Trainer 2", status=404)
        return True

    def delete(self, path: str) -> bool:
        """Delete an object, its dependents first; whether there was one."""
        return self._patiently("DELETE", path, {"propagationPolicy": "Foreground"}) is not None

    def _patiently(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> bytes | None:
        waited, tries = 0.0, 0
        while True:
            try:
                return self._send(method, path, query, body)
            except ApiAwayError as error:
                if waited >= self._patience_s:
                    raise
                if tries == 0:
                    self._say(f"kubernetes: {error.what}; trying for {self._patience_s / 60:.0f} minutes")
                pause_s = _WAITS[min(tries, len(_WAITS) - 1)]
                self._wait(pause_s)
                waited, tries = waited + pause_s, tries + 1

    def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> bytes | None:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer, _, _ = self._client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params={"Accept": "*/*", "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=_TIMEOUT_S,
            )
            return bytes(answer.data)
        except HTTPError as error:
            host = self._client.configuration.host
            what = f"the API server does not answer ({type(error).__name__})"
            raise ApiAwayError(what, where=host, fix="run the same again: what it started goes on") from error
        except ApiException as error:
            if error.status == 404:
                return None
            raise self._explained(error, method, path) from error

    def _explained(self, error: "ApiException", method: str, path: str) -> KubernetesError:
        message = _message(error)
        if error.status in _TRANSIENT:
            what = f"the API server answers {error.status}: {message}"
            return ApiAwayError(what, where=path, fix="run the same again: what it started goes on")
        fixes = {
            401: "renew the credentials; in a pod: check that a service account token is mounted",
            403: "give the service account this right; the chart does with pipeline.train=true",
        }
        what = f"{method} was refused ({error.status}): {message}"
        return ApiRefusedError(what, where=path, fix=fixes.get(error.status, ""), status=error.status)


def namespace_here() -> str:
    """The pod's namespace, else that of kubectl's context, else "default"."""
    if in_cluster():
        return (_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    from kubernetes import config

    _, context = config.list_kube_config_contexts(_kubeconfig())
    return str(context["context"].get("namespace") or "default")


def _kubeconfig() -> str | None:
    """The file that is named now; the client looks once, when it is imported."""
    return os.environ.get("KUBECONFIG")


def _message(error: "ApiException") -> str:
    try:
        told = json.loads(error.body or b"{}").get("message", "")
    except (ValueError, AttributeError):
        told = str(error.reason)
    return str(told or error.reason)[:_MESSAGE_CHARACTERS]
