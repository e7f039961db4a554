"""HTTP to a Kubeflow Pipelines server: what its refusals mean in our words.

KFP's own client is not used here: it prints on standard output, writes a file into the home folder, takes
a login page for an answer, and waits for ever on a run that was cancelled. The REST API behind it is
the documented one (v2beta1).
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tongues.core.errors import PipelineServerError
from tongues.platform.kfp_access import TOKEN_ENV, KfpAccess

if TYPE_CHECKING:
    import ssl

    import httpx

_LOG_IN = (
    f"put a token into {TOKEN_ENV}, or name its file with --token-file; "
    "kubectl create token SERVICE_ACCOUNT --audience pipelines.kubeflow.org makes one"
)
_REACH = (
    "check --host; for a cluster without ingress: kubectl port-forward -n kubeflow svc/ml-pipeline 8888:8888"
)
_TRANSIENT = (429, 500, 502, 503, 504)
_MESSAGE_CHARACTERS = 300


class ServerAwayError(PipelineServerError):
    """The server does not answer now, or only with an error of its own; it may be back later."""


class NotFoundError(PipelineServerError):
    """There is no such thing on the server."""


class RefusedError(PipelineServerError):
    """The server understood and said no.

    Args:
        status: HTTP status of the answer.
    """

    def __init__(self, what: str, *, where: str, fix: str = "", status: int = 0) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status = status


class KfpConnection:
    """Requests to one server.

    Args:
        access: where it is and who asks.
        timeout_s: longest wait for a part of an answer.
        waits: seconds before each further try of a request that changes nothing.
        wait: what waits.
    """

    def __init__(
        self,
        access: KfpAccess,
        *,
        timeout_s: float = 30.0,
        waits: tuple[float, ...] = (0.5, 2.0),
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        self.access, self._waits, self._wait = access, waits, wait
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0))
        self._client = httpx.Client(base_url=access.host, timeout=timeout, verify=_authorities())

    def get(self, path: str, /, **query: Any) -> dict[str, Any]:
        """Ask for a JSON object; a server that is away is asked again, a few times.

        Raises:
            PipelineServerError: it is still away, or said no; see the subclasses.
        """
        for wait_s in self._waits:
            try:
                return self._send("GET", path, query=query)
            except ServerAwayError:
                self._wait(wait_s)
        return self._send("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Have something done, in one try: after a broken connection nobody knows whether it was."""
        return self._send("POST", path, json=body or {})

    def upload(self, path: str, file: str, content: bytes, /, **query: Any) -> dict[str, Any]:
        """Upload a file, in one try."""
        files = {"uploadfile": (file, content, "application/octet-stream")}
        return self._send("POST", path, query=query, files=files)

    def lines(self, path: str, /, **query: Any) -> Iterator[str]:
        """The lines of a plain text, as they come."""
        request = self._request("GET", path, query)
        with _explained(self.access.host), self._streaming(request) as response:
            if response.status_code != 200 or "html" in response.headers.get("content-type", ""):
                response.read()
                self._check(response)
            yield from response.iter_lines()

    def _request(self, method: str, path: str, query: Mapping[str, Any], **body: Any) -> "httpx.Request":
        given = {name: value for name, value in query.items() if value not in ("", None)}
        headers = self.access.headers()
        return self._client.build_request(method, path, params=given, headers=headers, **body)

    def _send(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, **body: Any
    ) -> dict[str, Any]:
        request = self._request(method, path, query or {}, **body)
        with _explained(self.access.host):
            response = self._client.send(request)
        self._check(response)
        return self._json(response)

    @contextmanager
    def _streaming(self, request: "httpx.Request") -> "Iterator[httpx.Response]":
        response = self._client.send(request, stream=True)
        try:
            yield response
        finally:
            response.close()

    def _json(self, response: "httpx.Response") -> dict[str, Any]:
        try:
            value = json.loads(response.content or b"{}")
        except ValueError:
            what = f"the answer to {response.request.url.path} is not JSON or breaks off"
            fix = "try again; if it stays, look at the log of the ml-pipeline pod"
            raise ServerAwayError(what, where=self.access.host, fix=fix) from None
        if not isinstance(value, dict):
            what = f"the answer to {response.request.url.path} is not an object"
            raise RefusedError(what, where=self.access.host, fix=_REACH)
        return value

    def _check(self, response: "httpx.Response") -> None:
        host, status = self.access.host, response.status_code
        if 300 <= status < 400:
            raise _redirected(host, response.headers.get("location", ""))
        message = self._without_secrets(_message(response))
        if status == 401 or "Unauthenticated" in message or "user identity header" in message:
            raise RefusedError(f"not logged in ({message or status})", where=host, fix=_LOG_IN, status=401)
        if _is_page(response):
            raise _page(host, status, bool(self.access.headers()))
        if status == 403 or "not authorized" in message:
            raise RefusedError(f"not allowed: {message}", where=host, fix=self._allow(), status=403)
        if status == 404:
            raise NotFoundError(message or "not found", where=host)
        if status in _TRANSIENT:
            what = f"the server answers {status}: {message}"
            raise ServerAwayError(what, where=host, fix="look at the log of the ml-pipeline pod")
        if status >= 400:
            raise RefusedError(message or f"the server answers {status}", where=host, status=status)

    def _without_secrets(self, message: str) -> str:
        """Some gateways quote the token that they refuse."""
        for value in self.access.headers().values():
            secret = value.removeprefix("Bearer ")
            message = message if secret == self.access.user else message.replace(secret, "***")
        return message

    def _allow(self) -> str:
        namespace = self.access.namespace or "NAMESPACE"
        return (
            f"check --namespace; kubectl get rolebindings -n {namespace} shows who may use it: "
            "kubeflow-edit, or kubeflow-pipelines-edit, starts runs"
        )


