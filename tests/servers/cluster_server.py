"""The stand-in cluster as far as a look at it asks.

It knows objects by path, groups of APIs, rights of who asks, and may be old, or another program.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from kubernetes_http import KubernetesHttp, Refusal, Request

APIS = ("argoproj.io/v1alpha1", "serving.kserve.io/v1beta1", "kueue.x-k8s.io/v1beta2", "keda.sh/v1alpha1")
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass
class ClusterServer(KubernetesHttp):
    """The server.

    Args:
        version: as /version tells it.
        apis: group and version of each API served.
        objects: path to object, or to the items of a list.
        forbidden: paths that who asks may not read.
        denied: rights they do not have, as "verb resource".
        page: answer everything with a web page.
    """

    version: str = "v1.34.1"
    apis: tuple[str, ...] = APIS
    objects: dict[str, Any] = field(default_factory=dict)
    forbidden: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    page: bool = False
    token: str = ""

    def route(self, request: Request) -> Any:
        """Version, groups of APIs, reviews of rights, and objects."""
        path = request.path
        if self.page:
            return "<html>a router</html>"
        if request.method == "POST" and path == _REVIEW:
            return self._review(json.loads(request.body))
        if path in self.forbidden:
            raise Refusal(403, f'User "ada" cannot get resource "{path.rsplit("/", 1)[1]}"')
        if path == "/version":
            return {"major": "1", "gitVersion": self.version}
        if path == "/apis":
            groups = [{"name": a.split("/")[0], "versions": [{"groupVersion": a}]} for a in self.apis]
            return {"kind": "APIGroupList", "groups": groups}
        if path not in self.objects:
            raise Refusal(404, f"{path} not found")
        found = self.objects[path]
        return {"kind": "List", "items": found} if isinstance(found, list) else found

    def _review(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        about = asked["spec"]["resourceAttributes"]
        sub = f"/{about['subresource']}" if about.get("subresource") else ""
        allowed = f"{about['verb']} {about['resource']}{sub}" not in self.denied
        return 201, asked | {"status": {"allowed": allowed}}
