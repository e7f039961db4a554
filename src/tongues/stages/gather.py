"""Gather: the originals and all translations in one aligned store, with a report on how they came out."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tongues.core.digests import RowsDigest, digest_file
from tongues.core.errors import DataError
from tongues.core.manifest import Tally
from tongues.core.records import ALIGNED_SCHEMA, AlignedRow, SourceRow
from tongues.core.shards import read_shards, write_shards
from tongues.stages.given import Given
from tongues.stages.ledger import compact_segments
from tongues.stages.quality import fetch_parallel, judge_rows, measure
from tongues.stages.translation_report import Gathered, write_reports
from tongues.stages.workspace import Output, Report, Workspace, fresh


def gather(given: Given, workspace: Workspace, source: Output, translations: Sequence[Output]) -> Output:
    """Merge the translations into one store; however many shards there were, the content is the same.

    Args:
        given: the recipe.
        workspace: where the store goes.
        source: output of prepare.
        translations: outputs of translate, all shards of all languages, any order.

    Returns:
        A folder with ``rows/`` (ALIGNED_SCHEMA; language by language, each in source order), and the
        translation report as ``report.html``, ``report.md`` and ``report.json``.

    Raises:
        DataError: a shard of a language is missing, given twice, or of another source.
    """
    recipe = given.recipe
    by_lang = _by_language(recipe.languages, translations)

    def work(folder: Path) -> Report:
        fresh(folder)
        gathered = Gathered(recipe.source.lang, by_lang)
        digest = RowsDigest()
        rows = _all_rows(source, recipe.source.lang, by_lang)
        write_shards(folder / "rows", ALIGNED_SCHEMA, (_noted(row, gathered, digest) for row in rows))
        _require_whole(source, by_lang)
        quality = measure(given, workspace, source)
        for lang, judged in judge_rows(given, workspace, folder / "rows").items():
            quality[lang] = [*quality.get(lang, []), *judged]
        write_reports(folder, recipe.name, gathered, quality, folder / "rows")
        compact_segments(workspace)
        return Report(tallies=gathered.tallies, content_sha256=digest.hexdigest())

    named = {f"translation-{lang}-{o.manifest.key}": o for lang, outputs in by_lang.items() for o in outputs}
    inputs: dict[str, Output | str] = {"source": source, **dict(sorted(named.items()))}
    quality_section = recipe.translation.quality
    if uri := given.located.translation.quality.reference_uri:
        inputs["reference"] = digest_file(fetch_parallel(uri, workspace))
    params: dict[str, Any] = {
        "lang": recipe.source.lang,
        "languages": recipe.languages,
        "round_trip_sentences": quality_section.round_trip_sentences,
    }
    if judge := quality_section.judge:
        engine = judge.engine.model_dump(mode="json", include={"model", "temperature", "max_output_tokens"})
        params["judge"] = {"rows": judge.rows, "engine": engine}
    return workspace.finish("gather", recipe=recipe, inputs=inputs, params=params, work=work)


def _by_language(languages: Sequence[str], translations: Sequence[Output]) -> dict[str, list[Output]]:
    """The outputs of each language in order of their shards; other languages come after the recipe's."""
    found: dict[str, list[Output]] = {}
    for output in sorted(translations, key=lambda o: str(o.manifest.facts.get("shard", ""))):
        found.setdefault(output.manifest.facts["lang"], []).append(output)
    return {lang: found[lang] for lang in (*languages, *sorted(set(found) - set(languages))) if lang in found}


def _all_rows(source: Output, source_lang: str, by_lang: dict[str, list[Output]]) -> Iterator[AlignedRow]:
    yield from _originals(source, source_lang)
    for lang, outputs in by_lang.items():
        yield from _in_source_order(source, lang, outputs)


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


def _in_source_order(source: Output, lang: str, outputs: Sequence[Output]) -> Iterator[AlignedRow]:
    """Merge shards, each in source order, by walking the source's groups: one row per shard in memory."""
    heads: dict[str, tuple[AlignedRow, Iterator[AlignedRow]]] = {}
    for output in outputs:
        _advance(heads, map(AlignedRow.from_row, read_shards(output.folder / "rows")), lang)
    for group in (row["group"] for row in read_shards(source.folder / "rows", columns=["group"])):
        if group in heads:
            row, stream = heads.pop(group)
            yield row
            _advance(heads, stream, lang)
    if heads:
        raise DataError(
            f"{lang}: rows that the source does not have, or not in its order, such as {next(iter(heads))}",
            where=", ".join(output.uri for output in outputs),
            fix="translate this source again",
        )


def _advance(
    heads: dict[str, tuple[AlignedRow, Iterator[AlignedRow]]], stream: Iterator[AlignedRow], lang: str
) -> None:
    row = next(stream, None)
    if row is None:
        return
    if row.group in heads:
        raise DataError(f"{lang}: two shards hold the row {row.group}", fix="give each shard once")
    heads[row.group] = row, stream


def _require_whole(source: Output, by_lang: dict[str, list[Output]]) -> None:
    """All shards of a language together have seen every source row once."""
    for lang, outputs in by_lang.items():
        seen = sum(output.manifest.tallies.get(lang, Tally()).rows_in for output in outputs)
        if seen != source.manifest.rows_out:
            shards = ", ".join(str(output.manifest.facts.get("shard")) for output in outputs)
            raise DataError(
                f"{lang}: its shards ({shards}) have {seen} of {source.manifest.rows_out} source rows",
                where=source.uri,
                fix="run the missing shards, or leave out those of another cut",
            )


def _noted(row: AlignedRow, gathered: Gathered, digest: RowsDigest) -> dict[str, object]:
    gathered.add(row)
    digest.add(row.digest())
    return row.to_row()
