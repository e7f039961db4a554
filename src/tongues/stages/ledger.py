"""The workspace's ledger: what others paid for comes in, what this process pays for goes out.

    <workspace>/ledger/translations.sqlite      the ledger itself, on a local disk
    <workspace>/ledger/*.parquet                segments, where the workspace is an object store

Segments are written once and never changed. Many small ones become one (`compact_segments`), and one
that a reader has listed may be gone when it comes to fetch it; then it lists again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tongues.core.digests import digest_file
from tongues.core.errors import DataError, StorageError
from tongues.inference.ledger import Ledger
from tongues.inference.ledger_file import file_bytes
from tongues.inference.ledger_segments import merge_segments
from tongues.inference.spending import Spent
from tongues.platform import storage
from tongues.stages.publication import PATIENCE_S, PUBLISH_ENTRIES, PUBLISH_EVERY_S, Publication
from tongues.stages.workspace import Workspace

_LISTINGS = 20


@dataclass(frozen=True)
class Compaction:
    """What became of the published segments.

    Args:
        segments: how many went in.
        entries: entries of the one that came out; 0 where nothing was to do.
        name: of that one; empty where nothing was to do.
    """

    segments: int = 0
    entries: int = 0
    name: str = ""


@dataclass(frozen=True)
class Contents:
    """What a ledger holds.

    Args:
        path: the local file.
        entries: answers and stored failures.
        failures: stored failures by reason; the other entries are answers.
        bytes: size on disk, the log included.
        spent: account to what it has spent so far; an account is the key of one job.
    """

    path: Path
    entries: int
    failures: dict[str, int]
    bytes: int
    spent: dict[str, Spent]

    def as_dict(self) -> dict[str, Any]:
        """As a JSON value."""
        return {**asdict(self), "path": str(self.path)}


def describe(ledger: Ledger) -> Contents:
    """Count what a ledger holds; reads the index once, some seconds at ten million entries."""
    return Contents(
        ledger.path,
        len(ledger),
        ledger.failures(),
        file_bytes(ledger.path),
        dict(sorted(ledger.accounts().items())),
    )


def require_ledger(workspace: Workspace) -> None:
    """Refuse a workspace in which nothing was ever paid for; looking at it must not create it.

    Raises:
        DataError: a local workspace without a ledger.
    """
    path = ledger_path(workspace)
    if segments_uri(workspace) is None and not path.exists():
        raise DataError("no ledger here yet", where=str(path), fix="name the workspace that translated")


def ledger_path(workspace: Workspace) -> Path:
    """The local file of a workspace's ledger."""
    return workspace.local / "ledger" / "translations.sqlite"


@contextmanager
def open_ledger(
    workspace: Workspace,
    name: str,
    *,
    every_s: float = PUBLISH_EVERY_S,
    entries: int = PUBLISH_ENTRIES,
    patience_s: float = PATIENCE_S,
) -> Iterator[Ledger]:
    """The workspace's ledger, in an object store kept in step with what others publish and need.

    Args:
        workspace: where the ledger is kept.
        name: starts the names of the segments that this work publishes.
        every_s: seconds between publications.
        entries: new entries after which a publication is due at once.
        patience_s: how long the last publication is tried again.

    Raises:
        StorageError: the segments cannot be read at the start, or not be published at the end; what
            was stored is kept in the local file.
    """
    path, folder = ledger_path(workspace), segments_uri(workspace)
    if folder is None:
        with Ledger(path) as ledger:
            yield ledger
        return
    publication = Publication(
        path, folder, name, say=workspace.say, every_s=every_s, entries=entries, patience_s=patience_s
    )
    with publication, Ledger(path, on_stored=publication.note) as ledger:
        import_segments(ledger, folder)
        yield ledger


def segments_uri(workspace: Workspace) -> str | None:
    """The folder of the published segments; None for a local workspace, where the file is the ledger."""
    remote = storage.local_path(workspace.uri) is None
    return storage.join(workspace.uri, "ledger") if remote else None


def import_segments(ledger: Ledger, folder: str) -> int:
    """Take over all published segments that this ledger has not taken over yet.

    Args:
        ledger: remembers which ones it has.
        folder: URI of the folder that holds them.

    Returns:
        The number of entries that were new.

    Raises:
        StorageError: a segment cannot be read.
    """
    taken = 0
    with TemporaryDirectory(dir=ledger.path.parent, prefix=".segments-") as scratch:
        for _ in range(_LISTINGS):
            known = ledger.attach(folder)
            missing = [name for name in _segments(folder) if name not in known]
            for name in missing:
                path = storage.fetch_if_there(storage.join(folder, name), Path(scratch) / name)
                if path is not None:
                    taken += ledger.import_segment(path, published_as=name)
                    known.add(name)
                    (Path(scratch) / name).unlink(missing_ok=True)
            if known.issuperset(missing):
                return taken
    raise _unsteady(folder)


def compact_segments(workspace: Workspace) -> Compaction:
    """Merge all published segments into one, then remove exactly those that went in.

    The same segments give the same bytes under the same name, so two processes may do it at once, and
    one that was killed half-way is repeated without harm.

    Args:
        workspace: a local one has no segments, and there is nothing to do.

    Raises:
        StorageError: the object store does not answer; nothing is removed before the one is published.
    """
    folder = segments_uri(workspace)
    if folder is None:
        return Compaction()
    scratch = ledger_path(workspace).parent
    scratch.mkdir(parents=True, exist_ok=True)
    for _ in range(_LISTINGS):
        names = _segments(folder)
        if len(names) < 2:
            return Compaction()
        with TemporaryDirectory(dir=scratch, prefix=".compact-") as place:
            paths = _fetch_all(folder, names, Path(place))
            if paths is not None:
                done = _replace(folder, names, paths, Path(place) / "merged")
                _remember(workspace, folder, names, done.name)
                return done
    raise _unsteady(folder)


def _replace(folder: str, names: Sequence[str], paths: Sequence[Path], merged: Path) -> Compaction:
    entries = merge_segments(paths, merged)
    name = f"all-{digest_file(merged)[:20]}.parquet"
    storage.publish_file(merged, storage.join(folder, name))
    for old in names:
        if old != name:
            storage.remove_file(storage.join(folder, old))
    return Compaction(len(names), entries, name)


def _remember(workspace: Workspace, folder: str, names: Sequence[str], merged: str) -> None:
    """Spare this machine the import of what it knows already."""
    if ledger_path(workspace).exists():
        with Ledger(ledger_path(workspace)) as ledger:
            if ledger.attach(folder).issuperset(names):
                ledger.remember(merged)


def _fetch_all(folder: str, names: Sequence[str], place: Path) -> list[Path] | None:
    """All of them, or None if one was compacted away meanwhile."""
    paths = []
    for name in names:
        path = storage.fetch_if_there(storage.join(folder, name), place / name)
        if path is None:
            return None
        paths.append(path)
    return paths


def _segments(folder: str) -> list[str]:
    return [name for name in storage.list_names(folder) if name.endswith(".parquet")]


def _unsteady(folder: str) -> StorageError:
    return StorageError(
        f"segments went away between listing and fetching, {_LISTINGS} times in a row",
        where=folder,
        fix="see what removes files there, then run again",
    )
