"""Lineage: from a model reference to the chain of everything it was made from."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tongues.core.errors import StorageError
from tongues.core.manifest import MANIFEST_NAME, Manifest, read_manifest, verify_files
from tongues.platform import storage
from tongues.promotion import lineage
from tongues.stages.serve import find_version
from tongues.stages.weights import model_of_weights
from tongues.stages.workspace import Output, Workspace


@dataclass(frozen=True)
class Chain:
    """The last link of a chain, and how to verify it.

    Args:
        last: the model, with everything behind it.
        reader: the workspace.
        expected: manifest digest that the registry names; empty where none is known.
    """

    last: lineage.Link
    reader: lineage.Reader
    expected: str

    def verify(self) -> list[str]:
        """One line per file or manifest that is not as it was; empty if all is well."""
        return lineage.verify(self.last, self.reader, expected=self.expected)


def chain_of(workspace: Workspace, model: str) -> Chain:
    """The chain of a registered version, or of any finished folder.

    Args:
        workspace: holds the outputs.
        model: MODEL@ALIAS, MODEL/VERSION, or a folder with a manifest.
    """
    reader = _reader(workspace)
    if read_manifest(Path(model)) is not None:
        return Chain(lineage.chain(Path(model), reader), reader, "")
    version = find_version(workspace, model)
    folder = (
        storage.local_path(model_of_weights(version.uri))
        or workspace.open(model_of_weights(version.uri)).folder
    )
    return Chain(lineage.chain(folder, reader), reader, version.tags.get("tongues.manifest_sha256", ""))


def chain_of_output(workspace: Workspace, model: Output) -> Chain:
    """The chain of a finished model whose manifest has just been read from the workspace."""
    reader = _reader(workspace)
    return Chain(lineage.chain(model.folder, reader), reader, model.manifest.digest())


class RemoteReader:
    """A workspace in an object store; what is hashed again is fetched first.

    Args:
        workspace: of the store.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def locations(self) -> Iterable[str]:
        """URIs of all finished folders, in order."""
        names = storage.list_names(self.workspace.uri)
        folders = (
            name.removesuffix(f"/{MANIFEST_NAME}") for name in names if name.endswith(f"/{MANIFEST_NAME}")
        )
        return (storage.join(self.workspace.uri, folder) for folder in folders)

    def manifest_bytes(self, location: str) -> bytes:
        """The manifest file of one folder."""
        return storage.read_bytes(storage.join(location, MANIFEST_NAME)) or b""

    def faults(self, location: str, manifest: Manifest) -> list[str]:
        """Hash the folder again, after fetching what is not here yet."""
        if storage.local_path(location) is not None:
            return verify_files(Path(location), manifest)
        try:
            self.workspace.open(location)
        except StorageError as error:
            return [error.line()]
        return []


def _reader(workspace: Workspace) -> lineage.Reader:
    if storage.local_path(workspace.uri) is not None:
        return lineage.LocalReader(workspace.local)
    return RemoteReader(workspace)
