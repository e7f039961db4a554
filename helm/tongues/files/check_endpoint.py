"""Check the follower's door: it is healthy, and lets nobody in without a key."""

import os
from http.client import HTTPConnection


def expect(path: str, wanted: int) -> None:
    """Stop with exit code 1 where a GET request without a key is answered otherwise."""
    connection = HTTPConnection(os.environ["DOOR_HOST"], int(os.environ["DOOR_PORT"]), timeout=20)
    connection.request("GET", path)
    seen = connection.getresponse().status
    print(f"{path}: {seen}")
    if seen != wanted:
        raise SystemExit(f"{path} answered {seen}, expected {wanted}")


expect("/health", 200)
expect("/v1/models", 401)
