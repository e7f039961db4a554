"""Checkpoints that survive a kill at any moment, and are only continued by the work they belong to.

The trainer writes a checkpoint file by file: weights, optimiser, scheduler, random states, step. The
log up to there is put beside them, and a marker with the digest of every file is written last and
atomically; a checkpoint without a marker, or whose files differ from it, does not count. Older ones are
removed only then, so a full disk or a kill leaves the one before as it was.
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
from tongues.core.progress import Say, say_on_stderr

MARKER = "complete.json"
LOG_NAME = "training-log.jsonl"
_WORK = "work.json"
KEPT = 2


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: their folder; created if absent.
        work: name to digest of all that decides the course of training.
        say: takes lines for the user.
    """

    def __init__(self, folder: Path, work: dict[str, str], say: Say = say_on_stderr) -> None:
        self.folder, self.work, self.say = folder, work, say
        self._newest: Path | None = None
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
        """The newest usable checkpoint; one that is damaged or half written is told of and removed.

        Raises:
            TuningError: the folder's checkpoints belong to other work; names what differs.
        """
        self._claim()
        for path in reversed(self._all()):
            if not (fault := _fault(path)):
                self._newest = path
                return path
            self.say(f"finetune: {path.name} is not used: {fault}; looking for the one before")
            _remove(path)
        return None

    def has(self, name: str) -> bool:
        """Whether a checkpoint of that name is whole on this disk."""
        return not _fault(self.folder / name)

    def follow(self, path: Path) -> None:
        """Take what the leading process has found or finished for the newest one."""
        self._newest = path

    def newest(self) -> Path | None:
        """The newest checkpoint this process has found or finished; nothing is hashed again for it."""
        return self._newest

    def last_good(self) -> str:
        """That one, as half a sentence."""
        path = self._newest
        return f"the last good checkpoint is {path}" if path else "there is no checkpoint yet"

    def finish(self, path: Path, log: Path | None = None) -> None:
        """Mark a checkpoint complete, then remove all but the newest ones.

        Args:
            path: what the trainer has written.
            log: the log of steps so far, kept with it for a run that goes on on another machine.
        """
        if log is not None:
            shutil.copyfile(log, path / LOG_NAME)
        files = digest_files(path, leave_out=frozenset({MARKER}))
        for name in files:
            _sync(path / name)
        write_atomically(path / MARKER, canonical_json({"files": files}))
        self._newest = path
        for old in self._all()[:-KEPT]:
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


def _fault(path: Path) -> str:
    """Why a checkpoint does not count; empty if it does."""
    try:
        stored = json.loads((path / MARKER).read_bytes())["files"]
    except (OSError, ValueError, KeyError):
        return "it was not written to its end"
    found = digest_files(path, leave_out=frozenset({MARKER}))
    differing = sorted(name for name in stored.keys() | found.keys() if stored.get(name) != found.get(name))
    return f"damaged since it was written ({', '.join(differing)})" if differing else ""


def _remove(path: Path) -> None:
    """Remove a checkpoint.

    The marker goes first, so that a kill in between leaves nothing that looks complete.
    """
    (path / MARKER).unlink(missing_ok=True)
    shutil.rmtree(path)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
