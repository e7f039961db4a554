"""The Dockerfiles keep their promises: pinned, nothing installed at run time, no root."""

import re
from pathlib import Path

import pytest
from chart_objects import ROOT

IMAGES = ROOT / "components" / "images"
NAMES = ["cpu", "cuda"]


def stages(name: str) -> dict[str, list[str]]:
    """Stage name to its instructions, continuation lines joined and comments dropped."""
    text = re.sub(r"^\s*#.*\n", "", (IMAGES / f"{name}.Dockerfile").read_text(), flags=re.MULTILINE)
    found: dict[str, list[str]] = {"": []}
    current = ""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if match := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            current = match[2]
            found[current] = []
        if line:
            found[current].append(line)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_image_bases_pinned_by_tag(name: str) -> None:
    arguments = dict(line.removeprefix("ARG ").split("=", 1) for line in stages(name)[""])
    assert set(arguments) == {"PYTHON_IMAGE", "UV_IMAGE"}
    assert all(re.fullmatch(r"[^:]+:\d+\.\d+\.\d+[-a-z]*", image) for image in arguments.values())


@pytest.mark.parametrize("name", NAMES)
def test_image_last_stage_is_the_runtime_without_test_tools(name: str) -> None:
    order = list(stages(name))
    assert order[-1] == "image"
    assert stages(name)["image"][0] == "FROM runtime AS image"
    assert "test" in order


@pytest.mark.parametrize("name", NAMES)
def test_image_runs_as_numeric_user_of_the_root_group(name: str) -> None:
    users = [line for line in stages(name)["runtime"] if line.startswith("USER ")]
    assert users == ["USER 10001:0"]
    assert stages(name)["test"][-2] == "USER 10001:0"


@pytest.mark.parametrize("name", NAMES)
def test_image_every_package_pinned(name: str) -> None:
    lines = [line for instructions in stages(name).values() for line in instructions]
    apt = next(line for line in lines if "apt-get install" in line)
    packages = re.findall(r"'([^']+)'", apt)
    assert {package.split("=")[0] for package in packages} >= {
        "apertium",
        "apertium-en-gl",
        "apertium-eng-cat",
        "apertium-eng-spa",
        "apertium-eo-en",
    }
    assert all("=" in package for package in packages)
    installs = [line for line in lines if "uv pip install" in line]
    assert all("--constraint constraints.txt" in line or "--no-deps ." in line for line in installs)
    assert not any("pip install" in line for line in stages(name)["runtime"])


@pytest.mark.parametrize("name", NAMES)
def test_image_copies_only_what_the_context_lets_in(name: str) -> None:
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = [
        line.split()[1:-1]
        for line in stages(name)["build"]
        if line.startswith("COPY ") and "--from" not in line
    ]
    sources = {source for group in copied for source in group}
    assert sources <= let_in
    assert all((ROOT / source).exists() for source in sources)


def test_image_constraints_hold_plain_pins() -> None:
    pins = [
        line for line in Path(ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
    ]
    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[^@/\s]+", pin)] == []
