"""Prepare: read the source rows and fetch the base model, before anything is spent."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tongues.core.digests import digest_file, digest_rows, digest_value
from tongues.core.errors import DataError
from tongues.core.recipe import BaseModelSection
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
    section = given.located.source
    path = storage.fetch_file(section.uri, workspace.local / "downloads" / Path(section.uri).name)

    def work(folder: Path) -> Report:
        fresh(folder)
        sorter, groups = Sorter(), list[str]()
        rows = sorter.kept(read_source(path, section=section), lang_of=lambda _: section.lang)
        write_shards(folder / "rows", SOURCE_SCHEMA, _noting(rows, groups))
        sorter.write_drops(folder / "dropped")
        if not groups:
            raise DataError(
                f"no usable row; dropped {sorter.reasons()}", where=str(path), fix="mend the file"
            )
        return Report(tallies=sorter.tallies, content_sha256=digest_rows(groups))

    params = given.recipe.source.model_dump(mode="json", exclude={"uri"})
    inputs = {"source": digest_file(path)}
    return workspace.finish("prepare", recipe=given.recipe, inputs=inputs, params=params, work=work)


def _noting(rows: Iterator[SourceRow], groups: list[str]) -> Iterator[dict[str, object]]:
    for row in rows:
        groups.append(row.group)
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
