"""Translate: source rows into one language, through the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tongues.core.digests import digest_rows
from tongues.core.progress import LineProgress
from tongues.core.records import ALIGNED_SCHEMA, AlignedRow, SourceRow
from tongues.core.shards import read_shards, write_shards
from tongues.data.checks import standard_checks
from tongues.data.language_id import RestrictedIdentifier
from tongues.data.spans import SpanProtector
from tongues.platform import storage
from tongues.stages.given import Given
from tongues.stages.rows import Sorter
from tongues.stages.workspace import Output, Report, Workspace, fresh
from tongues.translation.counts import Counts
from tongues.translation.engine import Engine
from tongues.translation.engines import build_engine
from tongues.translation.ledger import Ledger
from tongues.translation.translate import translate_rows


def translate(given: Given, workspace: Workspace, source: Output, lang: str) -> Output:
    """Translate the source rows into one language; what the ledger holds is not asked again.

    Args:
        given: the recipe.
        workspace: where the rows and the ledger are kept.
        source: output of prepare.
        lang: BCP-47 code.

    Returns:
        A folder with ``rows/`` (ALIGNED_SCHEMA) and ``dropped/`` (DROP_SCHEMA).

    Raises:
        EngineError: the engine is out of order; everything answered so far is in the ledger.
    """
    recipe = given.recipe
    engine = build_engine(recipe.translation.engine)
    pair = recipe.source.lang, lang

    def work(folder: Path) -> Report:
        counts = Counts()
        with open_ledger(workspace, f"{lang}-{source.manifest.key}") as ledger:
            write = partial(_write_rows, given, workspace, source, lang, engine, ledger)
            sorter, digests = write(folder, counts)
            if counts.failures:
                workspace.say(f"translate {lang}: {_told(counts)} failed; trying once more what may pass")
                sorter, digests = write(folder, counts)
        facts = {"lang": lang, "engine": engine.step(*pair).engine, "model": engine.step(*pair).model}
        observed = counts.observed()
        return Report(sorter.tallies, facts=facts, observed=observed, content_sha256=digest_rows(digests))

    params = {
        "translation": recipe.translation.model_dump(mode="json", exclude={"engine"}),
        "engine": identity_of(engine, *pair),
        "candidates": sorted({*recipe.languages, recipe.source.lang}),
        "lang": lang,
    }
    return workspace.finish("translate", recipe=recipe, inputs={"source": source}, params=params, work=work)


def identity_of(engine: Engine, source: str, target: str) -> dict[str, str]:
    """What makes two engines give the same text: the same that the ledger goes by."""
    step = engine.step(source, target)
    return {
        "engine": step.engine,
        "model": step.model,
        "prompt_sha256": step.prompt_sha256,
        "params_sha256": step.params_sha256,
    }


@contextmanager
def open_ledger(workspace: Workspace, name: str) -> Iterator[Ledger]:
    """The workspace's ledger; in an object store, what others paid for comes in and ours goes out.

    Args:
        workspace: where the ledger is kept.
        name: of the segment that this work publishes.
    """
    remote = storage.local_path(workspace.uri) is None
    folder = storage.join(workspace.uri, "ledger")
    with Ledger(workspace.local / "ledger" / "translations.sqlite") as ledger:
        try:
            for segment in storage.list_names(folder) if remote else []:
                path = workspace.local / "ledger" / "segments" / segment
                ledger.import_segment(storage.fetch_file(storage.join(folder, segment), path))
            yield ledger
        finally:
            if remote:
                path = workspace.local / "ledger" / f"{name}.parquet"
                ledger.export_segment(path)
                storage.publish_file(path, storage.join(folder, path.name))


def _write_rows(
    given: Given,
    workspace: Workspace,
    source: Output,
    lang: str,
    engine: Engine,
    ledger: Ledger,
    folder: Path,
    counts: Counts,
) -> tuple[Sorter, list[str]]:
    """One pass over all rows; in a second one the ledger answers all but what failed and may pass."""
    fresh(folder)
    recipe, sorter, digests = given.recipe, Sorter(), list[str]()
    translated = translate_rows(
        map(SourceRow.from_row, read_shards(source.folder / "rows")),
        engine=engine,
        source_lang=recipe.source.lang,
        target_lang=lang,
        ledger=ledger,
        protector=SpanProtector.from_section(recipe.translation),
        checks=standard_checks(recipe.translation, RestrictedIdentifier(), recipe.languages),
        progress=LineProgress(f"translate {lang}", source.manifest.rows_out, "rows", say=workspace.say),
        counts=counts,
    )
    kept = sorter.kept(translated, lang_of=lambda row: row.lang)
    write_shards(folder / "rows", ALIGNED_SCHEMA, _noting(kept, digests))
    sorter.write_drops(folder / "dropped")
    sorter.tally(lang)
    return sorter, digests


def _told(counts: Counts) -> str:
    return ", ".join(f"{segments} {reason}" for reason, segments in sorted(counts.failures.items()))


def _noting(rows: Iterator[AlignedRow], digests: list[str]) -> Iterator[dict[str, object]]:
    for row in rows:
        digests.append(row.digest())
        yield row.to_row()
