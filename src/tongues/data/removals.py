"""Which of many records go as duplicates, and which stays in the stead of each."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
Places32 = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Removals:
    """Records that go. Most stay, so only those that go are written down: twelve bytes each.

    Args:
        places: of the records that go, ascending.
        survivors: the place of the record that stays instead of each.
        similarity: Jaccard similarity to that survivor; 1 for exact duplicates.
    """

    places: Places32
    survivors: Places32
    similarity: npt.NDArray[np.float32]

    @classmethod
    def none(cls) -> Self:
        """Nothing goes."""
        return cls.of(np.empty(0, np.uint32), np.empty(0, np.uint32))

    @classmethod
    def of(
        cls, places: npt.ArrayLike, survivors: npt.ArrayLike, similarity: npt.ArrayLike | None = None
    ) -> Self:
        """Removals in any order; all exact where nothing is said of similarity."""
        gone, stays = np.asarray(places, np.uint32), np.asarray(survivors, np.uint32)
        alike = np.ones(len(gone), np.float32) if similarity is None else np.asarray(similarity, np.float32)
        order = np.argsort(gone, kind="stable")
        return cls(gone[order], stays[order], alike[order])

    def __len__(self) -> int:
        return len(self.places)

    def staying(self, records: int) -> npt.NDArray[np.bool_]:
        """Whether each of so many records stays."""
        found = np.ones(records, np.bool_)
        found[self.places] = False
        return found

    def followed_by(self, later: Self) -> Self:
        """These, and then others among what stayed: a survivor that went hands on to its own survivor."""
        at = np.minimum(np.searchsorted(later.places, self.survivors), max(len(later) - 1, 0))
        moved = later.places[at] == self.survivors if len(later) else np.zeros(len(self), np.bool_)
        survivors, similarity = self.survivors.copy(), self.similarity.copy()
        survivors[moved], similarity[moved] = later.survivors[at[moved]], later.similarity[at[moved]]
        return self.of(
            np.concatenate([self.places, later.places]),
            np.concatenate([survivors, later.survivors]),
            np.concatenate([similarity, later.similarity]),
        )

    def survivor_of(self, place: int) -> tuple[int, float] | None:
        """The survivor of a record that goes, and how alike they are; None for one that stays."""
        at = int(np.searchsorted(self.places, place))
        if at == len(self) or int(self.places[at]) != place:
            return None
        return int(self.survivors[at]), float(self.similarity[at])
