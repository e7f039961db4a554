"""A connection to MLflow: where it is, that it answers, and its errors in our words."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tongues.core.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def resolve_tracking_uri(configured: str | None, workspace: Path) -> str:
    """Where MLflow is: the recipe, else MLFLOW_TRACKING_URI, else SQLite in the workspace."""
    if uri := configured or os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    path = str((workspace / "mlflow.db").resolve())
    return f"sqlite:///{path.replace('%', '%25').replace('?', '%3F')}"


def ui_command(uri: str) -> str:
    """What to type, or open, to look at the runs."""
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri '{uri}'"


def connect(uri: str) -> MlflowClient:
    """Connect, quietly and without usage reports.

    Raises:
        RegistryError: MLflow is not installed, does not answer, or its database has another schema.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if uri.startswith("http"):
        reach(uri)
    if uri.startswith(_SQLITE):
        _open(uri)
    with explained(uri, "connect"):
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        return MlflowClient(uri, uri)


def reach(uri: str) -> None:
    """Find out in seconds, not after MLflow's minutes of retries, that nobody is there."""
    import httpx

    try:
        httpx.get(f"{uri.rstrip('/')}/health", timeout=10)
    except httpx.HTTPError as error:
        fix = "start the server, or correct registry.tracking_uri or MLFLOW_TRACKING_URI"
        raise RegistryError(f"MLflow does not answer ({error})", where=shown(uri), fix=fix) from error


def _open(uri: str) -> None:
    """Find out at once that the file cannot be opened; MLflow would try for two minutes."""
    path = Path(unquote(uri.removeprefix(_SQLITE)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA schema_version")
    except (OSError, sqlite3.Error) as error:
        fix = "check that it is MLflow's database and that its folder can be written to"
        raise RegistryError(f"cannot be opened ({error})", where=str(path), fix=fix) from error


@contextmanager
def explained(uri: str, doing: str) -> Iterator[None]:
    """Turn what MLflow, its database or the network throw into one error of ours."""
    try:
        yield
    except RegistryError:
        raise
    except ImportError as error:
        fix = "install the registry extra: tongues[registry]"
        raise RegistryError(f"MLflow is not installed ({error})", where=shown(uri), fix=fix) from error
    except Exception as error:  # mlflow, sqlalchemy and requests share no base class
        module = type(error).__module__.split(".")[0]
        if not isinstance(error, OSError) and module not in ("mlflow", "sqlalchemy", "alembic", "requests"):
            raise
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RegistryError(f"could not {doing}: {first}", where=shown(uri), fix=_fix(uri, first)) from error


def _fix(uri: str, message: str) -> str:
    if "schema" in message and "out-of-date" in message:
        return f"back the database up, then run: mlflow db upgrade '{shown(uri)}'"
    if uri.startswith("http"):
        return "look at the MLflow server's log"
    return ""


def shown(uri: str) -> str:
    """The address without a password."""
    parts = urlsplit(uri)
    if not parts.password:
        return uri
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")).geturl()
