"""Split by group: an item and all its translations stand on one side.

The rule, in full. Every group gets the rank key ``blake2b-8(f"{seed}:{group}")``. Groups are
sorted by that key. The first ``round(n * test_share)`` are the test set, the next
``round(n * validation_share)`` are for validation, the rest is for training; a share above 0
gets at least one group where there are three or more, and training is never left empty.

So shares are met to within half a group whatever the size, the result depends on the set of
groups and the seed only, and neither on order nor on sharding. Adding a group to a set of n may
move the groups at the two borders; all others stay. Keys wait on disk, a 64th of them is in memory at a time.
"""

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from tongues.core.recipe import DatasetSection
from tongues.data.buckets import Buckets

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
"""In the order of the numbers that `sides` gives."""
Keys = npt.NDArray[np.uint64]
_MIN_GROUPS = 3


def group_keys(groups: Iterable[str], *, seed: int) -> Keys:
    """The rank keys of groups, one each.

    Args:
        groups: names, as often as they come.
        seed: the recipe's seed.
    """
    beginning = f"{seed}:"
    digests = [blake2b((beginning + group).encode(), digest_size=8).digest() for group in groups]
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


class Splitter:
    """Finds where the splits meet, and tells on which side a group stands.

    Use it as a context manager while groups are added; ask it when it is left.

    Args:
        folder: for its files; created if absent.
        section: the shares, as parts of the number of groups.
    """

    def __init__(self, folder: Path, section: DatasetSection) -> None:
        self._section = section
        self._buckets = Buckets(folder, [("key", np.uint64)])
        self._borders: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._buckets.__exit__(*error)

    def add(self, keys: Keys) -> None:
        """Take the keys of groups; repeated ones count once."""
        self._buckets.add(key=keys)

    def sides(self, keys: Keys) -> npt.NDArray[np.uint8]:
        """The place in `SPLITS` of each group, by its key, whether or not it was added."""
        if self._borders is None:
            self._borders = self._found_borders()
        tests, validations = (np.uint64(border) for border in self._borders)
        found = np.full(len(keys), SPLITS.index("train"), np.uint8)
        found[keys < validations] = SPLITS.index("validation")
        found[keys < tests] = SPLITS.index("test")
        return found

    def _found_borders(self) -> tuple[int, int]:
        """The first key behind the test set, and the first behind the validation set."""
        groups = sum(len(np.unique(rows["key"])) for rows in self._buckets.parts())
        tests = _size(self._section.test_share, groups)
        validations = min(_size(self._section.validation_share, groups), max(groups - tests - 1, 0))
        return self._key_at(tests), self._key_at(tests + validations)

    def _key_at(self, place: int) -> int:
        """The key of the group at a place in the order of keys; 0, below all of them, for the first."""
        if not place:
            return 0
        for rows in self._buckets.parts():
            keys = np.unique(rows["key"])
            if place < len(keys):
                return int(keys[place])
            place -= len(keys)
        raise IndexError(place)


def _size(share: float, groups: int) -> int:
    if share == 0 or groups < _MIN_GROUPS:
        return 0
    return min(max(round(groups * share), 1), groups - 1)