@cache
def _authorities() -> "ssl.SSLContext":
    """Certificates that servers are checked by; they are read once in a process."""
    import httpx

    return httpx.create_ssl_context()


@contextmanager
def _explained(host: str) -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise ServerAwayError(
            f"no answer in time ({type(error).__name__})", where=host, fix=_REACH
        ) from error
    except httpx.RequestError as error:
        told = str(error) or type(error).__name__
        raise ServerAwayError(f"does not answer ({told})", where=host, fix=_REACH) from error


def _redirected(host: str, location: str) -> PipelineServerError:
    """An address that moved is one thing; being sent to log in is another."""
    here, there = urlsplit(host), urlsplit(location)
    if there.hostname == here.hostname and there.scheme != here.scheme and there.scheme:
        fix = f"write --host {there.scheme}://{there.netloc}{here.path}"
        return RefusedError(f"the server moved to {there.scheme}", where=host, fix=fix)
    to = f"{there.scheme}://{there.netloc}{there.path}" if there.netloc else there.path
    return RefusedError(f"sends to a login page ({to})", where=host, fix=_LOG_IN, status=401)


def _page(host: str, status: int, told: bool) -> PipelineServerError:
    """A web page came where JSON belongs: the login of a gateway, or an address that is another program's."""
    if status == 404:
        return NotFoundError("there is no Kubeflow Pipelines API at this address", where=host, fix=_REACH)
    if status in _TRANSIENT:
        return ServerAwayError(f"a gateway answers {status}", where=host, fix=_REACH)
    refused = "the gateway did not take the token and shows" if told else "shows"
    what = f"{refused} a web page, most likely its login, where JSON belongs"
    return RefusedError(what, where=host, fix=_LOG_IN, status=401)


def _is_page(response: "httpx.Response") -> bool:
    start = response.content[:200].lstrip().lower()
    return start.startswith((b"<!doctype", b"<html"))


def _message(response: "httpx.Response") -> str:
    """What the server says, without the stack trace that KFP sends along."""
    if response.status_code < 400 or _is_page(response):
        return ""
    try:
        body = response.json()
    except ValueError:
        body = {"message": response.text}
    body = body if isinstance(body, dict) else {}
    told = body.get("message") or body.get("error") or body.get("error_message") or ""
    return str(told).split("\n", 1)[0][:_MESSAGE_CHARACTERS]
