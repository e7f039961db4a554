"""What holds for every test: no network beyond this machine, no leaks through the environment."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tongues", deadline=None, max_examples=30, database=None, derandomize=True)
settings.load_profile("tongues")

REPOSITORY = Path(__file__).resolve().parents[1]
_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}
os.environ.update(_QUIET)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """No test sees the user's settings, or leaves its own behind."""
    for name in [n for n in os.environ if n.startswith(("TONGUES_", "MLFLOW_", "AWS_", "OPENAI_"))]:
        if name not in _QUIET and name != "TONGUES_TEST_MODEL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch):
    """A connection that would leave this machine fails the test that made it."""
    connect = socket.socket.connect

    def guarded(self, address):
        host = address[0] if isinstance(address, tuple) else "127.0.0.1"
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"test tried to reach {host}; tests use loopback only")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real public data beside the checkout; skips where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real data files in {folder}")
    return folder
