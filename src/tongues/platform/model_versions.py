"""The MLflow model registry: versions by URI and digest, tags and aliases.

Weights never pass through MLflow: a version names the folder they are in and their digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tongues.core.errors import RegistryError
from tongues.platform.mlflow_connection import explained, shown
from tongues.platform.storage import local_path

if TYPE_CHECKING:
    from mlflow import MlflowClient

CONTENT_TAG = "tongues.content_sha256"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a registered model.

    Args:
        model: registered name.
        version: 1, 2, ...
        uri: folder of the weights.
        sha256: content digest of the weights; empty if somebody registered it by hand.
        run_id: run it came from; empty if none is known.
        tags: all tags.
    """

    model: str
    version: int
    uri: str
    sha256: str
    run_id: str
    tags: dict[str, str]


def source_problem(tracking_uri: str, uri: str) -> str | None:
    """Why an MLflow would refuse a model version at a URI; None if it would not.

    A tracking server only takes object-store URIs; SQLite takes local folders too.
    """
    if not tracking_uri.startswith("http") or local_path(uri) is None:
        return None
    fix = "keep the workspace in an object store (s3://...), or leave registry.tracking_uri out to use SQLite"
    return f"{shown(tracking_uri)}: an MLflow server takes no model from a local folder ({uri}); {fix}"


class ModelVersions:
    """All registered models of one MLflow.

    Args:
        uri: tracking URI.
        client: its client.
    """

    def __init__(self, uri: str, client: MlflowClient) -> None:
        self.uri, self.client = uri, client

    def create_version(
        self, model: str, *, uri: str, sha256: str, run_id: str, tags: Mapping[str, str]
    ) -> ModelVersion:
        """Register weights by URI and digest; finds the version that already has this content.

        Args:
            model: registered name; created if absent.
            uri: folder of the weights; they do not pass through MLflow.
            sha256: content digest of the weights.
            run_id: run they came from.
            tags: set on a new version.
        """
        if problem := source_problem(self.uri, uri):
            raise RegistryError(problem)
        path = local_path(uri)
        source = uri if path is None else path.resolve().as_uri()
        self._ensure_model(model)
        for known in self.versions(model):
            if known.sha256 == sha256 and known.uri == source:
                return known
        with self._asking("create a model version", model):
            every = {**tags, CONTENT_TAG: sha256}
            return _seen(self.client.create_model_version(model, source, run_id, tags=every))

    def _ensure_model(self, model: str) -> None:
        from mlflow import MlflowException

        with self._asking("create the registered model", model):
            try:
                self.client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions of a model, oldest first; empty where there is no such model."""
        with self._asking("list versions", model):
            found = self.client.search_model_versions(f"name = '{model}'")
            return sorted(map(_seen, found), key=lambda v: v.version)

    def version(self, model: str, version: int) -> ModelVersion:
        """One version.

        Raises:
            RegistryError: there is none of that number.
        """
        with self._asking(f"find version {version}", model):
            return _seen(self.client.get_model_version(model, str(version)))

    def by_alias(self, model: str, alias: str) -> ModelVersion | None:
        """The version an alias points to; None where model or alias do not exist."""
        from mlflow import MlflowException

        with self._asking(f"resolve alias {alias!r}", model):
            try:
                return _seen(self.client.get_model_version_by_alias(model, alias))
            except MlflowException as error:
                # MLflow answers INVALID_PARAMETER_VALUE for an alias that is not set.
                missing = error.error_code == "RESOURCE_DOES_NOT_EXIST" or "not found" in str(error)
                if not missing:
                    raise
                return None

    def set_alias(self, model: str, alias: str, version: int) -> None:
        """Point an alias to a version."""
        with self._asking(f"move alias {alias!r}", model):
            self.client.set_registered_model_alias(model, alias, str(version))

    def tag_version(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags on a version."""
        with self._asking("tag a version", model):
            for tag, value in tags.items():
                self.client.set_model_version_tag(model, str(version), tag, value)

    def untag_version(self, model: str, version: int, tag: str) -> None:
        """Take a tag from a version."""
        with self._asking("take a tag from a version", model):
            self.client.delete_model_version_tag(model, str(version), tag)

    def _asking(self, doing: str, model: str) -> AbstractContextManager[None]:
        return explained(self.uri, f"{doing} of {model}")


def _seen(version: Any) -> ModelVersion:
    tags = dict(version.tags or {})
    return ModelVersion(
        model=version.name,
        version=int(version.version),
        uri=version.source,
        sha256=tags.get(CONTENT_TAG, ""),
        run_id=version.run_id or "",
        tags=tags,
    )
