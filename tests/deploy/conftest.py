import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

import chart_objects


@pytest.fixture(scope="session", params=[*chart_objects.VALUE_SETS, *chart_objects.KUSTOMIZED])
def objects(request: pytest.FixtureRequest) -> chart_objects.Objects:
    """The objects of each value set and each overlay, one after the other."""
    if request.param in chart_objects.VALUE_SETS:
        return chart_objects.from_value_set(request.param)
    if not chart_objects.has_kubectl():
        pytest.skip("needs kubectl for kustomize")
    return chart_objects.from_kustomize(request.param)
