"""The Dockerfiles keep their promises: pinned, nothing installed at run time, no root."""

import os
import re
import shutil
import subprocess
import sys
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


SCRIPTS = [
    *(path for path in (ROOT / "scripts").iterdir() if path.is_file()),
    ROOT / ".ci" / "run",
    IMAGES / "build",
]


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", NAMES)
def test_image_keeps_hadolints_rules(name: str) -> None:
    done = tool("hadolint", "--failure-threshold", "info", IMAGES / f"{name}.Dockerfile")
    assert done.returncode == 0, done.stdout


def test_a_dockerfile_that_breaks_the_rules_is_found(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM debian:latest\nRUN cd /tmp && apt-get install curl\n")
    assert tool("hadolint", tmp_path / "Dockerfile").returncode


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shell_keeps_shellchecks_rules(script: Path) -> None:
    done = tool("shellcheck", script)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_image_carries_a_list_of_what_is_in_it(name: str) -> None:
    made = next(line for line in stages(name)["build"] if "cyclonedx-py" in line)
    assert re.search(r"cyclonedx-bom==\d+\.\d+\.\d+ ", made) and "/opt/tongues/sbom.cdx.json" in made
    assert stages(name)["build"][-1] == made, "it lists our own package too"


@pytest.mark.parametrize("name", NAMES)
def test_image_labels_are_those_of_the_open_container_initiative(name: str) -> None:
    said = re.findall(r"(org\.opencontainers\.image\.\w+)=", stages(name)["image"][-1])
    keys = ("title", "description", "licenses", "version", "revision", "created")
    assert said == [f"org.opencontainers.image.{key}" for key in keys]


def builder(folder: Path, name: str, *, works: bool = True) -> None:
    """A program that writes down how it was called, as a container builder in its place would be."""
    path = folder / name
    path.write_text(
        f'#!/bin/sh\n[ "$1" = info ] && exit {0 if works else 1}\necho "{name} $*" >> {folder}/calls\n'
    )
    path.chmod(0o755)


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    for program in ("bash", "sed", "git", "dirname", "env"):
        (folder / program).symlink_to(shutil.which(program) or program)
    path = {"PATH": str(folder), "HOME": os.environ["HOME"]}
    command = [str(folder / "bash"), str(IMAGES / "build")]
    return subprocess.run(command, env=path | environment, capture_output=True, text=True, timeout=60)


def test_images_are_built_with_the_first_builder_that_works(tmp_path: Path) -> None:
    builder(tmp_path, "docker", works=False)
    builder(tmp_path, "buildah")
    done = build(tmp_path, REGISTRY="r.example", TARGET="test")
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["buildah", "buildah"]
    assert "--target test --tag r.example/tongues/cpu:0.1.0" in calls[0]
    assert re.search(r"REVISION=[0-9a-f]{40} --build-arg CREATED=\d{4}-\d\d-\d\dT[\d:]+Z", calls[1])


def test_without_any_builder_it_says_what_to_install(tmp_path: Path) -> None:
    done = build(tmp_path)
    assert done.returncode == 1 and "install podman or buildah" in done.stderr
