"""Where a Kubeflow Pipelines server is and who asks it; secrets come from the environment or a file."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tongues.core.errors import PipelineServerError

TOKEN_ENV = "TONGUES_KFP_TOKEN"  # noqa: S105 - the name of the variable
COOKIE_ENV = "TONGUES_KFP_COOKIE"
PROJECTED_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
"""Where a pod finds the token that Kubernetes projects for audience pipelines.kubeflow.org."""


@dataclass(frozen=True)
class KfpAccess:
    """Where the server is and as whom it is asked; secrets never appear in its representation.

    Args:
        host: address up to where /apis begins.
        namespace: Kubernetes namespace; empty where the server has a single user.
        token_file: file with a bearer token, read anew for each request, because such tokens rotate.
        user: value of the kubeflow-userid header, for a connection past the gateway.
        token: bearer token, where there is no file.
        cookie: Cookie header of a logged-in browser session.
    """

    host: str
    namespace: str = ""
    token_file: Path | None = None
    user: str = ""
    token: str = field(default="", repr=False)
    cookie: str = field(default="", repr=False)

    def headers(self) -> dict[str, str]:
        """Headers that say who asks.

        Raises:
            PipelineServerError: the token file cannot be read.
        """
        token = self._read_token()
        told = {
            "authorization": f"Bearer {token}" if token else "",
            "kubeflow-userid": self.user,
            "cookie": self.cookie,
        }
        return {name: value for name, value in told.items() if value}

    def _read_token(self) -> str:
        if self.token:
            return self.token
        path = self.token_file or (PROJECTED_TOKEN if PROJECTED_TOKEN.is_file() else None)
        if path is None:
            return ""
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise PipelineServerError(
                f"the token cannot be read ({error})", where=str(path), fix="check --token-file"
            ) from error


def access_to(
    host: str | None, *, namespace: str = "", token_file: Path | None = None, user: str = ""
) -> KfpAccess:
    """Check an address and add the secrets of the environment.

    Raises:
        PipelineServerError: there is no address, or it is not one.
    """
    if not host:
        fix = "give --host, or set TONGUES_KFP_HOST, such as http://localhost:8888"
        raise PipelineServerError("no Kubeflow Pipelines server is named", where="--host", fix=fix)
    parts = urlsplit(host)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        fix = f"write http://{host.split('://')[-1]} or https://{host.split('://')[-1]}"
        raise PipelineServerError("is not an http address", where=f"--host {host}", fix=fix)
    if parts.username or parts.password:
        fix = f"leave it out; put a token into {TOKEN_ENV}"
        raise PipelineServerError("a password does not belong in an address", where="--host", fix=fix)
    plain = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    token, cookie = os.environ.get(TOKEN_ENV, ""), os.environ.get(COOKIE_ENV, "")
    return KfpAccess(plain, namespace, token_file, user, token, cookie)
