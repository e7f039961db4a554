"""Check a running MLflow: it is healthy, refuses strangers, and lets the administrator in."""

import base64
import os
from http.client import HTTPConnection

HEALTH = "/health"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"


def status(path: str, user: str = "", password: str = "") -> int:
    """HTTP status of a GET request, with basic authentication where a user is given."""
    connection = HTTPConnection(os.environ["MLFLOW_HOST"], int(os.environ["MLFLOW_PORT"]), timeout=20)
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    connection.request("GET", path, headers={"Authorization": f"Basic {token}"} if user else {})
    return connection.getresponse().status


def expect(what: str, seen: int, wanted: int) -> None:
    """Print what was seen, and stop with exit code 1 where it is not what was wanted."""
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"{what} answered {seen}, expected {wanted}")


expect("health", status(HEALTH), 200)
if "ADMIN_PASSWORD" in os.environ:
    expect("search without a password", status(SEARCH), 401)
    user, password = os.environ["ADMIN_USERNAME"], os.environ["ADMIN_PASSWORD"]
    expect("search as administrator", status(SEARCH, user, password), 200)
else:
    expect("search", status(SEARCH), 200)
