"""Near duplicates within a language: of records that are nearly the same text, one stays.

Texts are alike when their sets of shingles (`tongues.data.shingles`) have a Jaccard similarity of at
least the threshold. Candidates come from MinHash with banding: signatures that agree in all rows of
one band; a sketch of one byte per hash rules most of the others out. What is left is measured on its real
shingles, so nothing goes on an estimate.

Which ones go is decided in the order in which texts were added: a text goes when one that was added
before it, and stays, is alike. So every text that goes has a survivor that is really alike (a chain
of small changes does not carry one text away for the sake of another it has little in common with),
and no cluster is left without one. Add in an order that repeats, and the result repeats.

Numbers stand in files of the given folder; of each text some ten bytes stay in memory, and some forty of each
that goes.

Sources: Broder 1997 (resemblance of documents), Indyk and Motwani 1998 (banding).
"""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from math import ceil, log, log1p
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

from tongues.data.pair_similarity import (
    BLOCK_TEXTS,
    HALF,
    LOW,
    SKETCH_BYTES,
    Edges,
    Likely,
    Measure,
    distinct,
    earlier,
    later,
)
from tongues.data.removals import Removals
from tongues.data.shingles import Numbers32, Numbers64, Places, Shingles, shingles

THRESHOLD = 0.7
_FOUND_SHARE = 0.975
"""Part of the pairs exactly at the threshold that must become candidates; above it, nearly all do."""
_MOST_HASHES = 128
_WINDOW = 8
"""Texts of one bucket that are each compared with the next so many. All are compared with the first, too,
and where there are more, with the second of those that stay and so on, as long as something is found."""
_BLOCK_SHINGLES = 1 << 16
_TEXTS_AT_ONCE = 1 << 21
_EDGES_AT_ONCE = 1 << 16


def banding(threshold: float) -> tuple[int, int]:
    """Bands and rows for a threshold: the most selective that still finds nearly every pair.

    Returns:
        Bands and rows per band, at most 128 hashes in all; two texts of similarity s become
        candidates with probability ``1 - (1 - s**rows)**bands``.
    """
    chosen, rows = (1, 1), 1
    while (bands := _bands(threshold**rows)) * rows <= _MOST_HASHES:
        chosen, rows = (bands, rows), rows + 1
    return chosen


def _bands(chance: float) -> int:
    """Bands needed where one band finds a pair with this chance."""
    return 1 if chance >= _FOUND_SHARE else ceil(log(1 - _FOUND_SHARE) / log1p(-chance))


class NearDuplicateFinder:
    """Finds near duplicates among texts added in batches; see the module for the rule.

    Args:
        folder: for its files, a few hundred bytes per text; created if absent.
        threshold: Jaccard similarity from which two texts are alike, above 0 and at most 1.
    """

    def __init__(self, folder: Path, *, threshold: float = THRESHOLD) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._threshold = threshold
        self._bands, self._rows = banding(threshold)
        self._factors = np.random.default_rng(0x7061).integers(
            0, 1 << 32, self._bands * self._rows, dtype=np.uint32
        ) | np.uint32(1)
        self._paths = [folder / f"band-{band:03d}.bin" for band in range(self._bands)]
        self._shingles_path, self._sketches_path = folder / "shingles.bin", folder / "sketches.bin"
        self._counts: list[Numbers32] = []
        self._files = ExitStack()
        self._writers: list[BinaryIO] = [
            self._files.enter_context(path.open("wb"))
            for path in [*self._paths, self._shingles_path, self._sketches_path]
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, texts: Sequence[str], langs: Sequence[str]) -> None:
        """Add texts, better ones first.

        Args:
            texts: any length each.
            langs: the language of each; only texts of one language are compared.
        """
        found = shingles(texts)
        self._counts.append(np.diff(found.offsets).astype(np.uint32))
        smallest = self._smallest(found)
        *bands, shingle_file, sketch_file = self._writers
        shingle_file.write(found.hashes.data)
        sketch_file.write(np.ascontiguousarray(smallest[:SKETCH_BYTES].T.astype(np.uint8)).data)
        keys = self._keys(smallest) ^ _language_keys(langs)
        for band, writer in zip(keys, bands, strict=True):
            writer.write(band.data)

    def find(self) -> Removals:
        """Find the near duplicates among all texts added; nothing can be added after that."""
        self._files.close()
        texts = sum(map(len, self._counts))
        whole = np.concatenate([*self._counts, np.zeros(-texts % BLOCK_TEXTS, np.uint32)])
        counts, self._counts = whole[:texts], [whole[:texts]]
        measure = Measure(self._shingles_path, whole, self._threshold)
        likely = Likely(self._sketches_path, min(SKETCH_BYTES, len(self._factors)), self._threshold)
        found, edges, crowded, turn = Removals.none(), Edges.none(), True, 0
        while crowded:
            pairs, crowded = self._candidates(found.staying(texts) & (counts > 0), counts, turn, likely)
            turn += 1
            more = measure.alike(pairs)
            edges = edges.with_more(more)
            found = _decided(edges, texts)
            crowded = crowded and len(more.before) > 0
        return found

    def _smallest(self, found: Shingles) -> Numbers32:
        """The smallest hash of every text under every permutation, permutations first."""
        smallest = np.full((len(self._factors), len(found.offsets) - 1), 0xFFFFFFFF, np.uint32)
        for first, last in _blocks(found.offsets):
            self._sign(found, first, last, smallest)
        return smallest

    def _keys(self, smallest: Numbers32) -> Numbers32:
        """One number per band and text: equal in a band where all its smallest hashes are equal."""
        keys = np.zeros((self._bands, smallest.shape[1]), np.uint64)
        for row in range(self._rows):
            keys = (keys ^ smallest[row :: self._rows]) * np.uint64(0x9FB21C651E98DF25)
            keys ^= keys >> np.uint64(29)
        return (keys >> np.uint64(16)).astype(np.uint32)

    def _sign(self, found: Shingles, first: int, last: int, smallest: Numbers32) -> None:
        """Fill in the smallest hashes of the texts from `first` to before `last`."""
        starts = found.offsets[first : last + 1]
        hashes = found.hashes[starts[0] : starts[-1]]
        some = np.flatnonzero(np.diff(starts))
        if not len(some):
            return
        begins, permuted = starts[some] - starts[0], np.empty_like(hashes)
        for row, factor in enumerate(self._factors):
            np.multiply(hashes, factor, out=permuted)
            smallest[row, first + some] = np.minimum.reduceat(permuted, begins)

    def _candidates(
        self, eligible: npt.NDArray[np.bool_], counts: Numbers32, turn: int, likely: Likely
    ) -> tuple[Numbers64, bool]:
        """Pairs of eligible texts that share a bucket, and whether a bucket was too full to try all."""
        found, crowded = np.empty(0, np.uint64), False
        for path in self._paths:
            more = [found]
            for keys in _by_bucket(path, eligible):
                pairs, full = _neighbours(keys, turn)
                more.append(likely.among(self._of_like_size(pairs, counts)))
                crowded = crowded or full
            found = distinct(np.concatenate(more))
        return found, crowded

    def _of_like_size(self, pairs: Numbers64, counts: Numbers32) -> Numbers64:
        """Drop pairs whose sizes alone say that they are not alike."""
        one, other = counts[earlier(pairs)], counts[later(pairs)]
        return pairs[np.minimum(one, other) >= self._threshold * np.maximum(one, other)]


