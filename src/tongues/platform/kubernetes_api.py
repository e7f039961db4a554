"""Requests to a Kubernetes API server, for all who ask it, and what its refusals mean in our words.

The official package finds the access (in a pod the service account's, elsewhere kubectl's) and sends; objects
stay the plain JSON they are. `kubeflow` 0.5.0, the SDK of Kubeflow Trainer, was read and not taken: no option
gives its jobs an owner, a refusal, a lost answer and "already exists" become the same bare RuntimeError, and
its wait ends after a fixed time, while a queue may hold a job for days. Nor was the client of the KServe SDK:
it cannot apply, dry-run or fail early, and its wait sleeps before it looks.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tongues.core.errors import KubernetesError
from tongues.core.progress import Say, duration

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, ApiException

MANAGER = "tongues"
"""Whose fields those are that `apply` sets."""

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_WAITS = (1.0, 2.0, 5.0, 10.0, 30.0)
_TIMEOUT_S = (10.0, 60.0)
_MESSAGE_CHARACTERS = 600
_JSON, _APPLY = "application/json", "application/apply-patch+yaml"
_AGAIN = "run the same again: what it started goes on"
_ASK = "have somebody with the right run this, or ask for it"
_GRANTS = {
    "serving.kserve.io": "pipeline.serve",
    "trainer.kubeflow.org": "pipeline.train",
    "/pods": "pipeline.train",
}
"""Part of a path to the chart's value that grants runs what is asked for there."""


class ApiAwayError(KubernetesError):
    """The server does not answer now, or only with an error of its own; it may be back later."""


class ApiRefusedError(KubernetesError):
    """The server understood and said no.

    Args:
        status: HTTP status of the answer.
        details: what the answer's `details` name, such as the kind of an object that is not there.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str,
        fix: str = "",
        status: int = 0,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status, self.details = status, dict(details or {})


class NotAllowedError(ApiRefusedError):
    """The server knows who asks, and this they may not."""


def in_cluster() -> bool:
    """Whether this process runs in a pod."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


