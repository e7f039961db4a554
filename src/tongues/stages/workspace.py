"""Where finished work lives, and how a stage finds it instead of doing it again.

    <workspace>/<stage>/<key>/           one finished folder, manifest.json written last
    <workspace>/ledger/                  what engines were paid for

The key is the digest of the stage's inputs, parameters and code version, so work is shared
between runs and recipes, and changing one setting never overwrites what another run made.
"""

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_files, digest_value
from tongues.core.errors import StorageError
from tongues.core.manifest import NOT_NAMED, Manifest, Tally, read_manifest, work_key, write_manifest
from tongues.core.progress import Say, say_on_stderr
from tongues.core.recipe import Recipe
from tongues.core.recipe_file import dump_recipe
from tongues.platform import storage

RECIPE_NAME = "recipe.yaml"


@dataclass(frozen=True)
class Output:
    """A finished folder: where it is published, where it lies locally, what it says of itself."""

    uri: str
    folder: Path
    manifest: Manifest


@dataclass
class Report:
    """What the body of a stage hands back for the manifest; see `Manifest` for the fields."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    observed: dict[str, Any] = field(default_factory=dict)
    content_sha256: str | None = None
    leave: tuple[str, ...] = ()
    """Folders with the stage's own scratch files (checkpoints), removed once the work is done."""


@dataclass(frozen=True)
class Workspace:
    """A place for finished work.

    Args:
        uri: folder, or ``s3://bucket/prefix``.
        scratch: local folder for work in progress; a local workspace needs none.
        say: takes lines for the user.
        works: whether what is not finished may be done; see `finished_only`.
    """

    uri: str
    scratch: Path = field(default_factory=lambda: Path.home() / ".cache" / "tongues")
    say: Say = say_on_stderr
    works: bool = True

    @property
    def local(self) -> Path:
        """The local folder that mirrors the workspace: itself where it is local."""
        path = storage.local_path(self.uri)
        if path is not None:
            return path.resolve()
        return self.scratch / hashlib.sha256(self.uri.encode()).hexdigest()[:12]

    def uri_of(self, folder: Path) -> str:
        """Where a folder of the local mirror is, or will be, published."""
        return storage.join(self.uri, *folder.relative_to(self.local).parts)

    def open(self, uri: str) -> Output:
        """A finished folder by URI, fetched and verified if it is remote.

        Raises:
            StorageError: it is not finished.
        """
        root = self.uri.rstrip("/") + "/"
        name = uri[len(root) :] if uri.startswith(root) else f"elsewhere/{digest_value(uri)[:20]}"
        folder = storage.fetch_folder(uri, self.local / name).resolve()
        manifest = read_manifest(folder)
        if manifest is None:
            raise StorageError("no finished output here", where=uri, fix="run the stage that makes it")
        return Output(uri, folder, manifest)

    def quiet(self) -> "Workspace":
        """The same workspace, which says nothing."""
        return replace(self, say=lambda _: None)

    def finished_only(self) -> "Workspace":
        """The same workspace, in which `finish` finds work and does none."""
        return replace(self.quiet(), works=False)

    def finish(
        self,
        stage: str,
        *,
        recipe: Recipe,
        inputs: Mapping[str, Output | str],
        params: Any,
        work: Callable[[Path], Report],
    ) -> Output:
        """Return the stage's finished folder, doing the work only if nobody has done it yet.

        Args:
            stage: the verb.
            recipe: as written; its digest and text travel with the output.
            inputs: name to finished folder, or to the digest of a file.
            params: JSON value of all settings that change the result.
            work: fills the folder it is given and reports; may find its own earlier progress there.

        Raises:
            StorageError: it is not finished, in a workspace where nothing may be done.
        """
        job, uri, folder = self._place(stage, recipe, inputs, params)
        if not self.works and storage.read_manifest_at(uri) is None:
            raise StorageError(f"{stage} is not finished", where=uri, fix="run the stage that makes it")
        with _only_one(self.local / ".locks" / f"{stage}-{job.key}", self.say):
            if storage.read_manifest_at(uri) is not None:
                self.say(f"{stage}: found finished ({job.key})")
                return self.open(uri)
            manifest = self._do(job, folder, work)
            storage.publish_folder(folder, uri)
        return Output(uri, folder, manifest)

    def find(
        self, stage: str, *, recipe: Recipe, inputs: Mapping[str, Output | str], params: Any
    ) -> tuple[Path, Output | None]:
        """Where `finish` works, and what it has finished there; see its arguments."""
        _, uri, folder = self._place(stage, recipe, inputs, params)
        return folder, self.open(uri) if storage.read_manifest_at(uri) is not None else None

    def _place(
        self, stage: str, recipe: Recipe, inputs: Mapping[str, Output | str], params: Any
    ) -> tuple["_Job", str, Path]:
        key = work_key(stage, {n: _content(i) for n, i in inputs.items()}, digest_value(params))
        job = _Job(stage, key, recipe, {n: _link(i) for n, i in inputs.items()}, digest_value(params))
        return job, storage.join(self.uri, stage, key), self.local / stage / key

    def _do(self, job: "_Job", folder: Path, work: Callable[[Path], Report]) -> Manifest:
        self.say(f"{job.stage}: working ({job.key})")
        started = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)
        report = work(folder)
        for name in report.leave:
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / RECIPE_NAME).write_text(dump_recipe(job.recipe), encoding="utf-8")
        files = digest_files(folder, leave_out=NOT_NAMED)
        content = {name: sha for name, sha in files.items() if name != RECIPE_NAME}
        manifest = Manifest(
            stage=job.stage,
            key=job.key,
            inputs=job.links,
            params_sha256=job.params_sha256,
            recipe_sha256=job.recipe.digest(),
            content_sha256=report.content_sha256 or digest_value(content),
            files=files,
            tallies=report.tallies,
            facts=report.facts,
            observed=report.observed,
            wall_s=round(time.monotonic() - started, 3),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return write_manifest(folder, manifest)


@dataclass(frozen=True)
class _Job:
    """What identifies one piece of work."""

    stage: str
    key: str
    recipe: Recipe
    links: dict[str, str]
    params_sha256: str


def _content(given: Output | str) -> str:
    """What decides on equal work: the content, not who made it or in how many shards."""
    return given if isinstance(given, str) else given.manifest.content_sha256


def _link(given: Output | str) -> str:
    """What lineage follows: the very manifest that was read."""
    return given if isinstance(given, str) else given.manifest.digest()


@contextmanager
def _only_one(path: Path, say: Say) -> Iterator[None]:
    """Let one process at a time do a piece of work; the others wait and then find it finished."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{path.name}: another process is on it; waiting for it to finish")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fresh(folder: Path) -> None:
    """Empty a stage's folder: what an interrupted run left there is of no use to this stage."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
