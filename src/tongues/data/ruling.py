"""What becomes of every record: its split, or why it is left out."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tongues.data.removals import Removals
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


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of every record, in the order of their ids.

    Args:
        fate: a place in `SPLITS`, or a key of `REASONS`.
        removals: the duplicates, and what stays in the stead of each.
        langs: code of the language each teaches.
        lang_names: the languages by code.
    """

    fate: Fates
    removals: Removals
    langs: npt.NDArray[np.uint16]
    lang_names: list[str]
