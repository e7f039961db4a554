"""Which texts of a few are most like another, by their letters alone.

Letter triples weighted by how few of the texts have them, compared by the cosine of the angle: the
same for every script, without words, without a model, and equal on every machine.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence

_LETTERS = 3

Weights = dict[str, float]


class Likeness:
    """Compares the texts of one small collection with each other.

    Args:
        texts: in an order that repeats; a triple that all of them have tells nothing.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [_triples(text) for text in texts]
        spread = Counter(triple for count in counts for triple in count)
        self._vectors = [_unit(count, spread, len(texts)) for count in counts]

    def nearest(self, at: int, size: int) -> list[int]:
        """Places of the texts most like the one at a place, the likest first, without that one.

        Args:
            at: place of the text to compare with.
            size: how many; all others if there are fewer.
        """
        own = self._vectors[at]
        others = [place for place in range(len(self._vectors)) if place != at]
        return sorted(others, key=lambda place: (-_cosine(own, self._vectors[place]), place))[:size]


def _triples(text: str) -> Counter[str]:
    plain = f" {' '.join(unicodedata.normalize('NFKC', text).casefold().split())} "
    return Counter(plain[at : at + _LETTERS] for at in range(max(len(plain) - _LETTERS + 1, 1)))


def _unit(count: Counter[str], spread: Counter[str], texts: int) -> Weights:
    """Weights of length 1; keys stay in the order of the text, so that sums repeat to the last bit."""
    raw = {triple: n * math.log(texts / spread[triple]) for triple, n in count.items()}
    length = math.sqrt(math.fsum(weight * weight for weight in raw.values()))
    return {triple: weight / length for triple, weight in raw.items()} if length else {}


def _cosine(one: Weights, other: Weights) -> float:
    return math.fsum(weight * other[triple] for triple, weight in one.items() if triple in other)
