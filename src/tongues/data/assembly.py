"""From built records to a data set: what goes as a duplicate or by the mixture, and who learns what.

Records stand on disk between passes (`tongues.data.spill`), in the order of their ids, and so do the
numbers that the passes sort. Of each record some ten bytes stay in memory: codes and what becomes of it.
The passes are exact duplicates, near duplicates, mixture, split, examples from another split; then
everything is written in one go.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.core.drops import Drop
from tongues.core.recipe import DatasetSection, MixtureSection
from tongues.data.clusters import Clusters
from tongues.data.dedup import DuplicateFinder, record_keys
from tongues.data.draw import Draw
from tongues.data.facts import Facts
from tongues.data.mixture import draw_ranks, mix
from tongues.data.near_dedup import NearDuplicateFinder
from tongues.data.record_batches import any_shots, own_texts, shots_of
from tongues.data.removals import Removals
from tongues.data.ruling import CROSSING, DUPLICATE, LEFT_OUT, NEAR_DUPLICATE, Fates, Ruling
from tongues.data.spill import RecordSpill
from tongues.data.splits import SPLITS, Split, Splitter, group_keys
from tongues.data.statistics import CountTokens


class Assembly:
    """Decides on records and gives them back with what was decided.

    Args:
        spill: all records, complete.
        folder: for the files of the passes.
        section: duplicates, mixture and splits.
        languages: BCP-47 codes that the recipe teaches.
        source_lang: BCP-47 code of the originals.
        seed: the recipe's seed.
        count_tokens: for a budget in tokens.
    """

    def __init__(
        self,
        spill: RecordSpill,
        folder: Path,
        section: DatasetSection,
        *,
        languages: Sequence[str],
        source_lang: str,
        seed: int,
        count_tokens: CountTokens | None = None,
    ) -> None:
        self._spill, self._folder, self._section, self._seed = spill, folder, section, seed
        self._languages, self._source_lang = languages, source_lang
        self._count_tokens = count_tokens if section.mixture.budget_tokens else None
        self._mixed = section.mixture != MixtureSection()
        self._shots = False

    def ruling(self) -> Ruling:
        """Decide on all records.

        Raises:
            PreflightError: the mixture cannot be met; says by how much, per language.
        """
        facts, removals = self._facts()
        fate = np.full(facts.records, LEFT_OUT, np.uint8)
        fate[removals.places] = DUPLICATE
        if self._section.near_duplicates is not None:
            near = self._near(fate == LEFT_OUT, self._section.near_duplicates)
            fate[near.places] = NEAR_DUPLICATE
            # What is equal to a record that went is as similar to the one that stays in its stead.
            removals = removals.followed_by(near)
        self._split(facts, fate, self._mix(facts, fate))
        return Ruling(fate, removals, facts.langs, facts.lang_names)

    def sorted_out(
        self, ruling: Ruling, clusters: Clusters
    ) -> Iterator[tuple[Split, pa.RecordBatch] | list[Drop]]:
        """All records once more: those of a split as batches, and the others as drops.

        Args:
            ruling: what was decided.
            clusters: new; complete when all has been read.
        """
        start = 0
        for batch in self._spill.parts():
            fates = ruling.fate[start : start + batch.num_rows]
            clusters.note(batch, start)
            for number, split in enumerate(SPLITS):
                if len(chosen := np.flatnonzero(fates == number)):
                    yield split, batch.take(pa.array(chosen))
            if len(places := np.flatnonzero(fates >= len(SPLITS))):
                yield list(clusters.drops(batch, start, places))
            start += batch.num_rows

    def _facts(self) -> tuple[Facts, Removals]:
        """What is to be known of every record, and which are equal to an earlier one."""
        facts = Facts(self._folder / "facts.bin", self._spill.rows)
        with facts, DuplicateFinder(self._folder / "exact") as finder:
            for batch in self._spill.parts():
                keys = record_keys(batch)
                self._shots = self._shots or any_shots(batch)
                groups = group_keys(batch.column("group").to_pylist(), seed=self._seed)
                sizes = self._count_tokens(batch) if self._count_tokens else None
                facts.add(batch, keys=keys[:, 0], groups=groups, sizes=sizes)
                finder.add(keys)
        return facts, finder.find()

    def _near(self, left: npt.NDArray[np.bool_], threshold: float) -> Removals:
        """Near duplicates among the records that are left; the others are no text at all."""
        start = 0
        with NearDuplicateFinder(self._folder / "near", threshold=threshold) as finder:
            for batch in self._spill.parts():
                here = left[start : start + batch.num_rows].tolist()
                texts = [text if stays else "" for text, stays in zip(own_texts(batch), here, strict=True)]
                finder.add(texts, batch.column("lang").to_pylist())
                start += batch.num_rows
            return finder.find()

    def _mix(self, facts: Facts, fate: Fates) -> npt.NDArray[np.bool_]:
        """Which of the records that are left are drawn."""
        drawn: npt.NDArray[np.bool_] = fate == LEFT_OUT
        if not self._mixed:
            return drawn
        methods = [*facts.method_names] if self._section.mixture.methods else [""]
        cells = [(lang, method) for lang in facts.lang_names for method in methods]
        with Draw(self._folder / "draw") as draw:
            for start, part in facts.parts():
                here = np.flatnonzero(fate[start : start + len(part)] == LEFT_OUT)
                places, rows = here + start, part[here]
                own = facts.methods[places] if len(methods) > 1 else np.uint16(0)
                numbers = facts.langs[places].astype(np.uint32) * len(methods) + own
                ranks = draw_ranks(rows["key"], seed=self._seed)
                draw.add(ranks=ranks, places=places, cells=numbers, sizes=rows["size"])
        section, drawn[:] = self._section.mixture, False
        drawn[mix(section, draw, cells, languages=self._languages, source_lang=self._source_lang)] = True
        return drawn

    def _split(self, facts: Facts, fate: Fates, drawn: npt.NDArray[np.bool_]) -> None:
        """Give every drawn record its split, or the fate of one whose examples belong to another."""
        with Splitter(self._folder / "groups", self._section) as splitter:
            for start, rows in facts.parts():
                splitter.add(rows["group"][drawn[start : start + len(rows)]])
        for start, rows in facts.parts():
            here, chosen = fate[start : start + len(rows)], drawn[start : start + len(rows)]
            here[chosen] = splitter.sides(rows["group"][chosen])
        fate[self._crossing(facts, fate, splitter)] = CROSSING

    def _crossing(self, facts: Facts, fate: Fates, splitter: Splitter) -> list[int]:
        """Places of kept records with a shot whose item belongs to another split: it would leak."""
        if not self._shots:
            return []
        found, start, known = list[int](), 0, self._kept_groups(facts, fate)
        for batch in self._spill.parts():
            for row, items in sorted(shots_of(batch).items()):
                keys, place = group_keys(items, seed=self._seed), start + row
                # An item that nothing kept belongs to leaks nowhere.
                there = splitter.sides(keys[_among(keys, known)])
                if fate[place] < len(SPLITS) and (there != fate[place]).any():
                    found.append(place)
            start += batch.num_rows
        return found

    def _kept_groups(self, facts: Facts, fate: Fates) -> npt.NDArray[np.uint64]:
        """Keys of the groups of all kept records, ascending."""
        kept = [rows["group"][fate[start : start + len(rows)] < len(SPLITS)] for start, rows in facts.parts()]
        return np.unique(np.concatenate([np.empty(0, np.uint64), *kept]))


def _among(keys: npt.NDArray[np.uint64], known: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Whether each key is known; `known` is ascending, and searching it is quicker than `numpy.isin`."""
    if not len(known):
        return np.zeros(len(keys), np.bool_)
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    found: npt.NDArray[np.bool_] = known[places] == keys
    return found
