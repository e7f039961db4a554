"""Translate: source rows into one language, through the ledger."""

from collections.abc import Iterator
from pathlib import Path

from tongues.core.digests import RowsDigest
from tongues.core.meters import METER
from tongues.core.progress import LineProgress
from tongues.core.records import ALIGNED_SCHEMA, AlignedRow, SourceRow
from tongues.core.shards import read_shards, write_shards
from tongues.data.checks import standard_checks
from tongues.data.language_id import RestrictedIdentifier
from tongues.data.row_score import RowScorer
from tongues.data.spans import SpanProtector
from tongues.inference.budget import Budget
from tongues.inference.engine import Engine
from tongues.inference.ledger import Ledger
from tongues.stages.fan_out import Job, jobs
from tongues.stages.given import Given
from tongues.stages.ledger import open_ledger
from tongues.stages.ledger_use import list_used
from tongues.stages.rows import Sorter
from tongues.stages.translation_meters import measured
from tongues.stages.workspace import Output, Report, Workspace, fresh
from tongues.translation.chain import build_chain
from tongues.translation.counts import Counts
from tongues.translation.selection import Selector
from tongues.translation.translate import translate_rows

_NOT_IN_KEY = {"engine", "escalate_to", "budget", "shards", "replay_only", "quality", "selection"}


def translate(given: Given, workspace: Workspace, source: Output, job: Job) -> Output:
    """Translate one shard of the source rows into one language; what the ledger holds is not asked again.

    Args:
        given: the recipe.
        workspace: where the rows and the ledger are kept.
        source: output of prepare.
        job: language and shard.

    Returns:
        A folder with ``rows/`` (ALIGNED_SCHEMA, in source order), ``dropped/`` (DROP_SCHEMA) and
        ``ledger.parquet``, the ledger's entries it used by digest.

    Raises:
        EngineError: an engine is out of order; everything answered so far is in the ledger.
        BudgetError: the job's share of the budget is spent; the same holds.
    """
    recipe = given.recipe
    section, pair = recipe.translation, (recipe.source.lang, job.lang)
    chain = build_chain(given.located.translation, *pair)

    def work(folder: Path) -> Report:
        with open_ledger(workspace, f"{job.lang}-{folder.name}") as ledger:
            ledger.note_use()
            sorter, digest, counts = _passes(given, workspace, source, job, chain, ledger, folder)
            used = list_used(ledger, folder)
        facts = {"lang": job.lang, "shard": str(job.shard), "engines": [identity_of(e, *pair) for e in chain]}
        facts |= used
        return Report(sorter.tallies, facts, counts.observed(), content_sha256=digest.hexdigest())

    params = {
        "translation": section.model_dump(mode="json", exclude=_NOT_IN_KEY),
        "selection": Selector(section.selection).identity,
        "engines": [identity_of(engine, *pair) for engine in chain],
        "candidates": sorted({*recipe.languages, recipe.source.lang}),
        "lang": job.lang,
        "shard": str(job.shard),
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


def figures(output: Output) -> dict[str, float]:
    """Rows kept and dropped, requests, tokens and cost of a finished translation, to show beside the step."""
    observed, tally = output.manifest.observed, output.manifest.tallies[output.manifest.facts["lang"]]
    rows = {"rows_kept": float(tally.rows_out)}
    rows |= {f"dropped_{reason}": float(count) for reason, count in sorted(tally.dropped.items())}
    return rows | {name: float(observed[name]) for name in ("ledger_hits", "requests", "tokens", "cost")}


def _passes(
    given: Given,
    workspace: Workspace,
    source: Output,
    job: Job,
    chain: list[Engine],
    ledger: Ledger,
    folder: Path,
) -> tuple[Sorter, RowsDigest, Counts]:
    """One pass over the rows; a second one where rows were lost for reasons that may have passed.

    In the second the ledger answers all but those.
    """
    counts = Counts()
    sorter, digest = _write_rows(given, workspace, source, job, chain, ledger, folder, counts)
    if not counts.lost_in_passing:
        return sorter, digest, counts
    lost = f"{counts.lost_in_passing} rows lost, {_told(counts)}; trying once more what may pass"
    workspace.say(f"translate {job}: {lost}")
    again = Counts()
    sorter, digest = _write_rows(given, workspace, source, job, chain, ledger, folder, again)
    again.add_spending_of(counts)
    return sorter, digest, again


def _write_rows(
    given: Given,
    workspace: Workspace,
    source: Output,
    job: Job,
    chain: list[Engine],
    ledger: Ledger,
    folder: Path,
    counts: Counts,
) -> tuple[Sorter, RowsDigest]:
    fresh(folder)
    recipe, digest = given.recipe, RowsDigest()
    section, identify = recipe.translation, RestrictedIdentifier()
    rows = job.shard.of_rows(read_shards(source.folder / "rows"))
    size = job.shard.size(source.manifest.rows_out)
    translated = translate_rows(
        map(SourceRow.from_row, rows),
        engine=chain[0],
        escalate_to=chain[1:],
        source_lang=recipe.source.lang,
        target_lang=job.lang,
        ledger=ledger,
        protector=SpanProtector.from_section(section),
        checks=standard_checks(section, identify, recipe.languages),
        score=RowScorer(identify, recipe.languages),
        min_quality=section.min_quality,
        decide=Selector(section.selection).decide,
        budget=_budget(given, ledger, folder.name),
        replay_only=section.replay_only,
        progress=LineProgress(f"translate {job}", size, "rows", say=workspace.say, rates=("tokens",)),
        counts=counts,
    )
    with Sorter(folder / "dropped") as sorter:
        kept = measured(sorter.kept(translated, lang_of=lambda row: row.lang), job.lang, counts, sorter)
        write_shards(folder / "rows", ALIGNED_SCHEMA, _noting(kept, digest))
        sorter.tally(job.lang)
    return sorter, digest


def _budget(given: Given, ledger: Ledger, account: str) -> Budget:
    """The job's equal share; what it spent before a crash, the ledger knows."""
    share = 1 / len(jobs(given.recipe))
    if (cost := given.recipe.translation.budget.cost) is not None:
        METER.set("tongues_translation_budget_cost", cost * share)
    return Budget(given.recipe.translation.budget, share=share, spent=ledger.spent(account), account=account)


def _told(counts: Counts) -> str:
    return ", ".join(f"{segments} {reason}" for reason, segments in sorted(counts.failures.items()))


def _noting(rows: Iterator[AlignedRow], digest: RowsDigest) -> Iterator[dict[str, object]]:
    for row in rows:
        digest.add(row.digest())
        yield row.to_row()
