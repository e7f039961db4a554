"""Which rows each optimiser step sees, planned before the first one.

The order is a pure function of the number of rows, sizes and seed, so a resumed run sees what the
interrupted one would have seen, on whatever machine. Rows are shuffled and nothing else: how a step's
rows are laid out for the hardware (`tongues.tuning.packing`) does not decide what is learnt.
"""

import math
import random
from dataclasses import dataclass

from tongues.core.recipe import TuningSection


@dataclass(frozen=True, slots=True)
class Schedule:
    """The plan of a run.

    Args:
        order: index of the row at each position; a row stands once per epoch.
        rows_per_step: rows of one optimiser step; the last step may have fewer.
    """

    order: tuple[int, ...]
    rows_per_step: int

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return math.ceil(len(self.order) / self.rows_per_step)

    def step_rows(self, step: int) -> tuple[int, ...]:
        """Rows of one step, counted from 0."""
        return self.order[step * self.rows_per_step : (step + 1) * self.rows_per_step]


def plan_schedule(rows: int, section: TuningSection, seed: int) -> Schedule:
    """Plan the steps.

    Args:
        rows: how many there are.
        section: epochs (a part of an epoch takes part of the rows), steps at most, rows per step.
        seed: of the shuffles.
    """
    rows_per_step = section.batch_rows * section.accumulation_steps
    wanted = max(round(section.epochs * rows), 1) if rows else 0
    if section.max_steps is not None:
        wanted = min(wanted, section.max_steps * rows_per_step)
    draw = random.Random(seed)  # noqa: S311 (an order, not a secret)
    order: list[int] = []
    while len(order) < wanted:
        order += draw.sample(range(rows), rows)
    return Schedule(tuple(order[:wanted]), rows_per_step)
