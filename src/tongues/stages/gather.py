"""Gather: the originals and all translations in one aligned store."""

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path

from tongues.core.digests import digest_rows
from tongues.core.manifest import Tally
from tongues.core.records import ALIGNED_SCHEMA, AlignedRow, SourceRow
from tongues.core.shards import read_shards, write_shards
from tongues.stages.given import Given
from tongues.stages.workspace import Output, Report, Workspace, fresh


def gather(given: Given, workspace: Workspace, source: Output, translations: Sequence[Output]) -> Output:
    """Merge the translations into one store; however many shards there were, the content is the same.

    Args:
        given: the recipe.
        workspace: where the store goes.
        source: output of prepare.
        translations: outputs of translate, any order.

    Returns:
        A folder with ``rows/`` (ALIGNED_SCHEMA), ordered by language and group.
    """
    lang = given.recipe.source.lang

    def work(folder: Path) -> Report:
        fresh(folder)
        tallies: dict[str, Tally] = {}
        digests: list[str] = []
        streams = [_originals(source, lang), *(_translated(output) for output in translations)]
        merged = heapq.merge(*map(_in_order, streams), key=_place)
        write_shards(folder / "rows", ALIGNED_SCHEMA, _counted(merged, tallies, digests))
        return Report(tallies=tallies, content_sha256=digest_rows(digests))

    named = {f"translation-{o.manifest.facts['lang']}-{o.manifest.key}": o for o in translations}
    inputs = {"source": source, **dict(sorted(named.items()))}
    return workspace.finish("gather", recipe=given.recipe, inputs=inputs, params={"lang": lang}, work=work)


def _originals(source: Output, lang: str) -> Iterator[AlignedRow]:
    for row in map(SourceRow.from_row, read_shards(source.folder / "rows")):
        yield AlignedRow(
            group=row.group,
            lang=lang,
            instruction=row.instruction,
            input=row.input,
            output=row.output,
            protect=row.protect,
            category=row.category,
            source=row.source,
            steps=(),
            verdicts={},
            quality=None,
        )


def _translated(output: Output) -> Iterator[AlignedRow]:
    return map(AlignedRow.from_row, read_shards(output.folder / "rows"))


def _place(row: AlignedRow) -> tuple[str, str]:
    return row.lang, row.group


def _in_order(rows: Iterator[AlignedRow]) -> list[AlignedRow]:
    return sorted(rows, key=_place)


def _counted(
    rows: Iterator[AlignedRow], tallies: dict[str, Tally], digests: list[str]
) -> Iterator[dict[str, object]]:
    for row in rows:
        tallies.setdefault(row.lang, Tally()).keep()
        digests.append(row.digest())
        yield row.to_row()
