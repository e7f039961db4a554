"""Random draws that depend on nothing but the seed and the name of the draw.

Every draw has its own stream, so a result is the same for any order, shard or process.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


def draw(options: Sequence[T], *name: str | int) -> T:
    """Draw one option uniformly.

    Args:
        options: at least one, in an order that repeats.
        name: what identifies the draw: seed, mode, index, what is drawn.
    """
    return options[_number(*name) * len(options) >> 64]


def draw_weighted(options: Sequence[T], weights: Sequence[float], *name: str | int) -> T:
    """Draw one option by weight.

    Args:
        options: at least one, in an order that repeats.
        weights: one for each option, none below 0, one at least above it.
        name: as in `draw`.
    """
    ends = list(accumulate(weights))
    place = bisect_right(ends, _number(*name) / 2**64 * ends[-1])
    return options[min(place, max(at for at, weight in enumerate(weights) if weight))]


def draw_without_replacement(groups: Iterable[str], rows: int, *name: str | int) -> list[str]:
    """Draw distinct groups: those with the smallest digest of name and group.

    A smaller number of rows gives a prefix of a larger one's.

    Args:
        groups: the groups there are.
        rows: how many to draw; all if there are fewer.
        name: what identifies the draw.
    """
    return sorted(groups, key=lambda group: (_number(*name, group), group))[:rows]


def rank(*name: str | int) -> int:
    """A place in a random order, to sort by where not all there is stands in memory.

    Args:
        name: what identifies the draw, and the option.
    """
    return _number(*name)


def _number(*name: str | int) -> int:
    """A number below 2**64: BLAKE2b of the parts, each on its own line."""
    line = "\n".join(map(str, name)).encode()
    return int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "big")
