"""Split by group: an item and all its translations stand on one side.

The rule, in full. Every group gets the rank key ``blake2b-8(f"{seed}:{group}")``. Groups are
sorted by that key. The first ``round(n * test_share)`` are the test set, the next
``round(n * validation_share)`` are for validation, the rest is for training; a share above 0
gets at least one group where there are three or more, and training is never left empty.

So shares are met to within half a group whatever the size, the result depends on the set of
groups and the seed only, and neither on order nor on sharding. Adding a group to a set of n may
move the groups at the two borders; all others stay. Of a group only its key is kept in memory.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt

from tongues.core.recipe import DatasetSection

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


def sides(keys: Keys, section: DatasetSection) -> npt.NDArray[np.uint8]:
    """Assign every record to a split by the key of its group.

    Args:
        keys: of the groups of all records; repeated ones count once.
        section: the shares, as parts of the number of groups.

    Returns:
        For each key the place of its split in `SPLITS`.
    """
    ranked = np.unique(keys)
    tests = _size(section.test_share, len(ranked))
    validations = min(_size(section.validation_share, len(ranked)), max(len(ranked) - tests - 1, 0))
    place = np.searchsorted(ranked, keys)
    found = np.zeros(len(keys), np.uint8)
    found[place < tests + validations] = SPLITS.index("validation")
    found[place < tests] = SPLITS.index("test")
    return found


def _size(share: float, groups: int) -> int:
    if share == 0 or groups < _MIN_GROUPS:
        return 0
    return min(max(round(groups * share), 1), groups - 1)
