from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tongues.core.recipe import TuningSection
from tongues.tuning.schedule import plan_schedule


@given(
    lengths=st.lists(st.integers(1, 512), min_size=1, max_size=200),
    rows=st.integers(1, 9),
    accumulation=st.integers(1, 3),
    epochs=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_plan_schedule_whole_epochs_show_every_row_equally_often(
    lengths: list[int], rows: int, accumulation: int, epochs: int, seed: int
) -> None:
    section = TuningSection(batch_rows=rows, accumulation_steps=accumulation, epochs=epochs)
    schedule = plan_schedule(lengths, section, seed)
    assert Counter(schedule.order) == dict.fromkeys(range(len(lengths)), epochs)
    seen = [i for step in range(schedule.steps) for i in schedule.step_rows(step)]
    assert tuple(seen) == schedule.order
    assert all(len(schedule.step_rows(s)) == rows * accumulation for s in range(schedule.steps - 1))
    assert schedule == plan_schedule(lengths, section, seed)


def test_plan_schedule_part_of_an_epoch_takes_part_of_the_rows() -> None:
    schedule = plan_schedule([10] * 100, TuningSection(epochs=0.25, batch_rows=5), 1)
    assert len(set(schedule.order)) == len(schedule.order) == 25


def test_plan_schedule_max_steps_ends_early_and_does_not_stretch() -> None:
    section: dict[str, Any] = {"batch_rows": 4, "max_steps": 3}
    assert len(plan_schedule([1] * 100, TuningSection(**section), 1).order) == 12
    assert len(plan_schedule([1] * 5, TuningSection(**section), 1).order) == 5


def test_plan_schedule_other_seed_gives_other_order() -> None:
    lengths = list(range(1, 101))
    orders = {plan_schedule(lengths, TuningSection(), seed).order for seed in range(5)}
    assert len(orders) == 5


def test_plan_schedule_batches_of_like_length_waste_little() -> None:
    lengths = [8 + (i * 37) % 500 for i in range(256)]
    schedule = plan_schedule(lengths, TuningSection(batch_rows=8), 3)
    assert schedule.padding_share(lengths) < 0.04
    # The steps are not sorted themselves: short and long batches alternate.
    firsts = [lengths[schedule.step_rows(s)[0]] for s in range(schedule.steps)]
    assert firsts != sorted(firsts)
    assert firsts != sorted(firsts, reverse=True)


def test_plan_schedule_no_rows_has_no_steps() -> None:
    assert plan_schedule([], TuningSection(), 1).steps == 0
