"""95 % intervals: Wilson's for shares, a percentile bootstrap for everything else."""

from math import sqrt
from typing import TYPE_CHECKING

from tongues.core.scores import Measurement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Z_95 = 1.959963984540054
"""Quantile of the normal distribution that leaves 2.5 % on each side."""
RESAMPLES = 1_000
SEED = 20_240_731


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share.

    ``(p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)``, which stays inside 0..1 and is
    honest for few items and for shares of 0 and 1. No items at all: 0..1.

    Args:
        successes: 0..n.
        n: items.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    if n == 0:
        return 0.0, 1.0
    share, z2 = successes / n, Z_95**2
    centre = share + z2 / (2 * n)
    spread = Z_95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def draws(n: int) -> "NDArray[np.int64]":
    """Item indices of every resample, shape (resamples, n); the same in every process.

    Args:
        n: items, at least 1.
    """
    import numpy as np

    return np.random.default_rng(SEED).integers(0, n, size=(RESAMPLES, n))


def resampled(value: float, figures: "NDArray[np.float64]", n: int) -> Measurement:
    """A figure with the percentile interval of the same figure taken on every resample.

    Args:
        value: the figure on the items themselves.
        figures: one per resample.
        n: items.

    Source: Efron, Ann. Statist. 7 (1979) 1; for scores of text, Koehn, EMNLP 2004 (W04-3250).
    """
    import numpy as np

    low, high = np.percentile(figures, [2.5, 97.5])
    # The percentiles of a skewed figure can miss the figure itself by a little.
    return Measurement(value=value, n=n, low=min(float(low), value), high=max(float(high), value))
