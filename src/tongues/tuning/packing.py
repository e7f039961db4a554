"""How the rows of one optimiser step are divided into forward passes.

    packed    rows stand end to end in one line without padding; attention stays inside each row
    padded    rows of like length stand under each other, padded to the longest of them

Both keep to a budget of tokens and of rows. Which one is taken depends on what the model can do
(`tongues.tuning.attention`); the step's loss and gradient are the same either way, because they are
sums over labelled tokens divided by those of the whole step.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Layout = Literal["packed", "padded"]
Pass = tuple[int, ...]
"""Positions of the rows of one forward pass."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What fits into one forward pass.

    Args:
        tokens: slots at most, padding included; a longer row has a pass to itself.
        rows: rows at most.
    """

    tokens: int
    rows: int

    def holds(self, slots: int, rows: int) -> bool:
        """Whether so much fits; a single row always does."""
        return rows <= 1 or (slots <= self.tokens and rows <= self.rows)


def split_step(lengths: Sequence[int], layout: Layout, budget: Budget) -> list[Pass]:
    """Divide the rows of a step into as few passes as the layout's rule finds; each row is in one.

    Args:
        lengths: tokens of each row.
        layout: see the module.
        budget: of one pass.

    Returns:
        Passes of positions in `lengths`, the largest first.
    """
    return best_fit(lengths, budget) if layout == "packed" else like_lengths(lengths, budget)


def best_fit(lengths: Sequence[int], budget: Budget) -> list[Pass]:
    """Best-fit decreasing: each row, longest first, goes where it leaves the least room.

    Never more than 11/9 of the fewest possible passes, plus one, where only tokens bind (Johnson et
    al., SIAM J. Comput. 3(4), 1974).
    """
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, bin), ascending; full bins are taken out
    for row in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        at = bisect_left(room, (lengths[row], -1))
        free, number = room.pop(at) if at < len(room) else (budget.tokens, len(bins))
        if number == len(bins):
            bins.append([])
        bins[number].append(row)
        if len(bins[number]) < budget.rows and free > lengths[row]:
            insort(room, (free - lengths[row], number))
    return [tuple(rows) for rows in bins]


def like_lengths(lengths: Sequence[int], budget: Budget) -> list[Pass]:
    """Sort by length, longest first, and cut wherever one row more would break the budget."""
    passes: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        last = passes[-1] if passes else []
        if last and budget.holds(lengths[last[0]] * (len(last) + 1), len(last) + 1):
            last.append(row)
        else:
            passes.append([row])
    return [tuple(rows) for rows in passes]


def share_out(passes: Sequence[Pass], lengths: Sequence[int], ranks: int) -> list[list[Pass]]:
    """Divide passes among processes: each gets as many, those of one turn are of like size.

    Where their number is no multiple of the processes', the largest passes are halved; with fewer
    rows than processes, some get an empty pass. All of them so meet in every collective operation.

    Args:
        passes: of one optimiser step.
        lengths: tokens of each row.
        ranks: number of processes, at least 1.
    """
    turns = max(math.ceil(len(passes) / ranks), 1)
    parts = [p for p in passes if p]
    while len(parts) < turns * ranks:
        largest = max(parts, key=lambda p: (len(p) > 1, sum(lengths[i] for i in p)), default=())
        if len(largest) < 2:
            parts += [()] * (turns * ranks - len(parts))
            break
        parts.remove(largest)
        parts += [largest[0::2], largest[1::2]]
    parts.sort(key=lambda p: (-sum(lengths[i] for i in p), p))
    return [parts[rank::ranks] for rank in range(ranks)]


def slots(one: Pass, lengths: Sequence[int], layout: Layout) -> int:
    """Token slots that a pass computes, padding included."""
    sizes = [lengths[i] for i in one]
    return sum(sizes) if layout == "packed" else max(sizes, default=0) * len(sizes)


def efficiency(passes: Sequence[Pass], lengths: Sequence[int], budget: Budget) -> float:
    """How full the passes are: tokens by the slots that as many passes of the budget's size would have."""
    tokens = sum(lengths[i] for one in passes for i in one)
    return tokens / (len(passes) * budget.tokens) if passes else 1.0
