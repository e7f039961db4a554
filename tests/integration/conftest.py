"""What integration tests share: an object store over HTTP, in the environment of this process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

from object_store import ObjectStore, running_store


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A running S3 server with an empty bucket "tongues"; our own code speaks to it."""
    with running_store("tongues") as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store


@pytest.fixture
def bucket(object_store: ObjectStore) -> str:
    """Address of a workspace in that bucket."""
    return "s3://tongues/work"
