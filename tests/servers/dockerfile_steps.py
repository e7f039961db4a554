"""Carries out the steps of a Dockerfile without a container builder: in folders that hold a whole Debian.

Each stage is a copy of the one it builds on; COPY copies, RUN runs under chroot with the stage's own ENV,
WORKDIR and USER, cache mounts are emptied after the step. It wants root, chroot and a folder with the base
system (debootstrap makes one).
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_ASSIGNED = re.compile(r"(\w+)=(\"[^\"]*\"|\S+)")


@dataclass
class Stage:
    """One stage: its files, and what the image would say of itself."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: str = ""
    labels: str = ""


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Instruction and its argument, comments dropped and continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


class Builder:
    """Builds the stages of one Dockerfile.

    Args:
        dockerfile: the file.
        context: folder that COPY copies from.
        work: folder for the stages.
        images: name of an ARG that FROM uses to the folder that stands for the image.
        edits: pairs of text; the first is replaced by the second in RUN lines, for what this machine lacks.
        mounts: folders of this machine that RUN sees at the same place.
        extra: environment of RUN lines that is not the image's.
    """

    def __init__(
        self,
        dockerfile: Path,
        context: Path,
        work: Path,
        images: Mapping[str, Path],
        *,
        edits: Mapping[str, str] | None = None,
        mounts: tuple[Path, ...] = (),
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self.context, self.work, self.images = context, work, images
        self.edits, self.mounts, self.extra = edits or {}, mounts, extra or {}
        self.stages: dict[str, Stage] = {}
        self.steps = instructions(dockerfile)

    def build(self, *wanted: str) -> dict[str, Stage]:
        """Carry out the steps of these stages, in the file's order; the others are passed over."""
        current = ""
        for name, argument in self.steps:
            if name == "FROM":
                current = argument.rsplit(" AS ", 1)[1]
                if current in wanted:
                    self.stages[current] = self._begin(argument.split(" AS ")[0], current)
            elif current in wanted and hasattr(self, f"_{name.lower()}"):
                getattr(self, f"_{name.lower()}")(self.stages[current], argument)
        return self.stages

    def _begin(self, base: str, name: str) -> Stage:
        root = self.work / name
        if base in self.stages:
            parent = self.stages[base]
            copy(parent.root, root)
            return Stage(root, dict(parent.env), parent.workdir, parent.user, parent.entrypoint)
        copy(self.images[base.strip("${}")], root)
        return Stage(root, {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"})

    def _env(self, stage: Stage, argument: str) -> None:
        for name, value in _ASSIGNED.findall(argument):
            stage.env[name] = value.strip('"').replace("${PATH}", stage.env["PATH"])

    def _workdir(self, stage: Stage, argument: str) -> None:
        stage.workdir = argument
        (stage.root / argument.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _user(self, stage: Stage, argument: str) -> None:
        stage.user = argument

    def _entrypoint(self, stage: Stage, argument: str) -> None:
        stage.entrypoint = argument

    def _label(self, stage: Stage, argument: str) -> None:
        stage.labels = argument

    def _copy(self, stage: Stage, argument: str) -> None:
        words = argument.split()
        options = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        origin = next((o.removeprefix("--from=") for o in options if o.startswith("--from=")), "")
        root = (
            (self.stages[origin].root if origin in self.stages else self.images[origin])
            if origin
            else self.context
        )
        to = stage.root / (target if target.startswith("/") else f"{stage.workdir}/{target}").lstrip("/")
        for source in sources:
            path = root / source.lstrip("/")
            copy(path, to / path.name if target.endswith("/") else to)

    def _run(self, stage: Stage, argument: str) -> None:
        for folder in re.findall(r"--mount=type=cache,target=(\S+)", argument):
            (stage.root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        command = re.sub(r"--mount=\S+\s*", "", argument)
        for before, after in self.edits.items():
            command = command.replace(before, after)
        done = self.run(stage, command, env=self.extra)
        if done.returncode:
            raise RuntimeError(f"RUN {command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        for folder in re.findall(r"--mount=type=cache,target=(\S+)", argument):
            shutil.rmtree(stage.root / folder.lstrip("/"), ignore_errors=True)

    def run(
        self,
        stage: Stage,
        command: str,
        *,
        user: str = "",
        env: Mapping[str, str] | None = None,
        read_only: bool = False,
    ) -> "subprocess.CompletedProcess[str]":
        """A shell command in a stage, in mount points of its own that end with it.

        Args:
            stage: the stage.
            command: for ``sh -c``.
            user: as chroot takes it; the stage's own when empty.
            env: beside the stage's.
            read_only: mount the stage read-only, with an empty /tmp, as a pod has it.
        """
        root = stage.root
        binds = [(Path("/dev"), root / "dev"), (Path("/proc"), root / "proc")]
        binds += [(folder, root / str(folder).lstrip("/")) for folder in self.mounts]
        lines = ["set -e", f"mount --bind {root} {root}", f"mkdir -p {root}/dev {root}/proc {root}/tmp"]
        for source, target in binds:
            lines += [f"mkdir -p {target}", f"mount --rbind {source} {target}"]
        if read_only:
            lines += [f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp", f"mount -o remount,bind,ro {root}"]
        within = f"cd {stage.workdir} && {command}"
        lines += [f"exec chroot --userspec={user or stage.user} {root} /bin/sh -c {shlex.quote(within)}"]
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", "\n".join(lines)],
            env={**stage.env, **(env or {}), "PATH": f"{stage.env['PATH']}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=1500,
        )


def copy(source: Path, target: Path) -> None:
    """A file, or what a folder holds, as it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        target.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", "--reflink=auto", f"{source}/.", target], check=True)
    else:
        shutil.copy2(source, target)
