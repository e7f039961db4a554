"""Publication: what a ledger learns goes to the object store while the work is still going on.

A pod that is killed takes its disk with it; what it had published by then is not paid for again.
"""

import threading
import time
from pathlib import Path
from typing import Self
from uuid import uuid4

from tongues.core.errors import TonguesError
from tongues.core.progress import Say
from tongues.inference.ledger import Ledger
from tongues.platform import storage

PUBLISH_EVERY_S = 60.0
PUBLISH_ENTRIES = 20_000
PATIENCE_S = 60.0
_PAUSE_S = 5.0


class Publication:
    """Publishes a ledger's news as segments, from a thread and a connection of its own.

    Use it as a context manager around the work. A store that does not answer is asked again and
    stops nothing; what is new meanwhile waits in the ledger. Only the last publication, on leaving, must
    succeed, and it is tried again for a minute.

    Args:
        path: the ledger file.
        folder: URI of the folder that holds the segments.
        name: starts the names of the segments; a random part follows, so that no two writers meet.
        say: takes lines for the user.
        every_s: seconds between publications.
        entries: new entries after which one is due at once.
        patience_s: how long the last one is tried again.
    """

    def __init__(
        self,
        path: Path,
        folder: str,
        name: str,
        *,
        say: Say,
        every_s: float = PUBLISH_EVERY_S,
        entries: int = PUBLISH_ENTRIES,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._path, self._folder, self._say = path, folder, say
        self._every_s, self._entries, self._patience_s = every_s, entries, patience_s
        self._name, self._tries = f"{name}-{uuid4().hex[:16]}", 0
        # Each is written by one thread only: the one that works, and the one that publishes.
        self._stored = self._seen = 0
        self._due, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger publication", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._over.set()
        self._due.set()
        self._thread.join()
        try:
            self._publish_at_last()
        except TonguesError as failure:
            if error is None:
                raise
            self._say(f"ledger: not published ({failure}); it is kept in {self._path}")

    def note(self, stored: int) -> None:
        """Count entries that were stored; hand it to the ledger as `on_stored`."""
        self._stored += stored
        if self._stored - self._seen >= self._entries:
            self._due.set()

    def _run(self) -> None:
        while not self._over.is_set():
            self._due.wait(self._every_s)
            self._due.clear()
            self._seen = self._stored
            if self._over.is_set():
                return
            if not self._published_now():
                self._over.wait(min(_PAUSE_S, self._every_s))

    def _publish_at_last(self) -> None:
        give_up, pause = time.monotonic() + self._patience_s, min(1.0, self._patience_s / 10)
        while not self._published_now(or_raise=time.monotonic() + pause > give_up):
            time.sleep(pause)  # how long the store is given before it is asked again
            pause *= 2

    def _published_now(self, *, or_raise: bool = False) -> bool:
        try:
            self._publish()
        except TonguesError as error:
            if or_raise:
                raise
            self._say(f"ledger: not published yet, it will be tried again ({error})")
            return False
        return True

    def _publish(self) -> None:
        with Ledger(self._path) as ledger:
            ledger.attach(self._folder)
            while self._publish_one(ledger):
                pass

    def _publish_one(self, ledger: Ledger) -> bool:
        # A name is never used twice: a segment that seemed to fail may have been read by others.
        self._tries += 1
        name = f"{self._name}-{self._tries:05d}.parquet"
        path = self._path.parent / "segments" / name
        try:
            news = ledger.export_news(path)
            if news is None:
                return False
            storage.publish_file(path, storage.join(self._folder, name))
            ledger.mark_published(name, news)
        finally:
            path.unlink(missing_ok=True)
        return True