class KubernetesApi:
    """Requests to one server. While it is away each is sent again, which is safe: none of them adds up.

    Args:
        client: of the official package, with its access.
        say: takes a line when the server goes away.
        patience_s: seconds a server may be away; 0 asks once.
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
        self.host: str = client.configuration.host

    @classmethod
    def here(cls, say: Say, *, context: str = "", patience_s: float = 900.0) -> "KubernetesApi":
        """With the access that this process has.

        Args:
            say: see the class.
            context: of kubectl; when empty the current one, and in a pod its service account.
            patience_s: see the class.

        Raises:
            KubernetesError: there is none.
        """
        from kubernetes import config
        from kubernetes.client import ApiClient, Configuration

        access = Configuration()
        try:
            if in_cluster() and not context:
                config.load_incluster_config(client_configuration=access)
            else:
                config.load_kube_config(_kubeconfig(), context=context or None, client_configuration=access)
        except config.ConfigException as error:
            fix = "run this in a pod, or where kubectl works; kubectl config get-contexts lists what there is"
            raise KubernetesError(f"no access to a cluster ({error})", where="kubeconfig", fix=fix) from error
        access.retries = False  # tries are counted here, and told of
        return cls(ApiClient(access), say, patience_s=patience_s)

    def get(self, path: str, **query: str) -> dict[str, Any] | None:
        """An object or a list; None where there is none.

        Raises:
            NotAllowedError: who asks may not see it.
            ApiRefusedError: the server is no API server.
            ApiAwayError: it was away for too long.
        """
        answer = self._found(path, query)
        return None if answer is None else self._object(answer, path)

    def items(self, path: str) -> list[dict[str, Any]]:
        """The objects of a list, empty where the server knows no such kind."""
        return list((self.get(path) or {}).get("items") or [])

    def text(self, path: str, **query: str) -> str | None:
        """A text, such as a log; None where there is none."""
        answer = self._found(path, query)
        return None if answer is None else answer.decode("utf-8", "replace")

    def create(self, path: str, body: Mapping[str, Any]) -> bool:
        """Create an object; whether it was this call that did, and not one before it.

        Its name decides: where the answer to the first try gets lost, the second finds the object there.
        """
        try:
            self._patiently("POST", path, {"fieldValidation": "Strict"}, body)
        except ApiRefusedError as error:
            if error.status == 409:
                return False
            if error.status == 404:
                what = f"the cluster knows no {body['apiVersion']} {body['kind']}"
                fix = "install Kubeflow Trainer 2"
                raise ApiRefusedError(what, where=path, fix=fix, status=404) from error
            raise
        return True

    def apply(
        self, path: str, body: Mapping[str, Any], *, dry_run: bool = False, take_over: bool = False
    ) -> dict[str, Any]:
        """Create or change an object server-side; unknown fields are refused, those of others stay theirs.

        Args:
            path: of the object.
            body: the object.
            dry_run: have the server check it, admission included, and keep nothing.
            take_over: take fields that another manager has set to another value.

        Returns:
            The object as the server holds it.
        """
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": str(take_over).lower()}
        if dry_run:
            query["dryRun"] = "All"
        return self._object(self._patiently("PATCH", path, query, body, content_type=_APPLY), path)

    def delete(self, path: str) -> bool:
        """Delete an object, its dependents first; whether there was one."""
        return self._found(path, {"propagationPolicy": "Foreground"}, method="DELETE") is not None

    def may(
        self, verb: str, resource: str, namespace: str, *, group: str = "", subresource: str = ""
    ) -> bool:
        """Whether who asks has a right in a namespace."""
        asked = {
            "namespace": namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: value for name, value in asked.items() if value}},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self._object(self._patiently("POST", path, {}, body), path)
        return bool(answer.get("status", {}).get("allowed"))

    def _found(self, path: str, query: Mapping[str, str], *, method: str = "GET") -> bytes | None:
        try:
            return self._patiently(method, path, query)
        except ApiRefusedError as error:
            if error.status == 404:
                return None
            raise

    def _object(self, content: bytes, path: str) -> dict[str, Any]:
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            fix = "check the context: kubectl cluster-info"
            raise ApiRefusedError(f"the answer to {path} is no JSON object", where=self.host, fix=fix)
        return value

    def _patiently(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = _JSON,
    ) -> bytes:
        waited, tries = 0.0, 0
        while True:
            try:
                return self._send(method, path, query, body, content_type)
            except ApiAwayError as error:
                if waited >= self._patience_s:
                    raise
                if tries == 0:
                    self._say(f"kubernetes: {error.what}; trying for {duration(self._patience_s)}")
                pause_s = _WAITS[min(tries, len(_WAITS) - 1)]
                self._wait(pause_s)
                waited, tries = waited + pause_s, tries + 1

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        content_type: str,
    ) -> bytes:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer, _, _ = self._client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params={"Accept": "*/*", "Content-Type": content_type},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=_TIMEOUT_S,
            )
            return bytes(answer.data)
        except HTTPError as error:
            what = f"the API server does not answer ({type(error).__name__})"
            raise ApiAwayError(what, where=self.host, fix=_AGAIN) from error
        except ApiException as error:
            raise _explained(error, path) from error


def _explained(error: "ApiException", path: str) -> KubernetesError:
    told = _told(error)
    message, status = str(told.get("message") or error.reason)[:_MESSAGE_CHARACTERS], int(error.status or 0)
    details = told.get("details") or {}
    if status in _TRANSIENT:
        return ApiAwayError(f"the API server answers {status}: {message}", where=path, fix=_AGAIN)
    if status == 403:
        granted = next((value for part, value in _GRANTS.items() if part in path), "")
        fix = f"give the service account this right; the chart does with {granted}=true" if granted else _ASK
        return NotAllowedError(f"not allowed (403): {message}", where=path, fix=fix, status=status)
    if status == 401:
        fix = "log in again, so that kubectl get pods works; in a pod: mount a service account token"
        return ApiRefusedError(f"not logged in (401): {message}", where=path, fix=fix, status=status)
    return ApiRefusedError(f"refused ({status}): {message}", where=path, status=status, details=details)


def _told(error: "ApiException") -> dict[str, Any]:
    try:
        told = json.loads(error.body or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


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
