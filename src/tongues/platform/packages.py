"""Single wheels from the package index that pip is set up to use, taken without being installed."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from tongues.core.errors import StorageError

_TIMEOUT_S = 900


def fetch_wheel(package: str, version: str, folder: Path) -> Path:
    """Download exactly one wheel: no dependencies, nothing built, nothing installed.

    Args:
        package: distribution name.
        version: exact version.
        folder: takes the file; created if absent.

    Returns:
        Path of the wheel.

    Raises:
        StorageError: pip is missing, the index does not have it, or it cannot be reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = f"{package}=={version}"
    _pip("download", wanted, "--no-deps", "--only-binary=:all:", "--dest", str(folder), wanted=wanted)
    stem = f"{re.sub(r'[-_.]+', '_', package)}-{version}-".lower()
    wheels = [path for path in folder.glob("*.whl") if path.name.lower().startswith(stem)]
    if len(wheels) != 1:
        raise StorageError(f"expected one wheel {stem}*.whl, found {len(wheels)}", where=str(folder))
    return wheels[0]


def missing_package(package: str, version: str) -> str:
    """Ask the index for a version without downloading it.

    Returns:
        What is wrong, or "" if the index has it.
    """
    try:
        answer = _pip("index", "versions", package, wanted=package)
    except StorageError as error:
        return error.line()
    listed = re.search(r"Available versions: (.*)", answer)
    versions = listed.group(1).split(", ") if listed else []
    return (
        ""
        if version in versions
        else f"{package} has no version {version}; there are {', '.join(versions[:8])}"
    )


def extract_member(wheel: Path, member: str, target: Path) -> None:
    """Write one file of a wheel; no other file of it reaches the disk.

    Args:
        wheel: the wheel.
        member: path inside it.
        target: file to write.

    Raises:
        StorageError: the wheel is broken or has no such file; names those of the same type.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as sink:
            while block := source.read(1 << 20):
                sink.write(block)
    except KeyError:
        target.unlink(missing_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            near = [n for n in archive.namelist() if Path(n).suffix == Path(member).suffix]
        raise StorageError(
            f"no file {member!r} in it",
            where=wheel.name,
            fix=f"it holds {', '.join(near[:8]) or 'none such'}",
        ) from None
    except zipfile.BadZipFile as error:
        raise StorageError(
            f"not a readable wheel ({error})", where=wheel.name, fix="download it again"
        ) from None


def _pip(*arguments: str, wanted: str) -> str:
    """Run pip; its last error line becomes ours."""
    command = [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise StorageError(f"the package index did not answer within {_TIMEOUT_S} s", where=wanted) from None
    if done.returncode == 0:
        return done.stdout
    lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")] or lines
    raise StorageError(
        f"pip could not get it: {errors[-1]}",
        where=wanted,
        fix="check the name and version, and that pip can reach its package index (`pip config list`)",
    )
