"""Paired tests, and their correction for the many languages that are looked at at once.

Of twenty languages without any change one is expected to pass a test at 5 %. Holm's procedure keeps the
chance of even one false finding among all languages of a measure at 5 %; it needs no independence, so it
holds for translations of the same questions. Intervals in tables stand for themselves and are not corrected.
"""

from collections.abc import Sequence
from math import comb

from tongues.evaluation.intervals import SEED

_FLIPS = 10_000


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number: ``max over j <= i of min(1, (m - j + 1) p_j)``, sorted.

    Args:
        p_values: of the tests of one family, in any order.

    Returns:
        In the same order; a test is significant at level a where its value is at most a.

    Source: Holm, Scand. J. Stat. 6 (1979) 65.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def paired_p(before: Sequence[float], after: Sequence[float]) -> float:
    """Two-sided p of no change over the same items.

    Where every change is one of two equal sizes (right or wrong), this is the exact sign test on the items
    that changed, McNemar's exact test. Elsewhere it is a sign-flip permutation test of the mean change with
    10,000 draws and a fixed seed, whose smallest value is 1 / 10,001.

    Args:
        before: one value per item.
        after: the same items.

    Source: McNemar, Psychometrika 12 (1947) 153; Fisher's randomisation test.
    """
    changes = [b - a for a, b in zip(before, after, strict=True) if a != b]
    if not changes:
        return 1.0
    if len({abs(change) for change in changes}) == 1:
        fewer = min(sum(change > 0 for change in changes), sum(change < 0 for change in changes))
        return _sign_test(fewer, len(changes))
    return _flipped(changes)


def _sign_test(fewer: int, n: int) -> float:
    """Chance of so few of either sign among n fair coins."""
    tail = sum(comb(n, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**n))


def _flipped(changes: Sequence[float]) -> float:
    import numpy as np

    found, rng = np.array(changes), np.random.default_rng(SEED)
    signs = rng.integers(0, 2, size=(_FLIPS, len(found)), dtype=np.int8) * 2 - 1
    as_large = np.abs(signs @ found) >= abs(found.sum()) - 1e-12
    return float((as_large.sum() + 1) / (_FLIPS + 1))
