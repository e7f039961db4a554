"""Lineage: from a model reference to the chain of everything it was made from, up to where it is served."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongues.core.errors import DataError
from tongues.core.manifest import MANIFEST_NAME
from tongues.core.recipe import RegistrySection
from tongues.core.recipe_file import parse_recipe
from tongues.platform import storage
from tongues.platform.model_versions import ModelVersion
from tongues.platform.tracking import Tracking
from tongues.promotion import lineage, records
from tongues.promotion.lineage_diff import Change, differences
from tongues.promotion.lineage_picture import picture
from tongues.promotion.lineage_store import StoreReader
from tongues.serving.endpoint import running
from tongues.stages.ledger_use import LedgerAgain
from tongues.stages.serve import find_version
from tongues.stages.weights import model_of_weights, weights_sha256
from tongues.stages.workspace import RECIPE_NAME, Output, Workspace

PICTURE_NAME = "lineage.svg"


@dataclass(frozen=True)
class Chain:
    """A chain, and how to verify it.

    Args:
        ends: what nothing else hangs on: the endpoints, else the alias or version, else the folder.
        artefact: the tuned model's link, or that of the folder asked for.
        reader: the workspace.
        title: what it is the chain of.
    """

    ends: tuple[lineage.Link, ...]
    artefact: lineage.Link
    reader: StoreReader
    title: str

    @property
    def last(self) -> lineage.Link:
        """One link over everything."""
        if len(self.ends) == 1:
            return self.ends[0]
        return lineage.Link(self.title, lineage.digest_of_all(self.ends), "", None, self.ends)

    def verify(self) -> list[str]:
        """One line per file or manifest that is not as it was; empty if all is well."""
        return lineage.verify(self.last, self.reader)

    def picture(self) -> str:
        """The chain as SVG."""
        return picture(self.last, title=f"Lineage of {self.title}")


def chain_of(workspace: Workspace, model: str) -> Chain:
    """The chain of a registered version, or of any finished folder.

    Args:
        workspace: holds the outputs; one in an object store is read there.
        model: MODEL@ALIAS, MODEL/VERSION, or a folder or URI with a manifest.

    Raises:
        RegistryError: nothing stands under the reference.
        DataError: the folder has no readable manifest.
    """
    reader = _reader(workspace)
    if storage.exists(storage.join(model, MANIFEST_NAME)):
        link = lineage.chain(_absolute(model), reader)
        return Chain((link,), link, reader, model)
    version = find_version(workspace, model)
    return _chain_of_version(workspace, reader, version, model)


def chain_of_output(workspace: Workspace, model: Output) -> Chain:
    """The chain of a finished model."""
    reader = _reader(workspace)
    link = lineage.chain(_absolute(model.uri), reader)
    return Chain((link,), link, reader, model.uri)


def artefact_of(workspace: Workspace, model: str) -> Output:
    """The finished folder of a registered version, or of a folder or URI, fetched where it is remote."""
    if storage.exists(storage.join(model, MANIFEST_NAME)):
        return workspace.open(_absolute(model))
    return workspace.open(model_of_weights(find_version(workspace, model).uri))


def compare(workspace: Workspace, before: str, after: str) -> list[Change]:
    """What differs between two models; the first change is what changed first.

    Args:
        workspace: holds both.
        before: model, as for `chain_of`.
        after: the other one.
    """
    old, new = chain_of(workspace, before), chain_of(workspace, after)
    return differences(old.artefact, new.artefact, (_recipe(old.artefact), _recipe(new.artefact)))


def log_picture(workspace: Workspace, tracking: Tracking, version: ModelVersion, alias: str | None) -> None:
    """Keep the picture of a version's chain in its run."""
    reference = f"{version.model}@{alias}" if alias else f"{version.model}/{version.version}"
    chain = _chain_of_version(workspace, _reader(workspace), version, reference)
    tracking.log_text(version.run_id, chain.picture(), PICTURE_NAME)


def _chain_of_version(
    workspace: Workspace, reader: StoreReader, version: ModelVersion, reference: str
) -> Chain:
    tracking = Tracking(RegistrySection(model=version.model), workspace.local)
    index = lineage.Index.read(reader)
    tuned = _located(
        reader, index, version.tags.get("tongues.manifest_sha256"), model_of_weights(version.uri)
    )
    artefact = lineage.chain(tuned, reader, index=index)
    evaluation = None
    if uri := version.tags.get("tongues.evaluation_uri"):
        found = _located(reader, index, version.tags.get("tongues.evaluation_sha256"), uri)
        evaluation = lineage.chain(found, reader, index=index)
    top = records.version_link(tracking, version, artefact, evaluation, _weights(artefact))
    if "@" in reference:
        top = records.alias_link(tracking, reference.split("@")[1], version, top)
    ends = records.endpoint_links(version, _served(workspace, version, artefact), top)
    return Chain(tuple(ends) or (top,), artefact, reader, reference.removeprefix("models:/"))


def _reader(workspace: Workspace) -> StoreReader:
    remote = storage.local_path(workspace.uri) is None
    return StoreReader(workspace.uri if remote else str(workspace.local), LedgerAgain(workspace).faults)


def _absolute(folder: str) -> str:
    path = storage.local_path(folder)
    return folder if path is None else str(path.resolve())


def _located(reader: StoreReader, index: lineage.Index, digest: str | None, uri: str) -> str:
    """Where that manifest stands in this workspace, which may be a copy; else where it stood once."""
    if digest in index.by_digest:
        return index.by_digest[digest][0]
    copied = storage.join(reader.root, *uri.rstrip("/").split("/")[-2:])
    return copied if storage.exists(storage.join(copied, MANIFEST_NAME)) else _absolute(uri)


def _weights(artefact: lineage.Link) -> str:
    if artefact.manifest is None:
        raise DataError("no manifest here", where=artefact.location)
    return weights_sha256(Output(artefact.location, Path(artefact.location), artefact.manifest))


def _served(workspace: Workspace, version: ModelVersion, artefact: lineage.Link) -> dict[str, str]:
    """Servers of this workspace that serve the artefact, or the base it was tuned on with it as adapter."""
    folders = [artefact.location, *(link.location for link in artefact.inputs if link.name == "base")]
    return {
        endpoint.url: endpoint.folder
        for endpoint in running(workspace.local)
        if endpoint.name == version.model and endpoint.folder.startswith(tuple(f for f in folders if f))
    }


def _recipe(artefact: lineage.Link) -> dict[str, Any]:
    where = storage.join(artefact.location, RECIPE_NAME)
    content = storage.read_bytes(where)
    if content is None:
        raise DataError("missing, so the recipes cannot be compared", where=where)
    return parse_recipe(content, where=where).model_dump(mode="json")
