"""The CPU image's stages, built: its files, user and entry point, and that it works as any user, read-only.

Where no container builder stands, the steps of the Dockerfile are carried out in a clean Debian of its own.
The base is Debian bookworm with its Python 3.11 in place of the image python:3.11-slim-bookworm, which is the
same system; the network's package sources are this machine's.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

from dockerfile_steps import Builder, copy

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
DEBIAN = os.environ.get("TONGUES_TEST_DEBIAN", "")
WHEELS = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS") or ""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with a clean Debian that has a Python where the base image has its own."""
    if os.geteuid() or not (shutil.which("debootstrap") or DEBIAN):
        pytest.skip("needs root, and debootstrap or a folder that it made in TONGUES_TEST_DEBIAN")
    root = tmp_path_factory.mktemp("base") / "debian"
    if DEBIAN:
        copy(Path(DEBIAN), root)
    else:
        packages = "--include=ca-certificates,python3,python3-venv"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", root], check=True, timeout=900
        )
    (root / "usr/local/bin/python3").symlink_to("/usr/bin/python3")
    for name in (
        "etc/resolv.conf",
        "etc/hosts",
        "etc/ssl/certs/ca-certificates.crt",
        "etc/apt/sources.list.d/debian.sources",
    ):
        if Path("/", name).is_file():
            copy(Path("/", name), root / name)
    for settings in Path("/etc/apt/apt.conf.d").glob("99*"):
        copy(settings, root / "etc/apt/apt.conf.d" / settings.name)
    return root


@pytest.fixture(scope="module")
def image(base, tmp_path_factory):
    """The stages `build` and `runtime`, and what runs commands in them."""
    work = tmp_path_factory.mktemp("image")
    (work / "uv-image").mkdir()
    copy(_uv(), work / "uv-image" / "uv")
    builder = Builder(
        ROOT / "components/images/cpu.Dockerfile",
        ROOT,
        work,
        {"PYTHON_IMAGE": base, "uv": work / "uv-image"},
        # A folder of wheels has the CPU build of torch; PyTorch's own index may be out of reach.
        edits={"--torch-backend cpu ": ""} if WHEELS else {},
        mounts=(Path(WHEELS),) if WHEELS else (),
        extra={"UV_FIND_LINKS": WHEELS, "DEBIAN_FRONTEND": "noninteractive", **_indexes()},
    )
    yield builder, builder.build("build", "runtime")
    shutil.rmtree(work)


def _uv() -> Path:
    """The program itself, where the one on the path is only a script that finds it."""
    places = [Path(sys.executable).resolve().with_name("uv"), Path(shutil.which("uv") or "/nonexistent")]
    found = next((p for p in places if p.is_file() and p.read_bytes()[:4] == b"\x7fELF"), None)
    if found is None:
        pytest.skip("needs the program uv")
    return found


def _indexes() -> dict[str, str]:
    """Where this machine takes packages from, as pip and uv are told here."""
    told = {name: value for name, value in os.environ.items() if name.startswith("UV_") and "INDEX" in name}
    asked = subprocess.run(
        ["python3", "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    told |= {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
    return ({"UV_DEFAULT_INDEX": asked.stdout.strip()} if asked.stdout.strip() else {}) | told


def run(image, command, **more):
    builder, stages = image
    return builder.run(stages["runtime"], command, **more)


def test_the_image_runs_as_a_numeric_user_and_its_entry_point_is_ours(image):
    stage = image[1]["runtime"]
    assert (stage.user, stage.entrypoint, stage.workdir) == ("10001:0", '["tongues"]', "/tmp")
    done = run(image, "tongues --version", read_only=True)
    assert done.returncode == 0 and done.stdout.strip() == "0.1.0", done.stderr


@pytest.mark.parametrize("user", ["10001:0", "1000730000:0", "65534:65534"])
def test_any_user_id_works_on_a_read_only_root(image, user):
    command = "tongues doctor --json -w /tmp/work; id -u"
    done = run(image, command, user=user, read_only=True)
    assert '"name": "apertium", "ok": true' in done.stdout, done.stdout + done.stderr
    assert done.stdout.strip().endswith(user.split(":")[0])
    written = run(image, "touch /opt/tongues/x /usr/x", user="0:0", read_only=True)
    assert written.returncode and "Read-only file system" in written.stderr


def test_the_pipelines_steps_are_there_with_all_they_import(image):
    done = run(image, 'python -c "import kfp, mlflow, torch, tongues.stages.steps"', read_only=True)
    assert done.returncode == 0, done.stderr


def test_nothing_of_the_build_is_left_in_the_image(image):
    root = image[1]["runtime"].root
    assert not (root / "src").exists() and not list((root / "var/lib/apt/lists").glob("*_*"))
    assert not list((root / "opt/tongues").rglob("uv")) or not (root / "usr/local/bin/uv").exists()
    done = run(image, "command -v uv gcc git curl; true")
    assert done.stdout.strip() == ""


def test_only_scratch_folders_can_be_written_by_all(image):
    done = run(image, "find / -xdev -type d -perm -0002 -not -path '/proc/*' -not -path '/dev/*'", user="0:0")
    assert set(done.stdout.split()) <= {"/tmp", "/var/tmp", "/run/lock"}


def test_no_file_gives_its_user_more_rights(image):
    done = run(image, "find /opt/tongues -perm /6000", user="0:0")
    assert done.stdout == ""
