"""Records drawn in the order of their ranks, each from the urn of its cell, until the urn's share is full."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from tongues.data.buckets import Buckets, Rows
from tongues.data.removals import Places32


class Draw:
    """Takes records and draws from them; they wait on disk, a 64th of them is in memory at a time.

    Use it as a context manager while records are added; draw when it is left.

    Args:
        folder: for its files; created if absent.
    """

    def __init__(self, folder: Path) -> None:
        columns = [("key", np.uint64), ("place", np.uint32), ("cell", np.uint32), ("size", np.uint32)]
        self._buckets = Buckets(folder, columns)
        self._available = np.zeros(0, np.int64)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._buckets.__exit__(*error)

    def add(
        self,
        *,
        ranks: npt.NDArray[np.uint64],
        places: npt.NDArray[np.integer],
        cells: npt.NDArray[np.integer],
        sizes: npt.NDArray[np.integer],
    ) -> None:
        """Take records, in ascending order of places.

        Args:
            ranks: the order of the draw.
            places: what to call them by.
            cells: number of the urn of each, from 0.
            sizes: what each takes of its urn's share: 1, or tokens.
        """
        self._buckets.add(key=ranks, place=places, cell=cells, size=sizes)
        more = np.bincount(cells.astype(np.int64), sizes).astype(np.int64)
        longest = max(len(more), len(self._available))
        self._available = np.pad(self._available, (0, longest - len(self._available)))
        self._available[: len(more)] += more

    def available(self, cells: int) -> list[int]:
        """What there is in each of the first so many urns."""
        return [*self._available.tolist(), *[0] * cells][:cells]

    def drawn(self, wanted: Sequence[int]) -> Places32:
        """The first of each urn, as many as fit its share.

        Args:
            wanted: the share of each urn; the first record that does not fit closes it.

        Returns:
            Places in ascending order.
        """
        left = dict(enumerate(wanted))
        chosen = [places for rows in self._buckets.parts() for places in _fitting(rows, left)]
        return np.sort(np.concatenate([np.empty(0, np.uint32), *chosen]))


def _fitting(rows: Rows, left: dict[int, int]) -> list[Places32]:
    """Places of what still fits, which is taken off what is left; urns that are full go."""
    ordered, chosen = rows[np.argsort(rows["key"], kind="stable")], []
    for cell in [cell for cell in np.unique(ordered["cell"]).tolist() if cell in left]:
        of_cell = ordered[ordered["cell"] == cell]
        taken = np.cumsum(of_cell["size"], dtype=np.int64)
        fitting = int(np.searchsorted(taken, left[cell], side="right"))
        chosen.append(of_cell["place"][:fitting])
        left[cell] -= int(taken[fitting - 1]) if fitting else 0
        if fitting < len(of_cell):
            del left[cell]
    return chosen
