"""Assemble: from the aligned store to training data that can be trusted."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from tongues.core.digests import RowsDigest
from tongues.core.drops import Drop
from tongues.core.errors import DataError
from tongues.core.manifest import Tally
from tongues.core.records import RECORD_SCHEMA, AlignedRow, Record
from tongues.core.shards import ShardWriter, read_shards, write_shards
from tongues.core.store import AlignedStore
from tongues.data.assembly import Assembly
from tongues.data.clusters import CLUSTER_SCHEMA, Clusters
from tongues.data.dataset_card import write_card
from tongues.data.dataset_overview import CARD_NAME, PAGE_NAME, Origin, Overview
from tongues.data.dataset_page import write_page
from tongues.data.decontaminate import contaminated_groups
from tongues.data.personal import mask_record
from tongues.data.spill import RecordSpill
from tongues.data.splits import SPLITS, Split
from tongues.data.statistics import CountTokens, Statistics
from tongues.methods.registry import builder
from tongues.stages.generate import ROWS
from tongues.stages.given import Given
from tongues.stages.kept_out import KeptOut, fetch_kept_out
from tongues.stages.prepare import fetch_base_model
from tongues.stages.rows import Sorter
from tongues.stages.suite_files import suite_places
from tongues.stages.tokens import token_counter
from tongues.stages.workspace import Output, Report, Workspace, fresh

__all__ = ["CARD_NAME", "SPLITS", "assemble"]

_SCRATCH = "scratch"


def assemble(given: Given, workspace: Workspace, store: Output, written: Output | None = None) -> Output:
    """Build records by every method of the recipe, drop what must not be learnt, and split by group.

    Dropped, in this order: records of a licence that is not allowed ("licence"), groups that overlap the
    evaluation suite in any language ("contaminated"), exact duplicates ("duplicate"), near duplicates
    ("near-duplicate"), what the mixture leaves out ("mixture"), and records with an example that belongs to
    another split ("split-crossing"). Records stand on disk between the passes, so memory does not grow
    with their text.

    Args:
        given: the recipe.
        workspace: where the dataset goes.
        store: output of gather.
        written: output of generate; None where the recipe has nothing written.

    Returns:
        A folder with ``train/``, ``validation/``, ``test/`` (RECORD_SCHEMA), ``dropped/``, ``duplicates/``
        (CLUSTER_SCHEMA), the card and the overview.

    Raises:
        PreflightError: a method or the mixture asks for more than there is, or an evaluation set cannot be
            read.
        DataError: nothing is left to train on, or an evaluation file cannot be read.
        RecipeError: the recipe is of several models.
    """
    given.require_one_model()
    recipe = given.recipe
    kept_out = fetch_kept_out(given, workspace)
    base = fetch_base_model(given, workspace) if recipe.dataset.count_tokens else None

    def work(folder: Path) -> Report:
        fresh(folder)
        assembler = _Assembler(given, folder, token_counter(base.folder) if base else None)
        with Sorter(folder / "dropped") as sorter:
            spill = assembler.collect(store, written, kept_out, sorter)
            assembler.settle(spill, sorter)
        if not assembler.rows["train"]:
            raise DataError(f"nothing left to train on; dropped {sorter.reasons()}", where=store.uri)
        report = assembler.report(sorter)
        report.observed["sources"] = suite_places(given)
        return report

    inputs = {"store": store, **kept_out.inputs()}
    inputs |= {"base": base} if base else {}
    inputs |= {"written": written} if written else {}
    params = {
        "dataset": recipe.dataset.model_dump(mode="json"),
        "languages": recipe.languages,
        "seed": recipe.seed,
    }
    return workspace.finish("assemble", recipe=recipe, inputs=inputs, params=params, work=work)


@dataclass
class _Assembler:
    """One run of the stage.

    Args:
        given: the recipe.
        folder: what it fills.
        count_tokens: the base model's tokenizer, where the recipe asks for tokens.
    """

    given: Given
    folder: Path
    count_tokens: CountTokens | None
    digest: RowsDigest = field(default_factory=RowsDigest)
    masked: Counter[str] = field(default_factory=Counter)
    rows: dict[Split, Counter[str]] = field(default_factory=lambda: {split: Counter() for split in SPLITS})

    def __post_init__(self) -> None:
        self.statistics = Statistics(self.count_tokens)

    def collect(
        self, store: Output, written: Output | None, kept_out: KeptOut, sorter: Sorter
    ) -> RecordSpill:
        """Build all records, and keep those that may be learnt until all of them are known."""
        rows = store.folder / "rows"
        prompts = list(chain.from_iterable(kept_out.prompts().values()))
        items = chain[AlignedRow | Record](map(AlignedRow.from_row, read_shards(rows)), _read(written))
        contaminated = contaminated_groups(items, prompts)
        source_lang = self.given.recipe.source.lang
        aligned = AlignedStore.load(rows, source_lang=source_lang, scratch=self.folder / _SCRATCH)
        with RecordSpill(self.folder / _SCRATCH / "spill") as spill:
            for record in chain(self._built(aligned), _read(written)):
                if isinstance(record, Drop):
                    sorter.drop(record)
                elif drop := self._unfit(record, contaminated):
                    sorter.drop(drop)
                else:
                    spill.add(self._masked(record))
        return spill

    def settle(self, spill: RecordSpill, sorter: Sorter) -> None:
        """Decide on all records, and write each where it belongs."""
        recipe = self.given.recipe
        assembly = Assembly(
            spill,
            self.folder / _SCRATCH / "passes",
            recipe.dataset,
            languages=recipe.languages,
            source_lang=recipe.source.lang,
            seed=recipe.seed,
            count_tokens=self.count_tokens,
        )
        ruling = assembly.ruling()
        clusters = Clusters(ruling)
        with ExitStack() as files:
            writers = {split: files.enter_context(self._writer(split)) for split in SPLITS}
            for part in assembly.sorted_out(ruling, clusters):
                if isinstance(part, list):
                    for drop in part:
                        sorter.drop(drop)
                else:
                    self._keep(*part, writers[part[0]], sorter)
        write_shards(self.folder / "duplicates", CLUSTER_SCHEMA, clusters.rows())

    def report(self, sorter: Sorter) -> Report:
        """Card, overview and what the manifest says."""
        overview = Overview.of(
            self._origin(),
            self.statistics,
            sorter.tallies,
            read_shards(self.folder / "duplicates"),
            self.masked,
        )
        write_card(overview, self.folder / CARD_NAME)
        write_page(overview, self.folder / PAGE_NAME)
        facts: dict[str, Any] = {
            "rows": {split: dict(sorted(count.items())) for split, count in self.rows.items()},
            "licence": overview.licence,
            "licences": sorted({one.name for one in overview.licences}),
            "masked": dict(sorted(self.masked.items())),
        }
        return Report(
            tallies=sorter.tallies, facts=facts, content_sha256=self.digest.hexdigest(), leave=(_SCRATCH,)
        )

    def _built(self, store: AlignedStore) -> Iterator[Record | Drop]:
        recipe = self.given.recipe
        build = partial(
            _build, store, languages=recipe.languages, source_lang=recipe.source.lang, seed=recipe.seed
        )
        return chain.from_iterable(build(section) for section in recipe.dataset.methods)

    def _unfit(self, record: Record, contaminated: dict[str, str]) -> Drop | None:
        allowed = self.given.recipe.dataset.licences
        if allowed is not None and record.source.licence not in allowed:
            found = f"{record.source.licence}, {record.source.dataset}"
            return Drop(record.lang, "licence", found, record.group, record.answer.content)
        if found := next((contaminated[group] for group in record.groups if group in contaminated), ""):
            return Drop(record.lang, "contaminated", found, record.group, record.answer.content)
        return None

    def _masked(self, record: Record) -> Record:
        if not self.given.recipe.dataset.mask_pii:
            return record
        masked, counts = mask_record(record)
        self.masked += counts
        return masked

    def _writer(self, split: Split) -> ShardWriter:
        return ShardWriter(self.folder / split, RECORD_SCHEMA)

    def _keep(self, split: Split, batch: pa.RecordBatch, writer: ShardWriter, sorter: Sorter) -> None:
        writer.write_batch(batch)
        self.statistics.add(batch, split)
        langs, methods = batch.column("lang").to_pylist(), batch.column("method").to_pylist()
        for lang, rows in Counter(langs).items():
            sorter.tally(lang).add(Tally(rows_in=rows, rows_out=rows))
        self.rows[split].update(f"{lang} {method}" for lang, method in zip(langs, methods, strict=True))
        for name in batch.column("id").to_pylist():
            self.digest.add(f"{split} {name}")

    def _origin(self) -> Origin:
        recipe = self.given.recipe
        engine = recipe.translation.engine.kind
        return Origin(recipe.name, recipe.languages, recipe.source.lang, engine, recipe.seed)


def _build(
    store: AlignedStore, section: Any, *, languages: tuple[str, ...], source_lang: str, seed: int
) -> Iterator[Record | Drop]:
    if build := builder(section.method):
        yield from build(store, section, languages=languages, source_lang=source_lang, seed=seed)


def _read(written: Output | None) -> Iterator[Record]:
    """The records that a model wrote."""
    return map(Record.from_row, read_shards(written.folder / ROWS)) if written else iter(())
