"""Checkpoints that survive a kill at any moment, and are only continued by the work they belong to.

The trainer writes a checkpoint file by file. A marker with the digest of every file is written last
and atomically; a checkpoint without a marker, or whose files differ from it, does not count.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tongues.core.digests import canonical_json, digest_files
from tongues.core.errors import TuningError
from tongues.core.manifest import write_atomically

_MARKER = "complete.json"
_WORK = "work.json"
_KEPT = 2


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: their folder; created if absent.
        work: name to digest of all that decides the course of training.
    """

    def __init__(self, folder: Path, work: dict[str, str]) -> None:
        self.folder, self.work = folder, work
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this machine from training into the same folder.

        Raises:
            TuningError: one already does.
        """
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TuningError(
                    "another run is training into this folder",
                    where=str(self.folder),
                    fix="wait until it ends, or give another output folder",
                ) from None
            yield

    def last(self) -> Path | None:
        """The newest usable checkpoint; what a kill left half written is removed.

        Raises:
            TuningError: the folder's checkpoints belong to other work; names what differs.
        """
        self._claim()
        for path in reversed(self._all()):
            if _is_complete(path):
                return path
            _remove(path)
        return None

    def finish(self, path: Path) -> None:
        """Mark a checkpoint complete, then remove all but the newest ones."""
        files = digest_files(path, leave_out=frozenset({_MARKER}))
        for name in files:
            _sync(path / name)
        write_atomically(path / _MARKER, canonical_json({"files": files}))
        for old in self._all()[:-_KEPT]:
            _remove(old)

    def _claim(self) -> None:
        path = self.folder / _WORK
        if not path.exists():
            write_atomically(path, canonical_json(self.work))
            return
        stored = json.loads(path.read_bytes())
        differing = sorted(k for k in stored.keys() | self.work.keys() if stored.get(k) != self.work.get(k))
        if differing:
            raise TuningError(
                f"the checkpoints here belong to other work; different: {', '.join(differing)}",
                where=str(self.folder),
                fix="give another output folder, or delete this one to start afresh",
            )

    def _all(self) -> list[Path]:
        paths = [p for p in self.folder.glob("checkpoint-*") if p.name.split("-")[1].isdigit()]
        return sorted(paths, key=checkpoint_step)


def checkpoint_step(path: Path) -> int:
    """Optimiser steps done at a checkpoint."""
    return int(path.name.split("-")[1])


def _is_complete(path: Path) -> bool:
    try:
        stored = json.loads((path / _MARKER).read_bytes())["files"]
    except (OSError, ValueError, KeyError):
        return False
    return bool(stored == digest_files(path, leave_out=frozenset({_MARKER})))


def _remove(path: Path) -> None:
    """The marker goes first, so that a kill in between leaves nothing that looks complete."""
    (path / _MARKER).unlink(missing_ok=True)
    shutil.rmtree(path)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
