"""What becomes of every record: its split, or why it is left out."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tongues.data.splits import SPLITS

DUPLICATE, NEAR_DUPLICATE, LEFT_OUT, CROSSING = range(len(SPLITS), len(SPLITS) + 4)
REASONS = {
    DUPLICATE: "duplicate",
    NEAR_DUPLICATE: "near-duplicate",
    LEFT_OUT: "mixture",
    CROSSING: "split-crossing",
}
"""Fates that are not a split."""
Fates = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of every record, in the order of their ids.

    Args:
        fate: a place in `SPLITS`, or a key of `REASONS`.
        survivor: place of the record that stays in its stead; its own place if it is no duplicate.
        similarity: Jaccard similarity to the survivor of near duplicates; 1 for all others.
        langs: code of the language each teaches.
        lang_names: the languages by code.
    """

    fate: Fates
    survivor: Places
    similarity: npt.NDArray[np.float32]
    langs: npt.NDArray[np.uint16]
    lang_names: list[str]
