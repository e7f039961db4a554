"""What the tests of the Kubeflow Pipelines client share: a server, and a way to reach it without waiting."""

from collections.abc import Callable

import pytest
from kfp_api import KfpApi

from tongues.platform.kfp_access import access_to
from tongues.platform.kfp_connection import KfpConnection
from tongues.platform.kfp_server import KfpServer

Reach = Callable[..., KfpServer]


@pytest.fixture
def reach(monkeypatch) -> Reach:
    """Connect to a server; waits are noted, not waited, and nobody's projected token is read."""
    monkeypatch.setattr("tongues.platform.kfp_access.PROJECTED_TOKEN", _NOWHERE)
    monkeypatch.setattr("tongues.platform.kfp_server.POD_NAMESPACE", _NOWHERE)

    def build(api: KfpApi, *, timeout_s: float = 5.0, waited: list[float] | None = None, **who) -> KfpServer:
        access = access_to(api.url, **who)
        wait = (waited if waited is not None else []).append
        return KfpServer(access, connection=KfpConnection(access, timeout_s=timeout_s, wait=wait))

    return build


class _Nowhere:
    def is_file(self) -> bool:
        return False


_NOWHERE = _Nowhere()
