"""Examples that stand before an item: how many, and which.

Examples are items of the same language and never the item itself. They come from the item's
neighbourhood: groups that follow each other in the order that splits cut (`tongues.core.split_order`),
so that an item and its examples stand on one side of every split, but for one neighbourhood at each
border. A record that a border cuts through anyway shows by `Record.groups`, and assembly drops it.

Neighbours are in no way alike, for that order is one of digests: an example drawn from them is drawn
from all items with equal chances.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from tongues.core.recipe import ShotsSection
from tongues.core.records import AlignedRow
from tongues.core.split_order import neighbourhoods
from tongues.core.store import AlignedStore
from tongues.methods.draws import draw, draw_weighted
from tongues.methods.likeness import Likeness
from tongues.methods.prompts import user_turn


@dataclass(frozen=True, slots=True)
class Sample:
    """An item and its examples, in the order of the conversation; the likest, if any, stand last."""

    item: AlignedRow
    shots: tuple[AlignedRow, ...]


@dataclass(frozen=True, slots=True)
class Sampler:
    """Draws examples for items of one language; the seed and the item say all about a draw.

    Args:
        store: every item in every language.
        section: how many examples, and which.
        lang: BCP-47 code.
        seed: the recipe's seed.
    """

    store: AlignedStore
    section: ShotsSection
    lang: str
    seed: int

    def samples(self, groups: Sequence[str], drawn: Collection[str]) -> Iterator[Sample]:
        """The samples of the drawn items, neighbourhood by neighbourhood.

        Args:
            groups: all groups of the language: where examples come from.
            drawn: those to make a sample of.
        """
        wanted = set(drawn)
        for piece in neighbourhoods(groups, self.section.pool, seed=self.seed):
            if not wanted.isdisjoint(piece):
                hood = _Neighbourhood([self.store.get(group, self.lang) for group in piece])
                yield from (self._sample(hood, place) for place, group in enumerate(piece) if group in wanted)

    def _sample(self, hood: "_Neighbourhood", place: int) -> Sample:
        item, count = hood.rows[place], self._count(hood.rows[place].group)
        if self.section.choose == "nearest":
            chosen = hood.likeness.nearest(place, count)[::-1]
        else:
            chosen = hood.random(place, count, self.seed)
        return Sample(item, tuple(hood.rows[other] for other in chosen))

    def _count(self, group: str) -> int:
        options = range(self.section.min, self.section.max + 1)
        weights = self.section.weights or (1.0,) * len(options)
        return draw_weighted(options, weights, self.seed, "shots/count", self.lang, group)


@dataclass(frozen=True)
class _Neighbourhood:
    rows: Sequence[AlignedRow]

    @cached_property
    def likeness(self) -> Likeness:
        """Made for the first item that wants it, and used by all of the neighbourhood."""
        return Likeness([user_turn(row.instruction, row.input) for row in self.rows])

    def random(self, place: int, count: int, seed: int) -> list[int]:
        """Places of other rows, one drawn after the other from those that are left."""
        own = self.rows[place]
        left = [at for at in range(len(self.rows)) if at != place]
        drawn: list[int] = []
        for number in range(count):
            drawn.append(draw(left, seed, "shots/which", own.lang, own.group, number))
            left.remove(drawn[-1])
        return drawn
