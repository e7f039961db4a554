"""The manifest: what a finished folder holds, where it came from, and what was left out.

A folder is complete when its ``manifest.json`` stands, because that file is written last and
atomically. Manifests name their inputs by digest, so a chain of them leads from the served
endpoint back to the source rows.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tongues import __version__
from tongues.core.digests import canonical_json, digest_files, digest_value
from tongues.core.errors import DataError

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "model.sig"
"""Stands beside the manifest, which it covers, where the folder was signed."""
NOT_NAMED = frozenset({MANIFEST_NAME, SIGNATURE_NAME})
"""What a manifest does not name: itself, and what was written after it."""
_TIMES = {"wall_s", "finished_at", "observed"}
_VOLATILE = _TIMES | {"times_sha256"}


class Tally(BaseModel):
    """Rows of one language through one stage; ``rows_in == rows_out + sum(dropped)``.

    Args:
        rows_in: rows that arrived.
        rows_out: rows that left.
        dropped: reason to rows.
    """

    model_config = ConfigDict(extra="forbid")
    rows_in: int = Field(default=0, ge=0)
    rows_out: int = Field(default=0, ge=0)
    dropped: dict[str, int] = Field(default_factory=dict)

    @property
    def unaccounted(self) -> int:
        """Rows that neither left nor were dropped with a reason; must be 0."""
        return self.rows_in - self.rows_out - sum(self.dropped.values())

    def keep(self) -> None:
        """Count one row that arrived and left."""
        self.rows_in += 1
        self.rows_out += 1

    def drop(self, reason: str) -> None:
        """Count one row that arrived and was dropped."""
        self.rows_in += 1
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def add(self, other: Self) -> None:
        """Add another tally, as when shards are gathered."""
        self.rows_in += other.rows_in
        self.rows_out += other.rows_out
        for reason, rows in other.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + rows


class Manifest(BaseModel):
    """What a finished folder says of itself.

    Args:
        stage: the verb that made it.
        key: digest of stage, inputs, parameters and code version: equal key, equal work.
        inputs: name to digest of the input's manifest or file.
        params_sha256: digest of the recipe section the stage read.
        recipe_sha256: digest of the whole resolved recipe.
        code_version: version of tongues.
        content_sha256: digest of the meaning: rows in any order and sharding, or files.
        files: relative path to sha256 of its bytes.
        tallies: language code to row counts; "und" where a row's language is not known.
        facts: stable results of the stage, such as metrics or a model name.
        observed: what may differ between two equal runs, such as rates.
        wall_s: seconds the stage took.
        finished_at: UTC time, ISO 8601.
        times_sha256: digest of what may differ between equal runs, so that a changed byte shows there too;
            None in manifests of tongues before it was introduced.
    """

    model_config = ConfigDict(extra="forbid")
    schema_version: int = 1
    stage: str
    key: str
    inputs: dict[str, str]
    params_sha256: str
    recipe_sha256: str
    code_version: str = __version__
    content_sha256: str
    files: dict[str, str]
    tallies: dict[str, Tally] = Field(default_factory=dict)
    facts: dict[str, Any] = Field(default_factory=dict)
    observed: dict[str, Any] = Field(default_factory=dict)
    wall_s: float = Field(ge=0)
    finished_at: str
    times_sha256: str | None = None

    @model_validator(mode="after")
    def _reconcile(self) -> Self:
        wrong = {lang: t.unaccounted for lang, t in self.tallies.items() if t.unaccounted}
        if wrong:
            raise ValueError(f"rows in = rows out + rows dropped does not hold; unaccounted rows: {wrong}")
        return self

    def digest(self) -> str:
        """Digest of all that must be equal between two equal runs (not times, not rates)."""
        return digest_value(self.model_dump(mode="json", exclude=_VOLATILE))

    def times_digest(self) -> str:
        """Digest of all that may differ between two equal runs."""
        return digest_value(self.model_dump(mode="json", include=_TIMES))

    def to_json(self) -> bytes:
        """The manifest as canonical JSON, the only way it is written."""
        left_out = {"times_sha256"} if self.times_sha256 is None else set()
        return canonical_json(self.model_dump(mode="json", exclude=left_out))

    @property
    def rows_out(self) -> int:
        """Rows that left the stage, all languages together."""
        return sum(t.rows_out for t in self.tallies.values())


def work_key(stage: str, inputs: dict[str, str], params_sha256: str) -> str:
    """The key under which finished work is looked for.

    Two runs share a key when stage, inputs, parameters and tongues version are the same.
    """
    return digest_value([stage, inputs, params_sha256, __version__])[:20]


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write the manifest atomically; call it last.

    Returns:
        The manifest as it was written.

    Raises:
        DataError: the folder's files differ from those the manifest names.
    """
    actual = digest_files(folder, leave_out=NOT_NAMED)
    if actual != manifest.files:
        strays = sorted(set(actual.items()) ^ set(manifest.files.items()))
        raise DataError(
            f"files differ from the manifest about to be written: {strays[:3]}", where=str(folder)
        )
    sealed = manifest.model_copy(update={"times_sha256": manifest.times_digest()})
    write_atomically(folder / MANIFEST_NAME, sealed.to_json())
    return sealed


def read_manifest(folder: Path) -> Manifest | None:
    """Read a folder's manifest; None where there is none, so the work is not finished.

    Raises:
        DataError: the file is there and is not a manifest.
    """
    path = folder / MANIFEST_NAME
    if not path.exists():
        return None
    return parse_manifest(path.read_bytes(), where=str(path))


def parse_manifest(content: bytes, *, where: str) -> Manifest:
    """Parse a manifest's bytes.

    Raises:
        DataError: they are not a manifest.
    """
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"not a valid manifest ({first['msg']})",
            where=where,
            fix="delete the folder and run the stage again",
        ) from error


def verify_files(folder: Path, manifest: Manifest) -> list[str]:
    """Re-hash a folder against its manifest.

    Returns:
        One line per file that is missing, changed or not named; empty if all is as stated.
    """
    return compare_files(str(folder), digest_files(folder, leave_out=NOT_NAMED), manifest)


def compare_files(where: str, actual: Mapping[str, str], manifest: Manifest) -> list[str]:
    """Compare the digests of a folder's files, wherever it is, with its manifest; see `verify_files`.

    Args:
        where: folder or URI that the lines name.
        actual: relative path to sha256 of its bytes.
        manifest: what they should be.
    """
    lines = []
    for name in sorted(actual.keys() | manifest.files.keys()):
        if name not in actual:
            lines.append(f"{where}/{name}: missing")
        elif name not in manifest.files:
            lines.append(f"{where}/{name}: not named in the manifest")
        elif actual[name] != manifest.files[name]:
            lines.append(
                f"{where}/{name}: changed (sha256 {actual[name][:12]}, expected {manifest.files[name][:12]})"
            )
    return lines


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or none, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(handle, 0o644)  # mkstemp makes it private, and other pods read it
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
