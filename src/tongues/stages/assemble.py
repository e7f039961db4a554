"""Assemble: from the aligned store to training data that can be trusted."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tongues.core.digests import digest_file, digest_rows, digest_value
from tongues.core.drops import Drop
from tongues.core.errors import DataError
from tongues.core.records import RECORD_SCHEMA, AlignedRow, Record
from tongues.core.shards import read_shards, write_shards
from tongues.core.store import AlignedStore
from tongues.data.decontaminate import contaminated_groups, drop_contaminated, read_prompts
from tongues.data.dedup import drop_duplicates
from tongues.data.splits import Split, split_groups
from tongues.methods.registry import builder
from tongues.stages.given import Given
from tongues.stages.rows import Sorter
from tongues.stages.suite_files import fetch_suite_files
from tongues.stages.workspace import Output, Report, Workspace, fresh

CARD_NAME = "card.md"
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def assemble(given: Given, workspace: Workspace, store: Output) -> Output:
    """Build records by every method of the recipe, drop what must not be learnt, and split by group.

    Dropped, in this order: groups that overlap the evaluation suite in any language
    ("contaminated"), and exact duplicates ("duplicate").

    Returns:
        A folder with ``train/``, ``validation/``, ``test/`` (RECORD_SCHEMA), ``dropped/`` and a card.

    Raises:
        PreflightError: a method asks for more than the store has.
        DataError: nothing is left to train on, or an evaluation file cannot be read.
    """
    suite_files = fetch_suite_files(given, workspace)

    def work(folder: Path) -> Report:
        fresh(folder)
        sorter = Sorter()
        records = _clean(given, store, list(suite_files.values()), sorter)
        counts = _write_splits(folder, given, records)
        if not counts["train"]:
            raise DataError(f"nothing left to train on; dropped {sorter.reasons()}", where=store.uri)
        sorter.write_drops(folder / "dropped")
        (folder / CARD_NAME).write_text(_card(given, counts, sorter), encoding="utf-8")
        facts = {"rows": {split: dict(sorted(count.items())) for split, count in counts.items()}}
        digest = digest_rows(digest_value([split, r.id]) for split, r in _read_back(folder))
        return Report(tallies=sorter.tallies, facts=facts, content_sha256=digest)

    recipe = given.recipe
    inputs: dict[str, Output | str] = {"store": store}
    inputs |= {f"suite-{name}": digest_file(path) for name, path in suite_files.items()}
    params = {
        "dataset": recipe.dataset.model_dump(mode="json"),
        "languages": recipe.languages,
        "seed": recipe.seed,
    }
    return workspace.finish("assemble", recipe=recipe, inputs=inputs, params=params, work=work)


def _clean(given: Given, store: Output, suite_files: list[Path], sorter: Sorter) -> list[Record]:
    aligned = AlignedStore.load(store.folder / "rows", source_lang=given.recipe.source.lang)
    rows = map(AlignedRow.from_row, read_shards(store.folder / "rows"))
    prompts = [prompt for path in suite_files for prompt in read_prompts(path)]
    clean, contaminated = drop_contaminated(_build(given, aligned), contaminated_groups(rows, prompts))
    unique, duplicates = drop_duplicates(clean)
    sorted_rows: list[Record | Drop] = [*contaminated, *duplicates, *unique]
    return list(sorter.kept(sorted_rows, lang_of=lambda record: record.lang))


def _build(given: Given, store: AlignedStore) -> Iterator[Record]:
    recipe = given.recipe
    return chain.from_iterable(
        builder(section.method)(
            store, section, languages=recipe.languages, source_lang=recipe.source.lang, seed=recipe.seed
        )
        for section in recipe.dataset.methods
    )


def _write_splits(folder: Path, given: Given, records: list[Record]) -> dict[str, Counter[str]]:
    sides = split_groups((r.group for r in records), given.recipe.dataset, seed=given.recipe.seed)
    counts: dict[str, Counter[str]] = {}
    for split in SPLITS:
        chosen = [r for r in records if sides[r.group] == split]
        write_shards(folder / split, RECORD_SCHEMA, (r.to_row() for r in chosen))
        counts[split] = Counter(f"{r.lang} {r.method}" for r in chosen)
    return counts


def _read_back(folder: Path) -> Iterator[tuple[str, Record]]:
    for split in SPLITS:
        for row in read_shards(folder / split):
            yield split, Record.from_row(row)


def _card(given: Given, counts: dict[str, Counter[str]], sorter: Sorter) -> str:
    """The dataset card: what a person wants to know before training on it."""
    recipe = given.recipe
    head = [
        f"# Dataset of `{recipe.name}`",
        "",
        f"Built from {recipe.source.dataset} (revision {recipe.source.revision}, {recipe.source.licence}), "
        f"translated from {recipe.source.lang} into {', '.join(recipe.languages)} by "
        f"{recipe.translation.engine.kind}; seed {recipe.seed}.",
        "",
        "| language | method | " + " | ".join(SPLITS) + " |",
        "| --- | --- |" + " ---: |" * len(SPLITS),
    ]
    kinds = sorted(set().union(*counts.values()))
    lines = [
        f"| {kind.split()[0]} | {kind.split()[1]} | "
        + " | ".join(str(counts[s][kind]) for s in SPLITS)
        + " |"
        for kind in kinds
    ]
    drops = [
        f"| {lang} | {reason} | {n} |" for lang, rs in sorter.reasons().items() for reason, n in rs.items()
    ]
    dropped = ["", "| language | dropped because | rows |", "| --- | --- | ---: |", *drops] if drops else []
    return "\n".join([*head, *lines, *dropped, ""])
