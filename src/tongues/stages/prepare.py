"""Prepare: read the source rows and fetch the base model, before anything is spent."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tongues.core.digests import RowsDigest, digest_file, digest_value
from tongues.core.drops import Drop
from tongues.core.errors import DataError
from tongues.core.recipe import BaseModelSection, SourceSection
from tongues.core.records import SOURCE_SCHEMA, SourceRow
from tongues.core.shards import write_shards
from tongues.data.sources import read_source
from tongues.platform import storage
from tongues.stages.given import Given
from tongues.stages.rows import Sorter
from tongues.stages.workspace import Output, Report, Workspace, fresh
from tongues.tuning.base_model import fetch_base


def prepare(given: Given, workspace: Workspace) -> Output:
    """Read the source file into rows; malformed rows are dropped with file, line and reason.

    Returns:
        A folder with ``rows/`` (SOURCE_SCHEMA) and ``dropped/`` (DROP_SCHEMA).

    Raises:
        DataError: the file is missing, unreadable, or holds no usable row.
    """
    files = [(section, _fetched(section.uri, workspace)) for section in given.located.source.files]
    places = {name: section.uri for name, (section, _) in zip(input_names(given), files, strict=True)}

    def work(folder: Path) -> Report:
        fresh(folder)
        digest = RowsDigest()
        with Sorter(folder / "dropped") as sorter:
            rows = sorter.kept(_read(files), lang_of=lambda _: given.recipe.source.lang)
            write_shards(folder / "rows", SOURCE_SCHEMA, _noting(rows, digest))
        if not digest.rows:
            named = ", ".join(section.uri for section, _ in files)
            raise DataError(f"no usable row; dropped {sorter.reasons()}", where=named, fix="mend the file")
        return Report(sorter.tallies, observed={"sources": places}, content_sha256=digest.hexdigest())

    params = given.recipe.source.model_dump(mode="json", exclude={"uri": True, "also": {"__all__": {"uri"}}})
    inputs = {name: digest_file(path) for name, (_, path) in zip(input_names(given), files, strict=True)}
    return workspace.finish("prepare", recipe=given.recipe, inputs=inputs, params=params, work=work)


def input_names(given: Given) -> list[str]:
    """What the source files are called in the manifest: "source", "source-2", "source-3"."""
    return ["source", *(f"source-{number}" for number in range(2, len(given.recipe.source.files) + 1))]


def _fetched(uri: str, workspace: Workspace) -> Path:
    """The file on this disk; two of one name in different places do not meet."""
    return storage.fetch_file(uri, workspace.local / "downloads" / digest_value(uri)[:12] / Path(uri).name)


def _read(files: Sequence[tuple[SourceSection, Path]]) -> Iterator[SourceRow | Drop]:
    seen: dict[str, str] = {}
    for section, path in files:
        yield from read_source(path, section=section, seen=seen)


def _noting(rows: Iterator[SourceRow], digest: RowsDigest) -> Iterator[dict[str, object]]:
    for row in rows:
        digest.add(row.group)
        yield row.to_row()


def _downloaded(section: BaseModelSection, workspace: Workspace) -> BaseModelSection:
    """The section with a local folder in place of an ``s3://`` one."""
    if not section.uri.startswith("s3://"):
        return section
    folder = workspace.local / "downloads" / "base" / digest_value(section.uri)[:12]
    for name in storage.list_names(section.uri):
        storage.fetch_file(storage.join(section.uri, name), folder / name)
    return section.model_copy(update={"uri": str(folder)})


def fetch_base_model(given: Given, workspace: Workspace) -> Output:
    """Fetch the base model and keep it as safetensors with tokenizer and chat template.

    Returns:
        A folder that transformers and vLLM load as it is.
    """
    section = given.located.base_model

    def work(folder: Path) -> Report:
        fresh(folder)
        facts = fetch_base(_downloaded(section, workspace), folder)
        return Report(facts={"name": section.name, "licence": section.licence, **asdict(facts)})

    params = given.recipe.base_model.model_dump(mode="json")
    return workspace.finish("base", recipe=given.recipe, inputs={}, params=params, work=work)
