"""Split by group: an item and all its translations stand on one side.

The rule, in full. Every group gets the rank key ``blake2b-8(f"{seed}:{group}")``. Groups are
sorted by that key. The first ``round(n * test_share)`` are the test set, the next
``round(n * validation_share)`` are for validation, the rest is for training; a share above 0
gets at least one group where there are three or more, and training is never left empty.

So shares are met to within half a group whatever the size, the result depends on the set of
groups and the seed only, and neither on order nor on sharding. Adding a group to a set of n may
move the groups at the two borders; all others stay.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal

from tongues.core.recipe import DatasetSection

Split = Literal["train", "validation", "test"]
_MIN_GROUPS = 3


def split_groups(groups: Iterable[str], section: DatasetSection, *, seed: int) -> dict[str, Split]:
    """Assign every group to a split.

    Args:
        groups: all groups that records exist for; repeated ones count once.
        section: the shares, as parts of the number of groups.
        seed: the recipe's seed.

    Returns:
        Group to split.
    """
    ranked = sorted(set(groups), key=lambda group: (_key(seed, group), group))
    tests = _size(section.test_share, len(ranked))
    validations = min(_size(section.validation_share, len(ranked)), max(len(ranked) - tests - 1, 0))
    borders = (tests, tests + validations)
    return {group: _side(place, borders) for place, group in enumerate(ranked)}


def _key(seed: int, group: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=8).digest()


def _size(share: float, groups: int) -> int:
    if share == 0 or groups < _MIN_GROUPS:
        return 0
    return min(max(round(groups * share), 1), groups - 1)


def _side(place: int, borders: tuple[int, int]) -> Split:
    if place < borders[0]:
        return "test"
    return "validation" if place < borders[1] else "train"
