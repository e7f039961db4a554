"""Unit tests that compute with torch run in one process, so that only one of the two has to load it."""

import pytest

_WITH_TORCH = (
    "tests/unit/tuning/",
    "tests/unit/evaluation/test_local_model.py",
    "tests/unit/evaluation/test_score_model.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put them into one group, for `--dist loadgroup`."""
    for item in items:
        if item.nodeid.startswith(_WITH_TORCH):
            item.add_marker(pytest.mark.xdist_group("torch"))
