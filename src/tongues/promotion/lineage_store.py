"""How lineage reads ``<root>/<stage>/<key>/manifest.json`` on disk or in an object store."""

from collections.abc import Callable, Iterable, Sequence

from tongues.core.errors import DataError
from tongues.core.manifest import MANIFEST_NAME, NOT_NAMED, Manifest, compare_files
from tongues.platform import storage
from tongues.promotion.lineage import LEDGER

_KEPT_APART = ("elsewhere/", "downloads/", "mlflow-artifacts/", ".locks/")
"""Folders of a local workspace that mirror what is elsewhere."""


EntryFaults = Callable[[Sequence[str]], list[str]]


def _unread(locations: Sequence[str]) -> list[str]:
    return [f"{location}: the ledger it was made of was not read" for location in locations]


class StoreReader:
    """A workspace at a folder or URI; a remote one is read as it stands there, not from a mirror.

    Args:
        root: the workspace.
        entry_faults: reads the entries of the ledger again that folders list; without it, each folder that
            lists any is a fault.
    """

    def __init__(self, root: str, entry_faults: EntryFaults = _unread) -> None:
        self.root, self._entry_faults = root.rstrip("/"), entry_faults

    @property
    def ledger(self) -> str:
        """The folder of the workspace's ledger."""
        return storage.join(self.root, LEDGER)

    def entry_faults(self, locations: Sequence[str]) -> list[str]:
        """Read the entries of the ledger again that these folders were made of."""
        return self._entry_faults(locations)

    def locations(self) -> Iterable[str]:
        """All folders below the root that hold a manifest, in order of their names."""
        names = (name for name in storage.list_names(self.root) if name.endswith(f"/{MANIFEST_NAME}"))
        found = (name.removesuffix(f"/{MANIFEST_NAME}") for name in names if not name.startswith(_KEPT_APART))
        return (storage.join(self.root, name) for name in found)

    def manifest_bytes(self, location: str) -> bytes:
        """The manifest file of one folder.

        Raises:
            DataError: there is none.
        """
        content = storage.read_bytes(storage.join(location, MANIFEST_NAME))
        if content is None:
            where = storage.join(location, MANIFEST_NAME)
            raise DataError(
                "no manifest here, so nothing is known of it", where=where, fix="run its stage again"
            )
        return content

    def digest_of(self, location: str) -> str | None:
        """Digest of a file; None where there is none."""
        return storage.digest_at(location)

    def faults(self, location: str, manifest: Manifest) -> list[str]:
        """Hash every file of the folder again."""
        names = [name for name in storage.list_names(location) if name not in NOT_NAMED]
        actual = {name: storage.digest_at(storage.join(location, name)) for name in names}
        return compare_files(location, {name: sha for name, sha in actual.items() if sha}, manifest)
