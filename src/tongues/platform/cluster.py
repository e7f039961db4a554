"""Looks at a Kubernetes cluster: single questions to its API, none of which changes anything.

Each question is asked once with a short limit: whoever looks at a cluster wants to hear that it is away, and
not to wait until it is back.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tongues.core.errors import KubernetesError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, ApiException

_TIMEOUT_S = (5.0, 20.0)
_MESSAGE_CHARACTERS = 300


class NotAllowedError(KubernetesError):
    """The server knows who asks, and this they may not see."""


class Cluster:
    """Questions to one API server.

    Args:
        client: of the official package, with its access.
    """

    def __init__(self, client: "ApiClient") -> None:
        self._client = client
        self.host: str = client.configuration.host

    @classmethod
    def of_context(cls, context: str = "") -> "Cluster":
        """With kubectl's access: a context by name, or the current one; in a pod that of its account.

        Raises:
            KubernetesError: there is no access.
        """
        from kubernetes import client, config

        try:
            return cls(config.new_client_from_config(context=context or None))
        except config.ConfigException as error:
            if not context:
                try:
                    config.load_incluster_config()
                    return cls(client.ApiClient())
                except config.ConfigException:
                    pass
            fix = "kubectl config get-contexts lists what there is; KUBECONFIG names another file"
            raise KubernetesError(f"no access to a cluster ({error})", where="kubeconfig", fix=fix) from error

    def get(self, path: str) -> dict[str, Any] | None:
        """An object or a list; None where there is none.

        Raises:
            NotAllowedError: whoever asks may not see it.
            KubernetesError: the server does not answer, or not as an API server does.
        """
        return self._ask("GET", path)

    def items(self, path: str) -> list[dict[str, Any]]:
        """The objects of a list, empty where the server knows no such kind."""
        return list((self.get(path) or {}).get("items") or [])

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
        answer = self._ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body) or {}
        return bool(answer.get("status", {}).get("allowed"))

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer, _, _ = self._client.call_api(
                path,
                method,
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=_TIMEOUT_S,
            )
            return self._parsed(answer.data, path)
        except HTTPError as error:
            fix = "check the context: kubectl cluster-info"
            what = f"the API server does not answer ({type(error).__name__})"
            raise KubernetesError(what, where=self.host, fix=fix) from error
        except ApiException as error:
            if error.status == 404:
                return None
            raise self._refused(error, path) from error

    def _parsed(self, content: bytes, path: str) -> dict[str, Any]:
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            fix = "check the context: kubectl cluster-info"
            raise KubernetesError(f"the answer to {path} is no JSON object", where=self.host, fix=fix)
        return value

    def _refused(self, error: "ApiException", path: str) -> KubernetesError:
        told = _message(error)
        if error.status == 403:
            fix = "have somebody with the right run this, or ask for it"
            return NotAllowedError(f"not allowed: {told}", where=path, fix=fix)
        if error.status == 401:
            fix = "log in again, so that kubectl get pods works"
            return KubernetesError(f"not logged in ({told})", where=self.host, fix=fix)
        return KubernetesError(f"the API server answers {error.status}: {told}", where=path, fix="try again")


def _message(error: "ApiException") -> str:
    try:
        told = json.loads(error.body or b"{}").get("message", "")
    except (ValueError, AttributeError):
        told = ""
    return str(told or error.reason)[:_MESSAGE_CHARACTERS]
