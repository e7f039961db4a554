"""From built records to a data set: what goes as a duplicate or by the mixture, and who learns what.

Records stand on disk between passes (`tongues.data.spill`), in the order of their ids. Of each one
some 60 bytes stay in memory: digests, ranks and codes, as arrays. The passes are exact duplicates,
near duplicates, mixture, split, examples from another split; then everything is written in one go.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.core.drops import Drop
from tongues.core.recipe import DatasetSection, MixtureSection
from tongues.data.clusters import Clusters
from tongues.data.dedup import record_keys, survivors
from tongues.data.mixture import Mixable, draw_ranks, mix
from tongues.data.near_dedup import NearDuplicateFinder
from tongues.data.record_batches import Labels, any_shots, own_texts, shots_of
from tongues.data.ruling import CROSSING, DUPLICATE, LEFT_OUT, NEAR_DUPLICATE, Places, Ruling
from tongues.data.spill import RecordSpill
from tongues.data.splits import SPLITS, Split, group_keys, sides
from tongues.data.statistics import CountTokens


class Assembly:
    """Decides on records and gives them back with what was decided.

    Args:
        spill: all records, complete.
        folder: for the files of near duplicates.
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
        facts = _Facts.gathered(self._facts())
        survivor, similarity = survivors(facts.keys), np.ones(len(facts.keys), np.float32)
        fate = np.full(len(survivor), LEFT_OUT, np.uint8)
        left = survivor == np.arange(len(survivor))
        fate[~left] = DUPLICATE
        if self._section.near_duplicates is not None:
            gone, stays, similar = self._near(left, self._section.near_duplicates)
            survivor[gone], similarity[gone], fate[gone], left[gone] = stays, similar, NEAR_DUPLICATE, False
            # What is equal to a record that went is as similar to the one that stays in its stead.
            equal = np.flatnonzero(fate == DUPLICATE)
            similarity[equal] = similarity[survivor[equal]]
            survivor[equal] = survivor[survivor[equal]]
        kept = self._mix(facts, np.flatnonzero(left))
        fate[kept] = sides(facts.groups[kept], self._section)
        fate[self._crossing(facts.groups, fate)] = CROSSING
        return Ruling(fate, survivor, similarity, facts.langs, facts.lang_names)

    def sorted_out(
        self, ruling: Ruling, clusters: Clusters
    ) -> Iterator[tuple[Split, pa.RecordBatch] | list[Drop]]:
        """All records once more: those of a split as batches, and the others as drops.

        Args:
            ruling: what was decided.
            clusters: new; complete when all has been read.
        """
        start = 0
        for part in self._spill.parts():
            fates = ruling.fate[start : start + len(part.order)]
            clusters.note(part, start)
            for number, split in enumerate(SPLITS):
                if len(chosen := part.order[fates == number]):
                    yield split, part.batch.take(pa.array(chosen))
            if len(places := np.flatnonzero(fates >= len(SPLITS))):
                yield list(clusters.drops(part, start, places))
            start += len(part.order)

    def _facts(self) -> Iterator["_Facts"]:
        langs, methods = Labels[str](), Labels[str]()
        for part in self._spill.parts():
            batch, order = part.batch, part.order
            self._shots = self._shots or any_shots(batch)
            sizes = self._count_tokens(batch) if self._count_tokens else np.empty(0, np.int64)
            yield _Facts(
                keys=record_keys(batch)[order],
                groups=group_keys(batch.column("group").to_pylist(), seed=self._seed)[order],
                sizes=sizes[order[: len(sizes)]],
                langs=langs.codes_of(batch.column("lang"), str)[order],
                methods=methods.codes_of(batch.column("method"), _builder)[order],
                lang_names=langs.names,
                method_names=methods.names,
            )

    def _near(
        self, left: npt.NDArray[np.bool_], threshold: float
    ) -> tuple[Places, Places, npt.NDArray[np.float32]]:
        """Places of near duplicates, of their survivors, and how similar they are."""
        places, start = np.flatnonzero(left), 0
        with NearDuplicateFinder(self._folder, threshold=threshold) as finder:
            for part in self._spill.parts():
                here = part.order[left[start : start + len(part.order)]]
                some = part.batch.take(pa.array(here))
                finder.add(own_texts(some), some.column("lang").to_pylist())
                start += len(part.order)
            found = finder.find()
        gone = np.flatnonzero(~found.stays)
        return places[gone], places[found.survivor[gone]], found.similarity[gone]

    def _crossing(self, groups: npt.NDArray[np.uint64], fate: npt.NDArray[np.uint8]) -> list[int]:
        """Places of kept records with a shot whose item belongs to another split: it would leak."""
        if not self._shots:
            return []
        kept = np.flatnonzero(fate < len(SPLITS))
        known, first = np.unique(groups[kept], return_index=True)
        sides_of = dict(zip(known.tolist(), fate[kept[first]].tolist(), strict=True))
        found, start = [], 0
        for part in self._spill.parts():
            shots = shots_of(part.batch)
            for place, row in enumerate(part.order.tolist() if shots else [], start=start):
                keys = group_keys(shots.get(row, ()), seed=self._seed).tolist()
                # An item that nothing kept belongs to has no side, and leaks nowhere.
                if fate[place] < len(SPLITS) and {sides_of.get(key, fate[place]) for key in keys} - {
                    fate[place]
                }:
                    found.append(place)
            start += len(part.order)
        return found

    def _mix(self, facts: "_Facts", left: Places) -> Places:
        if not self._mixed:
            return left
        records = Mixable(
            facts.langs[left],
            facts.methods[left],
            facts.lang_names,
            facts.method_names,
            facts.sizes[left] if self._count_tokens else np.ones(len(left), np.int64),
            draw_ranks(facts.keys[left, 0], seed=self._seed),
        )
        section = self._section.mixture
        return left[mix(section, records, languages=self._languages, source_lang=self._source_lang)]


def _builder(method: str) -> str:
    """The builder's name, without its mode."""
    return method.split("/", maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the passes need to know of each record."""

    keys: npt.NDArray[np.uint64]
    groups: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.int64]
    langs: npt.NDArray[np.uint16]
    methods: npt.NDArray[np.uint16]
    lang_names: list[str]
    method_names: list[str]

    @classmethod
    def gathered(cls, parts: Iterable["_Facts"]) -> "_Facts":
        """All parts as one; the labels of the last one hold for all."""
        whole = list(parts)
        arrays = ("keys", "groups", "sizes", "langs", "methods")
        joined = {name: np.concatenate([getattr(part, name) for part in whole]) for name in arrays}
        return cls(**joined, lang_names=whole[-1].lang_names, method_names=whole[-1].method_names)
