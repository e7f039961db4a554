"""The order in which groups are cut into test, validation and training sets.

A split is a cut in this order: the first groups are tested on, the next ones are for validation, the
rest is trained on, and adding or dropping a group moves the borders only. So groups that stand next
to each other here stand on one side of every split, but for those right at a border. Builders that
put several originals into one record take them from one neighbourhood.
"""

import hashlib
from collections.abc import Iterable


def in_split_order(groups: Iterable[str], *, seed: int) -> list[str]:
    """Distinct groups by ``blake2b-8(f"{seed}:{group}")``, equal digests by the group itself.

    Args:
        groups: any order, repeated ones count once.
        seed: the recipe's seed.
    """
    return sorted(set(groups), key=lambda group: (_digest(seed, group), group))


def neighbourhoods(groups: Iterable[str], size: int, *, seed: int) -> list[list[str]]:
    """Cut the order into pieces of `size` groups; a shorter rest joins the piece before it.

    Args:
        groups: as in `in_split_order`.
        size: groups in one piece, at least 1.
        seed: the recipe's seed.
    """
    ordered = in_split_order(groups, seed=seed)
    starts = range(0, max(len(ordered) - size, 0) + 1, size)
    ends = [*starts[1:], len(ordered)]
    return [ordered[start:end] for start, end in zip(starts, ends, strict=True) if start < end]


def _digest(seed: int, group: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=8).digest()
