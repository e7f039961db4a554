"""Which rows each optimiser step sees, planned before the first one.

The order is a pure function of row lengths, sizes and seed, so a resumed run sees what the
interrupted one would have seen. Rows of like length share a batch: within a window of shuffled rows
they are sorted by length, cut into batches, and the batches are shuffled again.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tongues.core.recipe import TuningSection
from tongues.tuning.masks import Example

_BATCHES_PER_WINDOW = 32


@dataclass(frozen=True, slots=True)
class Schedule:
    """The plan of a run.

    Args:
        order: index of the row at each position; a row stands once per epoch.
        rows_per_step: rows of one optimiser step; the last step may have fewer.
        rows_per_batch: rows of one forward pass.
    """

    order: tuple[int, ...]
    rows_per_step: int
    rows_per_batch: int

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return math.ceil(len(self.order) / self.rows_per_step)

    def step_rows(self, step: int) -> tuple[int, ...]:
        """Rows of one step, counted from 0."""
        return self.order[step * self.rows_per_step : (step + 1) * self.rows_per_step]

    def padding_share(self, lengths: Sequence[int]) -> float:
        """Share of computed token slots that hold no token."""
        slots = tokens = 0
        for at in range(0, len(self.order), self.rows_per_batch):
            batch = [lengths[i] for i in self.order[at : at + self.rows_per_batch]]
            slots, tokens = slots + max(batch) * len(batch), tokens + sum(batch)
        return 1 - tokens / slots if slots else 0.0


def plan_schedule(lengths: Sequence[int], section: TuningSection, seed: int) -> Schedule:
    """Plan the steps.

    Args:
        lengths: tokens of each row.
        section: epochs (a part of an epoch takes part of the rows), steps at most, rows per batch.
        seed: of the shuffles.
    """
    rows_per_step = section.batch_rows * section.accumulation_steps
    wanted = round(section.epochs * len(lengths))
    wanted = max(wanted, 1) if lengths else 0
    if section.max_steps is not None:
        wanted = min(wanted, section.max_steps * rows_per_step)
    draw = random.Random(seed)  # noqa: S311 (an order, not a secret)
    stream: list[int] = []
    while len(stream) < wanted:
        stream += draw.sample(range(len(lengths)), len(lengths))
    order = _group_by_length(stream[:wanted], lengths, section.batch_rows, draw)
    return Schedule(tuple(order), rows_per_step, section.batch_rows)


def _group_by_length(
    stream: Sequence[int], lengths: Sequence[int], rows: int, draw: random.Random
) -> list[int]:
    window, order = rows * _BATCHES_PER_WINDOW, []
    for at in range(0, len(stream), window):
        part = sorted(stream[at : at + window], key=lambda i: (lengths[i], i))
        batches = [part[i : i + rows] for i in range(0, len(part), rows)]
        full, rest = [b for b in batches if len(b) == rows], [b for b in batches if len(b) < rows]
        draw.shuffle(full)
        order += [i for batch in full + rest for i in batch]  # a short batch only at the very end
    return order


def scheduled_dataset(examples: Sequence[Example], schedule: Schedule) -> Any:
    """A `datasets.Dataset` that holds each row once and shows them in the schedule's order."""
    from datasets import Dataset

    return Dataset.from_list([e.columns() for e in examples]).select(list(schedule.order))
