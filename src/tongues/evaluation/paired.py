"""Paired differences of two models on the same items, with bounds that few items keep wide.

A bootstrap of five items that did not change has no width at all, as if five were enough. Right and wrong
answers therefore get Tango's score interval, which for n items without any change still reaches
``z² / (n + z²)`` to either side. Everything else is resampled over items, and below ten items has no bound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

from tongues.core.comparison import CONFIDENCES
from tongues.core.scores import Measurement
from tongues.evaluation.intervals import draws, resampled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST_FOR_BOOTSTRAP = 10
"""A bootstrap over fewer items is too narrow to call anything clear."""
_HALVINGS = 50


@dataclass(frozen=True, slots=True)
class Paired:
    """A difference over the same items.

    Args:
        change: after minus before, with its two-sided 95 % interval.
        interval: how that was taken.
        at_least: one-sided confidence to the lower bound of the change.
        at_most: the same for the upper bound.
    """

    change: Measurement
    interval: Literal["score", "bootstrap"]
    at_least: dict[str, float]
    at_most: dict[str, float]

    def gain_at_least(self, better: int) -> dict[str, float]:
        """Lower bounds of the gain: the change times `better`, which is 1 or -1."""
        return self.at_least if better > 0 else {name: -bound for name, bound in self.at_most.items()}


def paired(before: Sequence[float], after: Sequence[float]) -> Paired:
    """The mean change of items: by scores where every value is 0 or 1, else by bootstrap.

    Args:
        before: one value per item, at least one.
        after: the same items.
    """
    if {*before, *after} <= {0.0, 1.0}:
        gained = sum(a > b for b, a in zip(before, after, strict=True))
        lost = sum(a < b for b, a in zip(before, after, strict=True))
        return _by_score(gained, lost, len(before))
    import numpy as np

    change = np.array(after, dtype=float) - np.array(before, dtype=float)
    return by_bootstrap(float(change.mean()), change[draws(len(change))].mean(axis=1), len(change))


def by_bootstrap(value: float, figures: "NDArray[np.float64]", n: int) -> Paired:
    """A difference with percentiles of the same difference on every resample.

    Args:
        value: on the items themselves.
        figures: one per resample.
        n: items.

    Source: paired bootstrap, Koehn, EMNLP 2004 (W04-3250).
    """
    import numpy as np

    if n < FEWEST_FOR_BOOTSTRAP:
        return Paired(resampled(value, figures, n), "bootstrap", {"0.5": value}, {"0.5": value})
    lows = np.percentile(figures, [100 * (1 - c) for c in CONFIDENCES])
    highs = np.percentile(figures, [100 * c for c in CONFIDENCES])
    at_least = {f"{c:g}": min(float(low), value) for c, low in zip(CONFIDENCES, lows, strict=True)}
    at_most = {f"{c:g}": max(float(high), value) for c, high in zip(CONFIDENCES, highs, strict=True)}
    exact = {"0.5": value}
    return Paired(resampled(value, figures, n), "bootstrap", at_least | exact, at_most | exact)


def _by_score(gained: int, lost: int, n: int) -> Paired:
    low, high = score_bound(gained, lost, n, 0.975), -score_bound(lost, gained, n, 0.975)
    value = (gained - lost) / n
    change = Measurement(value=value, n=n, low=min(low, value), high=max(high, value))
    at_least = {f"{c:g}": score_bound(gained, lost, n, c) for c in CONFIDENCES}
    at_most = {f"{c:g}": -score_bound(lost, gained, n, c) for c in CONFIDENCES}
    return Paired(change, "score", at_least, at_most)


def score_bound(gained: int, lost: int, n: int, confidence: float) -> float:
    """One-sided lower bound of the difference of two paired shares, by inverting Tango's score test.

    The bound is the least d with ``(g - l - n d) / sqrt(n (2 q(d) + d (1 - d))) <= z``, where ``q(d)`` is
    the likeliest share of losses if the difference were d: the larger root of
    ``2n q² + ((2n - g + l) d - g - l) q - l d (1 - d)``.

    Args:
        gained: items that are right now and were wrong.
        lost: items that are wrong now and were right.
        n: all items, at least 1.
        confidence: 0.5 to below 1; 0.5 gives the difference itself.

    Source: Tango, Statist. Med. 17 (1998) 891.
    """
    z = NormalDist().inv_cdf(confidence)
    return _least(lambda d: _score(gained, lost, n, d) <= z, -1.0, (gained - lost) / n)


def _score(gained: int, lost: int, n: int, d: float) -> float:
    distance = gained - lost - n * d
    b = (2 * n - gained + lost) * d - gained - lost
    q = (sqrt(max(b * b + 8 * n * lost * d * (1 - d), 0.0)) - b) / (4 * n)
    variance = n * (2 * q + d * (1 - d))
    if variance <= 0:
        return float("inf") if distance > 0 else 0.0
    return distance / sqrt(variance)


def _least(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where a condition that holds at `high` begins to hold, by halving; `high` if it holds nowhere else."""
    if holds(low):
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
