"""A quick look at which texts may contain one of many runs of letters; it lets none pass that does.

Of a run only its first letters count, 8, 16 or 24 of them. All places of all texts of a batch are hashed at
once; shorter runs are looked for among whole texts as well as inside them.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

Letters = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.uint64]

_LONG = (24, 16, 8)
_BASE = 0xD1B54A32D192ED03
_CODE_POINTS = 0x110000
_BLOCK_TEXTS = 256


class Suspects:
    """Finds the texts that may contain a run.

    Args:
        runs: letters, digits and marks only, in NFKC and case folded; empty ones match empty texts.
    """

    def __init__(self, runs: Iterable[str]) -> None:
        starts: dict[int, set[str]] = {}
        for run in runs:
            long = next((size for size in _LONG if len(run) >= size), len(run))
            starts.setdefault(long, set()).add(run[:long])
        self._wanted = {long: _wanted(found, long) for long, found in starts.items() if long}

    def among(self, texts: Sequence[str]) -> list[int]:
        """Places of the texts that may contain a run, in order."""
        found: list[int] = []
        for first in range(0, len(texts), _BLOCK_TEXTS):
            block = texts[first : first + _BLOCK_TEXTS]
            found += (self._in_block(block) + first).tolist()
        return found

    def _in_block(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        letters, ends = _letters(texts)
        places = [np.empty(0, np.int64)]
        for long, wanted in self._wanted.items():
            hashes = _hashes(letters, long)
            near = np.searchsorted(wanted, hashes)
            places.append(np.flatnonzero(wanted[np.minimum(near, len(wanted) - 1)] == hashes))
        return np.unique(np.searchsorted(ends, np.concatenate(places), side="right"))


def _wanted(runs: set[str], long: int) -> Numbers:
    points = np.array([[ord(c) for c in run] for run in sorted(runs)], np.uint32)
    return np.unique(np.concatenate([_hashes(row, long) for row in points]))


def _letters(texts: Sequence[str]) -> tuple[Letters, npt.NDArray[np.int64]]:
    """The letters of all texts on end, and where each text ends."""
    plain = [unicodedata.normalize("NFKC", text).casefold() for text in texts]
    points = np.frombuffer("".join(plain).encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))
    counted = _counted()[points]
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(counted)])
    return points[counted], sums[np.cumsum([len(text) for text in plain])]


def _hashes(letters: Letters, long: int) -> Numbers:
    """A hash of the letters from each place on; places too near the end have none."""
    places = len(letters) - long + 1
    hashes = np.zeros(max(places, 0), np.uint64)
    for step in range(long if places > 0 else 0):
        hashes = hashes * np.uint64(_BASE) + letters[step : step + places]
    return hashes ^ (hashes >> np.uint64(32))


@cache
def _counted() -> npt.NDArray[np.bool_]:
    """Whether each character is a letter, a digit or a mark, as words are made of."""
    found = (c.isalnum() or unicodedata.category(c)[0] == "M" for c in map(chr, range(_CODE_POINTS)))
    return np.fromiter(found, np.bool_, _CODE_POINTS)
