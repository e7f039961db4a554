"""The ledger as a link of the lineage: what a stage used of it, and whether that still stands as it did."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tongues.core.errors import DataError, StorageError
from tongues.inference.ledger import Ledger
from tongues.inference.ledger_use import USED_NAME, LedgerLook, changed_entries, write_used
from tongues.platform import storage
from tongues.promotion.lineage import LEDGER_FACT
from tongues.stages.ledger import import_segments, ledger_path, segments_uri
from tongues.stages.workspace import Workspace


def list_used(ledger: Ledger, folder: Path) -> dict[str, Any]:
    """List the entries that were used since `note_use` in the folder of what was made of them.

    Returns:
        Facts for its manifest: how many, and the digest over all of them.
    """
    entries, digest = write_used(folder / USED_NAME, ledger.used())
    return {"ledger_entries": entries, LEDGER_FACT: digest}


class LedgerAgain:
    """The ledger of a workspace, read again: the local file, or in an object store its published segments.

    Args:
        workspace: whose ledger it is.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def faults(self, locations: Sequence[str]) -> list[str]:
        """One line per entry that is gone or changed, of those that finished folders list.

        Args:
            locations: the folders, or their URIs.
        """
        try:
            with TemporaryDirectory() as scratch, self._look(Path(scratch)) as look:
                found = [line for one in locations for line in _changed(one, look, Path(scratch))]
        except (DataError, StorageError) as error:
            return [error.line()]
        where = str(ledger_path(self._workspace))
        return [f"{segments_uri(self._workspace) or where}: {line}" for line in dict.fromkeys(found)]

    def _look(self, scratch: Path) -> LedgerLook:
        folder = segments_uri(self._workspace)
        if folder is None:
            return LedgerLook(ledger_path(self._workspace))
        path = scratch / "ledger.sqlite"
        with Ledger(path) as ledger:
            import_segments(ledger, folder)
        return LedgerLook(path)


def _changed(location: str, look: LedgerLook, scratch: Path) -> Iterator[str]:
    listed = storage.fetch_file(storage.join(location, USED_NAME), scratch / USED_NAME)
    yield from changed_entries(listed, look.find)
