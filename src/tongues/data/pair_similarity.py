"""How alike pairs of texts are: a quick look at their sketches, and a measure of their real shingles.

A pair is one number: the place of the text that was added earlier in the upper half, of the later one in
the lower. Sketches and shingles stay in their files.
"""

import mmap
import os
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from tongues.data.shingles import Numbers32, Numbers64, Places

SKETCH_BYTES = 64
"""Hashes of a text of which a byte is kept in its sketch, at most."""
HALF, LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_PAIRS_AT_ONCE = 1 << 15
_LOOKS_AT_ONCE = 1 << 9
"""Pairs whose sketches are looked at before their pages are given back: a page brings others along."""
BLOCK_TEXTS = 16
_DEVIATIONS = 3.5
"""Standard deviations below the threshold at which a sketch rules a pair out: one pair in 4,000."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of texts that are alike: the one added earlier, the later one, and how alike they are."""

    before: Numbers32
    after: Numbers32
    similarity: npt.NDArray[np.float32]

    @classmethod
    def none(cls) -> Self:
        """No pairs."""
        return cls(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.float32))

    def with_more(self, *others: Self) -> Self:
        """These and others."""
        parts = [(e.before, e.after, e.similarity) for e in (self, *others)]
        before, after, similarity = (np.concatenate(part) for part in zip(*parts, strict=True))
        return type(self)(before, after, similarity)


class Likely:
    """A quick look at candidates: sketches tell how similar two texts are to within some hundredths."""

    def __init__(self, path: Path, size: int, threshold: float) -> None:
        self._path, self._size = path, size
        self._least = size * (threshold - _DEVIATIONS * sqrt(threshold * (1 - threshold) / size))

    def among(self, pairs: Numbers64) -> Numbers64:
        """The pairs that may well be at or above the threshold; nearly none of those is left out."""
        if not len(pairs):
            return pairs
        with self._path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            steps = range(0, len(pairs), _LOOKS_AT_ONCE)
            return np.concatenate([self._part(pairs[at : at + _LOOKS_AT_ONCE], view) for at in steps])

    def _part(self, pairs: Numbers64, view: mmap.mmap) -> Numbers64:
        sketches = np.frombuffer(view, np.uint8).reshape(-1, self._size)
        same = np.count_nonzero(sketches[earlier(pairs)] == sketches[later(pairs)], axis=1)
        del sketches
        view.madvise(mmap.MADV_DONTNEED)
        likely: Numbers64 = pairs[same >= self._least]
        return likely


class Measure:
    """Measures candidate pairs on their real shingles, which are read from their file.

    Args:
        path: the shingles of all texts, one after the other.
        counts: how many each text has; filled up with zeros to whole blocks of `BLOCK_TEXTS`.
        threshold: Jaccard similarity from which two texts are alike.
    """

    def __init__(self, path: Path, counts: Numbers32, threshold: float) -> None:
        self._path, self._threshold = path, threshold
        self._blocks = counts.reshape(-1, BLOCK_TEXTS)
        sizes = self._blocks.sum(axis=1, dtype=np.int64)
        self._starts = np.cumsum(sizes) - sizes

    def alike(self, pairs: Numbers64) -> Edges:
        """The pairs at or above the threshold."""
        with self._path.open("rb") as file:
            steps = range(0, len(pairs), _PAIRS_AT_ONCE)
            parts = [self._part(pairs[at : at + _PAIRS_AT_ONCE], file.fileno()) for at in steps]
        return Edges.none().with_more(*parts)

    def _part(self, pairs: Numbers64, file: int) -> Edges:
        before, after = earlier(pairs), later(pairs)
        texts, place = np.unique(np.concatenate([before, after]), return_inverse=True)
        counts = self._counts(texts)
        hashes, starts = self._read(texts, file), np.cumsum(counts) - counts
        sides = (before, starts[place[: len(pairs)]]), (after, starts[place[len(pairs) :]])
        keys = np.concatenate([self._keyed(hashes, side, begins) for side, begins in sides])
        keys.sort()
        twice = keys[1:][keys[1:] == keys[:-1]] >> HALF
        shared = np.bincount(twice.astype(np.int64), minlength=len(pairs))
        similarity = (shared / (self._counts(before) + self._counts(after) - shared)).astype(np.float32)
        alike = similarity >= np.float32(self._threshold)
        return Edges(before[alike].astype(np.uint32), after[alike].astype(np.uint32), similarity[alike])

    def _counts(self, texts: Places) -> Places:
        """Shingles of each text."""
        return self._blocks.reshape(-1)[texts].astype(np.int64)

    def _begins(self, texts: Places) -> Places:
        """Where the shingles of each text begin; a number is kept per block of texts."""
        blocks, within = np.divmod(texts, BLOCK_TEXTS)
        before = np.arange(BLOCK_TEXTS) < within[:, None]
        skipped = np.where(before, self._blocks[blocks], 0).sum(axis=1, dtype=np.int64)
        found: Places = self._starts[blocks] + skipped
        return found

    def _read(self, texts: Places, file: int) -> Numbers32:
        """The shingles of some texts on end; mapping the file would count all of it as memory."""
        parts = zip((4 * self._counts(texts)).tolist(), (4 * self._begins(texts)).tolist(), strict=True)
        return np.frombuffer(b"".join(os.pread(file, size, at) for size, at in parts), np.uint32)

    def _keyed(self, hashes: Numbers32, texts: Places, begins: Places) -> Numbers64:
        """The shingles of one side of the pairs, each below the number of its pair."""
        counts = self._counts(texts)
        skipped = np.cumsum(counts) - counts
        places = np.repeat(begins - skipped, counts) + np.arange(counts.sum())
        pair = np.repeat(np.arange(len(texts), dtype=np.uint64), counts)
        found: Numbers64 = (pair << HALF) | hashes[places]
        return found


def distinct(numbers: Numbers64) -> Numbers64:
    """In order and without repeats; sorting is several times as fast as numpy.unique here."""
    numbers.sort()
    first = np.ones(len(numbers), np.bool_)
    first[1:] = numbers[1:] != numbers[:-1]
    return numbers[first]


def earlier(pairs: Numbers64) -> Places:
    """The text of each pair that was added earlier."""
    return (pairs >> HALF).astype(np.int64)


def later(pairs: Numbers64) -> Places:
    """The text of each pair that was added later."""
    return (pairs & LOW).astype(np.int64)
