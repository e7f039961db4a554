from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tongues.core.recipe import TuningSection
from tongues.tuning.schedule import plan_schedule


@given(
    count=st.integers(1, 200),
    rows=st.integers(1, 9),
    accumulation=st.integers(1, 3),
    epochs=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_plan_schedule_whole_epochs_show_every_row_equally_often(
    count: int, rows: int, accumulation: int, epochs: int, seed: int
) -> None:
    section = TuningSection(batch_rows=rows, accumulation_steps=accumulation, epochs=epochs)
    schedule = plan_schedule(count, section, seed)
    assert Counter(schedule.order) == dict.fromkeys(range(count), epochs)
    seen = [i for step in range(schedule.steps) for i in schedule.step_rows(step)]
    assert tuple(seen) == schedule.order
    assert all(len(schedule.step_rows(s)) == rows * accumulation for s in range(schedule.steps - 1))
    assert schedule == plan_schedule(count, section, seed)


def test_plan_schedule_part_of_an_epoch_takes_part_of_the_rows() -> None:
    schedule = plan_schedule(100, TuningSection(epochs=0.25, batch_rows=5), 1)
    assert len(set(schedule.order)) == len(schedule.order) == 25


def test_plan_schedule_max_steps_ends_early_and_does_not_stretch() -> None:
    section: dict[str, Any] = {"batch_rows": 4, "max_steps": 3}
    assert len(plan_schedule(100, TuningSection(**section), 1).order) == 12
    assert len(plan_schedule(5, TuningSection(**section), 1).order) == 5


def test_plan_schedule_other_seed_gives_other_order() -> None:
    assert len({plan_schedule(100, TuningSection(), seed).order for seed in range(5)}) == 5


def test_plan_schedule_what_fits_the_hardware_does_not_change_the_order() -> None:
    wide, narrow = (plan_schedule(50, TuningSection(batch_tokens=n), 3) for n in (4096, 64))
    assert wide == narrow


def test_plan_schedule_no_rows_has_no_steps() -> None:
    assert plan_schedule(0, TuningSection(), 1).steps == 0
