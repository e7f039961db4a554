"""Checkpoints go to the object store while training goes on, so that another machine can go on from them.

The newest one is what counts: one that has not been uploaded when the next is there is left out. A store
that refuses is asked again and never stops a step. The marker goes up last and comes down last, and what
comes down is compared with it, so half an upload is never taken for a checkpoint.
"""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tongues.core.digests import digest_file
from tongues.core.errors import StorageError
from tongues.core.manifest import write_atomically
from tongues.core.progress import Say
from tongues.platform import storage
from tongues.tuning.checkpoints import KEPT, MARKER, checkpoint_step
from tongues.tuning.eviction import Eviction

PATIENCE_S = 60.0
_PAUSE_S = 5.0


class Mirror:
    """One run's checkpoints in the object store; use it as a context manager around the training.

    Args:
        uri: folder that holds them.
        folder: the local folder of checkpoints.
        say: takes lines for the user.
        patience_s: asked on leaving, how long the last upload may still take.
        pause_s: seconds before a refused upload is tried again.
    """

    def __init__(
        self,
        uri: str,
        folder: Path,
        *,
        say: Say,
        patience_s: Callable[[], float] = lambda: PATIENCE_S,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._uri, self._folder, self._say = uri, folder, say
        self._patience_s, self._pause_s = patience_s, pause_s
        self._changed = threading.Condition()
        self._wanted: Path | None = None
        self._over = False
        self._thread = threading.Thread(target=self._run, name="checkpoint mirror", daemon=True)

    @classmethod
    def of(cls, uri: str | None, folder: Path, eviction: Eviction, say: Say) -> "Mirror | None":
        """The mirror at a URI; none where there is none. After SIGTERM it gives up when the grace ends."""
        if uri is None:
            return None
        return cls(
            uri,
            folder,
            say=say,
            patience_s=lambda: min(PATIENCE_S, eviction.left_s) if eviction.asked else PATIENCE_S,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        give_up = time.monotonic() + self._patience_s()
        with self._changed:
            while self._wanted is not None and time.monotonic() < give_up:
                self._changed.wait(give_up - time.monotonic())
            if self._wanted is not None:
                self._say(
                    f"finetune: {self._wanted.name} did not reach the object store; it is kept on this disk"
                )
            self._over, self._wanted = True, None
            self._changed.notify_all()

    def note(self, path: Path) -> None:
        """A checkpoint is complete; it takes the place of one that still waits."""
        with self._changed:
            self._wanted = path
            self._changed.notify_all()

    def fetch(self) -> None:
        """Bring the newest whole checkpoint here, if it is newer than what is here.

        Raises:
            StorageError: the store does not answer.
        """
        names = storage.list_names(self._uri)
        here = max((checkpoint_step(p.parent) for p in self._folder.glob(f"*/{MARKER}")), default=-1)
        for step in sorted(_complete(names), reverse=True):
            if step <= here:
                return
            if self._fetch(f"checkpoint-{step}", names):
                return

    def fetch_one(self, name: str) -> None:
        """Bring one checkpoint here, where it stands whole in the store.

        Raises:
            StorageError: the store does not answer.
        """
        names = storage.list_names(self._uri)
        if checkpoint_step(Path(name)) in _complete(names):
            self._fetch(name, names)

    def remove(self) -> None:
        """Remove all of it from the store: the work is done.

        Raises:
            StorageError: the store does not answer.
        """
        for name in storage.list_names(self._uri):
            storage.remove_file(storage.join(self._uri, name))

    def _fetch(self, name: str, names: list[str]) -> bool:
        marker = storage.read_bytes(storage.join(self._uri, name, MARKER)) or b"{}"
        folder = self._folder / name
        for file, sha256 in json.loads(marker).get("files", {}).items():
            path = storage.fetch_if_there(storage.join(self._uri, name, file), folder / file)
            if path is None or digest_file(path) != sha256:
                self._say(
                    f"finetune: {name} in the object store is damaged ({file}); looking for the one before"
                )
                return False
        for file in (n for n in names if "/" not in n):
            storage.fetch_file(storage.join(self._uri, file), self._folder / file)
        write_atomically(folder / MARKER, marker)
        self._say(f"finetune: {name} fetched from {self._uri}")
        return True

    def _run(self) -> None:
        while (path := self._next()) is not None:
            try:
                self._publish(path)
            except FileNotFoundError:
                self._done(path)  # pruned: newer ones are there
            except StorageError as error:
                self._say(
                    f"finetune: {path.name} not in the object store yet, it will be tried again ({error})"
                )
                with self._changed:
                    if self._wanted is path:
                        self._changed.wait(self._pause_s)
            else:
                self._done(path)

    def _next(self) -> Path | None:
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._wanted is not None)
            return self._wanted

    def _done(self, path: Path) -> None:
        with self._changed:
            if self._wanted is path:
                self._wanted = None
            self._changed.notify_all()

    def _publish(self, path: Path) -> None:
        for file in (p for p in self._folder.glob("*.json") if p.is_file()):
            storage.publish_file(file, storage.join(self._uri, file.name))
        for name in sorted(storage.list_names(str(path)), key=lambda n: (n == MARKER, n)):
            storage.publish_file(path / name, storage.join(self._uri, path.name, name))
        self._prune()

    def _prune(self) -> None:
        names = storage.list_names(self._uri)
        for step in sorted(_complete(names))[:-KEPT]:
            old = [n for n in names if n.startswith(f"checkpoint-{step}/")]
            for name in sorted(old, key=lambda n: (not n.endswith(f"/{MARKER}"), n)):
                storage.remove_file(storage.join(self._uri, name))


def _complete(names: list[str]) -> set[int]:
    """Steps of the checkpoints whose marker is there."""
    return {checkpoint_step(Path(name).parent) for name in names if name.endswith(f"/{MARKER}")}