def _by_bucket(path: Path, eligible: npt.NDArray[np.bool_]) -> Iterator[Numbers64]:
    """Eligible texts sorted by bucket: bucket in the upper half, text in the lower.

    Millions of texts come in several parts, of which each has whole buckets.
    """
    parts = np.uint32(-(-len(eligible) // _TEXTS_AT_ONCE))
    for part in range(int(parts)):
        found = []
        for start in range(0, len(eligible), _TEXTS_AT_ONCE):
            keys = np.fromfile(path, np.uint32, _TEXTS_AT_ONCE, offset=4 * start)
            here = np.flatnonzero(eligible[start : start + len(keys)] & (keys % parts == part))
            found.append((keys[here].astype(np.uint64) << HALF) | (here + start).astype(np.uint64))
        sorted_keys = np.concatenate(found)
        sorted_keys.sort()
        yield sorted_keys


def _neighbours(keys: Numbers64, turn: int) -> tuple[Numbers64, bool]:
    """Pairs within a bucket: each text with the next few, and all with one, another at every turn.

    Args:
        keys: bucket in the upper half, text in the lower; sorted.
        turn: 0 for the first text of each bucket, and so on.

    Returns:
        The pairs, and whether a bucket has more texts than were paired with each other.
    """
    keys = keys[_in_company(keys >> HALF)]
    bucket, text = keys >> HALF, keys & LOW
    begins = np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1])[: len(bucket)])
    sizes = np.diff(np.append(begins, len(text)))
    one = np.repeat(text[begins + np.minimum(turn, sizes - 1)], sizes)
    pairs = [(np.minimum(one, text) << HALF) | np.maximum(one, text)]
    place = np.arange(len(keys))
    for step in range(1, _WINDOW + 1):
        place = place[: np.searchsorted(place, len(keys) - step)]
        place = place[bucket[place] == bucket[place + step]]
        pairs.append((text[place] << HALF) | text[place + step])
    found = distinct(np.concatenate(pairs))
    itself = (found >> HALF) == (found & LOW)
    return found[~itself], len(place) > 0


def _in_company(bucket: Numbers64) -> npt.NDArray[np.bool_]:
    """Whether each text shares its bucket; most do not."""
    found = np.zeros(len(bucket), np.bool_)
    same = bucket[1:] == bucket[:-1]
    found[1:] |= same
    found[:-1] |= same
    return found


def _decided(edges: Edges, texts: int) -> Removals:
    """Take out each text that is alike to an earlier one that stays, the earliest of them."""
    order = np.lexsort((edges.before, edges.after)).astype(np.uint32)
    gone, chosen = bytearray(texts), array("I")
    for start in range(0, len(order), _EDGES_AT_ONCE):
        some = order[start : start + _EDGES_AT_ONCE]
        rows = zip(some.tolist(), edges.before[some].tolist(), edges.after[some].tolist(), strict=True)
        for edge, before, after in rows:
            if not gone[before] and not gone[after]:
                gone[after] = 1
                chosen.append(edge)
    taken = np.frombuffer(chosen, np.uint32) if chosen else np.empty(0, np.uint32)
    return Removals.of(edges.after[taken], edges.before[taken], edges.similarity[taken])


def _language_keys(langs: Sequence[str]) -> Numbers32:
    codes = {lang: int.from_bytes(blake2b(lang.encode(), digest_size=4).digest()) for lang in set(langs)}
    return np.fromiter((codes[lang] for lang in langs), np.uint32, len(langs))


def _blocks(offsets: Places) -> Iterator[tuple[int, int]]:
    """Runs of texts whose shingles fit the processor's cache."""
    first, texts = 0, len(offsets) - 1
    while first < texts:
        fitting = int(np.searchsorted(offsets, offsets[first] + _BLOCK_SHINGLES, side="right")) - 1
        last = min(max(fitting, first + 1), texts)
        yield first, last
        first = last
