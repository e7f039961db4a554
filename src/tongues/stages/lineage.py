"""Lineage: from a model reference to the chain of everything it was made from."""

from dataclasses import dataclass
from pathlib import Path

from tongues.core.manifest import read_manifest
from tongues.platform import storage
from tongues.promotion import lineage
from tongues.stages.serve import find_version
from tongues.stages.weights import model_of_weights
from tongues.stages.workspace import Workspace


@dataclass(frozen=True)
class Chain:
    """The last link of a chain, and how to verify it.

    Args:
        last: the model, with everything behind it.
        reader: the workspace.
        expected: manifest digest that the registry names; empty where none is known.
    """

    last: lineage.Link
    reader: lineage.LocalReader
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
    reader = lineage.LocalReader(workspace.local)
    if read_manifest(Path(model)) is not None:
        return Chain(lineage.chain(Path(model), reader), reader, "")
    version = find_version(workspace, model)
    folder = (
        storage.local_path(model_of_weights(version.uri))
        or workspace.open(model_of_weights(version.uri)).folder
    )
    return Chain(lineage.chain(folder, reader), reader, version.tags.get("tongues.manifest_sha256", ""))
