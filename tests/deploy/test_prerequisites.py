"""Prerequisites: pinned once, on the page, and the versions whose CRDs everything is checked against."""

import re

import pytest
import yaml
from chart_objects import CRDS, ROOT
from test_chart_objects_valid import KUBERNETES

FOLDER = ROOT / "manifests" / "prerequisites"
VERSIONS = yaml.safe_load((FOLDER / "versions.yaml").read_text())


def test_page_names_every_version() -> None:
    page = (FOLDER / "README.md").read_text()
    assert [part for part, version in VERSIONS.items() if f"| {version} " not in page] == []


def test_page_steps_are_in_order() -> None:
    steps = [
        int(step) for step in re.findall(r"^\| (\d+) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    ]
    assert steps == sorted(steps) and len(steps) >= 10


def test_kubernetes_is_the_one_that_objects_are_checked_against() -> None:
    assert VERSIONS["kubernetes"] == KUBERNETES


@pytest.mark.skipif(not CRDS.is_dir(), reason=f"needs CRDs in {CRDS}; set TONGUES_CRDS")
@pytest.mark.parametrize(
    "part", ["kserve", "kfp", "trainer", "kueue", "keda", "prometheus-operator", "cert-manager"]
)
def test_version_is_that_of_the_crds(part: str) -> None:
    assert [folder.name for folder in CRDS.glob(f"{part}-*")] == [f"{part}-{VERSIONS[part]}"]
