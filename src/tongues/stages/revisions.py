"""Revisions for the follower: from an alias to a digest, and from a digest to files that are what it says."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tongues.core.errors import ServingError, StorageError
from tongues.core.manifest import MANIFEST_NAME, SIGNATURE_NAME, Manifest
from tongues.core.recipe import RegistrySection
from tongues.platform import storage
from tongues.platform.model_versions import ModelVersion
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.serving.adapters import check_adapter, write_for_vllm
from tongues.serving.revision import Prepared, Recorded, Revision, check_name
from tongues.stages.recorded import RECORDED_NAME, read_recorded
from tongues.stages.weights import ADAPTER, MERGED
from tongues.stages.workspace import Workspace

_NEEDED = ("tongues.manifest_sha256", "tongues.model_uri", "tongues.base_uri")
FETCHED, ADAPTERS = "fetched", "adapters"

Vouch = Callable[[Path], None]
"""Raises unless the folder, with its manifest, comes from whom it should."""


@dataclass
class RegistryAliases:
    """The aliases of one MLflow, which may be away at any time, also at the start.

    Args:
        workspace: holds MLflow's SQLite file where no server is named.
    """

    workspace: Workspace
    _tracking: Tracking | None = field(default=None, init=False)

    def resolve(self, reference: str) -> Revision | None:
        """The revision a reference stands for; None where there is no such alias.

        Args:
            reference: MODEL@ALIAS.

        Raises:
            RegistryError: MLflow does not answer.
            ServingError: the name or the version cannot be served.
        """
        model, _, alias = reference.partition("@")
        check_name(model)
        version = self.tracking.models.by_alias(model, alias)
        return None if version is None else revision_of(version)

    def roll_back(self, revision: Revision, reason: str) -> None:
        """Make the previous champion the champion again, if this revision still is.

        Raises:
            RegistryError: MLflow does not answer, there is none before, or somebody is moving it.
        """
        champion = registry.champion(self.tracking, revision.model)
        if champion is not None and champion.version == revision.version:
            registry.rollback(self.tracking, revision.model, reason=f"live checks failed: {reason}")

    @property
    def tracking(self) -> Tracking:
        """The connection, made when it is first needed and possible."""
        if self._tracking is None:
            self._tracking = Tracking(RegistrySection(model="followed"), self.workspace.local)
        return self._tracking


def revision_of(version: ModelVersion) -> Revision:
    """Pin a registered version.

    Raises:
        ServingError: it was registered without what is needed to verify it.
    """
    tags = version.tags
    if missing := [name for name in _NEEDED if not tags.get(name)]:
        raise ServingError(
            f"version {version.version} lacks the tags {', '.join(missing)}",
            where=version.model,
            fix="register it with `tongues register`, which pins what it registers",
        )
    return Revision(
        model=version.model,
        version=version.version,
        digest=tags["tongues.manifest_sha256"],
        uri=tags["tongues.model_uri"],
        base_uri=tags["tongues.base_uri"],
        evaluation_uri=tags.get("tongues.evaluation_uri", ""),
        evaluation_digest=tags.get("tongues.evaluation_sha256", ""),
    )


@dataclass(frozen=True)
class Fetched:
    """Makes revisions ready for a server.

    Args:
        home: the endpoint's folder; what is fetched and written for servers goes below it.
        vouch: called with each model's whole folder once its digests agree, before anything is loaded; None
            asks for nobody's signature, and fetches only the part that is served.
    """

    home: Path
    vouch: Vouch | None = None

    @property
    def adapters(self) -> Path:
        """The only folder that servers load adapters from."""
        return self.home / ADAPTERS

    def adapter(self, revision: Revision, *, base: Path, base_digest: str, max_rank: int) -> Prepared:
        """An adapter, as the server loads it; only its own files are fetched.

        Args:
            revision: the one to serve.
            base: folder of the base model, as the server was given it.
            base_digest: of its manifest.
            max_rank: highest rank the server was started for.

        Raises:
            TonguesError: files are gone or changed, of another base, or nothing vLLM could serve.
        """
        folder, manifest = self._verified(revision, ADAPTER)
        if manifest.inputs.get("base") != base_digest:
            raise ServingError(
                f"tuned on another base ({manifest.inputs.get('base', '')[:12]}; here is {base_digest[:12]})",
                where=revision.uri,
                fix="serve it from an endpoint of its own base, or merged",
            )
        check_adapter(folder, base=base, max_rank=max_rank)
        target = write_for_vllm(folder, self.adapters / revision.served_as, base=str(base))
        return Prepared(target, self.recorded(revision))

    def merged(self, revision: Revision) -> Prepared:
        """Merged weights, as they were written.

        Raises:
            TonguesError: files are gone or changed.
        """
        folder, _ = self._verified(revision, MERGED)
        return Prepared(folder, self.recorded(revision))

    def recorded(self, revision: Revision) -> tuple[Recorded, ...]:
        """What evaluation kept; nothing where the version was registered without one."""
        if not revision.evaluation_uri:
            return ()
        manifest = _manifest(revision.evaluation_uri, revision.evaluation_digest)
        files = {name: sha for name, sha in manifest.files.items() if name == RECORDED_NAME}
        into = self._cache(revision, "evaluation")
        root = storage.fetch_files(revision.evaluation_uri, files, into)
        return read_recorded(root / RECORDED_NAME) if files else ()

    def discard(self, prepared: Prepared) -> None:
        """Remove what stands below this endpoint's own folder; a workspace's folders stay."""
        if prepared.folder.is_relative_to(self.home):
            _, served_as, *_ = prepared.folder.relative_to(self.home).parts
            for kind in (ADAPTERS, FETCHED):
                shutil.rmtree(self.home / kind / served_as, ignore_errors=True)

    def _verified(self, revision: Revision, part: str) -> tuple[Path, Manifest]:
        manifest = _manifest(revision.uri, revision.digest)
        files = {name: sha for name, sha in manifest.files.items() if name.startswith(f"{part}/")}
        if not files:
            raise ServingError(f"holds no {part}", where=revision.uri, fix="serve it in the other mode")
        root = storage.fetch_files(
            revision.uri, manifest.files if self.vouch else files, self._cache(revision)
        )
        below = {f"{part}/{name}" for name in storage.list_names(str(root / part))}
        if strays := sorted(below - files.keys()):
            raise ServingError(f"files that its manifest does not name: {strays[:3]}", where=str(root))
        if self.vouch is not None:
            for name in (MANIFEST_NAME, SIGNATURE_NAME):
                storage.fetch_if_there(storage.join(revision.uri, name), root / name)
            self.vouch(root)
        return root / part, manifest

    def _cache(self, revision: Revision, what: str = "model") -> Path:
        return self.home / FETCHED / revision.served_as / what


def _manifest(uri: str, digest: str) -> Manifest:
    """The manifest at a URI, if it is the one that was registered."""
    manifest = storage.read_manifest_at(uri)
    if manifest is None:
        raise StorageError("the files are gone", where=uri, fix="restore them, or serve another version")
    if manifest.digest() != digest:
        raise ServingError(
            f"changed since it was registered (digest {manifest.digest()[:12]}, registered {digest[:12]})",
            where=storage.join(uri, MANIFEST_NAME),
            fix="restore it, or serve another version",
        )
    return manifest
