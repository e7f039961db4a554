"""Measure translations: sentences there and back, against parallel text, and by a judge."""

import json
from pathlib import Path

from tongues.core.errors import DataError
from tongues.core.records import AlignedRow, SourceRow
from tongues.core.shards import read_shards
from tongues.data.spans import SpanProtector
from tongues.inference.budget import Budget
from tongues.inference.writer import Writer
from tongues.platform import storage
from tongues.stages.given import Given
from tongues.stages.ledger import open_ledger
from tongues.stages.workspace import Output, Workspace
from tongues.translation.chain import build_chain
from tongues.translation.quality import Quality, measure_quality
from tongues.translation.quality_judge import judge_translations, pairs_of, sample_rows


def measure(given: Given, workspace: Workspace, source: Output) -> dict[str, list[Quality]]:
    """Measure the first engine of each language, as the recipe's `translation.quality` asks.

    Returns:
        Language to what was measured; empty where the recipe asks for nothing.

    Raises:
        DataError: the parallel text cannot be read, or lacks a language.
        EngineError: an engine is out of order.
    """
    section = given.recipe.translation.quality
    if not section.round_trip_sentences and not section.reference_uri:
        return {}
    parallel = _parallel(given, workspace)
    found = {}
    with open_ledger(workspace, "quality") as ledger:
        for lang in given.recipe.languages:
            workspace.say(f"gather: measuring {lang}")
            pair = given.recipe.source.lang, lang
            found[lang] = measure_quality(
                map(SourceRow.from_row, read_shards(source.folder / "rows")),
                engine=build_chain(given.located.translation, *pair)[0],
                source_lang=pair[0],
                target_lang=lang,
                ledger=ledger,
                protector=SpanProtector.from_section(given.recipe.translation),
                sentences=section.round_trip_sentences,
                reference=_pairs(parallel, *pair) if parallel else None,
            )
    return found


def judge_rows(given: Given, workspace: Workspace, rows: Path) -> dict[str, list[Quality]]:
    """Have a sample of each language's rows rated, as the recipe's `translation.quality.judge` asks.

    Args:
        given: the recipe.
        workspace: whose ledger keeps the verdicts.
        rows: the store's rows, source language and translations.

    Returns:
        Language to what was measured; empty where the recipe asks for no judge.

    Raises:
        EngineError, BudgetError: of the judge; verdicts so far are in the ledger.
    """
    section, source_lang = given.recipe.translation.quality.judge, given.recipe.source.lang
    found: dict[str, list[Quality]] = {}
    if section is None:
        return found
    with open_ledger(workspace, "quality-judge") as ledger:
        for lang in given.recipe.languages:
            chosen = sample_rows(map(AlignedRow.from_row, read_shards(rows)), lang, section.rows)
            groups = {row.group for row in chosen}
            every = map(AlignedRow.from_row, read_shards(rows))
            originals = {row.group: row for row in every if row.lang == source_lang and row.group in groups}
            if pairs := pairs_of(chosen, originals):
                workspace.say(f"gather: {len(pairs)} rows of {lang} to be judged")
                account = f"quality-judge-{lang}"
                share, spent = 1 / len(given.recipe.languages), ledger.spent(account)
                budget = Budget(section.budget, share=share, spent=spent, account=account)
                found[lang] = [judge_translations(pairs, Writer(section.engine, ledger, budget, lang))]
    return found


def fetch_parallel(uri: str, workspace: Workspace) -> Path:
    """The file with parallel text, on this disk."""
    return storage.fetch_file(uri, workspace.local / "downloads" / Path(uri).name)


def _parallel(given: Given, workspace: Workspace) -> dict[tuple[str, str], str]:
    """Parallel text as (id, language) to text."""
    uri = given.located.translation.quality.reference_uri
    if uri is None:
        return {}
    return {(row["id"], row["lang"]): row["text"] for row in _lines(fetch_parallel(uri, workspace))}


def _lines(path: Path) -> list[dict[str, str]]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            rows.append({name: str(row[name]) for name in ("id", "lang", "text")})
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"not a line of parallel text ({error!r})",
                where=f"{path.name}:{number}",
                fix="each line is an object with id, lang and text",
            ) from error
    return rows


def _pairs(parallel: dict[tuple[str, str], str], source: str, target: str) -> list[tuple[str, str]]:
    ids = [id for id, lang in parallel if lang == source and (id, target) in parallel]
    if not ids:
        raise DataError(
            f"the parallel text has no item in both {source} and {target}",
            where="translation.quality.reference_uri",
            fix="add it, or take the language out of the recipe",
        )
    return [(parallel[id, source], parallel[id, target]) for id in ids]
