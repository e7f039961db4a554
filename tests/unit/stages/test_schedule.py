"""When a recurring run starts."""

import pytest

from tongues.core.errors import PreflightError
from tongues.stages.schedule import trigger_of


@pytest.mark.parametrize(
    ("every", "seconds"), [("30m", "1800"), ("6h", "21600"), ("1d", "86400"), ("2w", "1209600")]
)
def test_an_interval_is_seconds(every, seconds):
    assert trigger_of(every) == {"periodic_schedule": {"interval_second": seconds}}


def test_a_cron_line_has_seconds_first():
    assert trigger_of("0 0  3 * * 1") == {"cron_schedule": {"cron": "0 0 3 * * 1"}}


@pytest.mark.parametrize("wrong", ["", "0d", "1 d", "daily", "1.5h", "-1h", "0 0 3 * * $(x)", "5"])
def test_anything_else_is_refused_with_what_it_could_be(wrong):
    with pytest.raises(PreflightError, match="30m, 6h, 1d") as told:
        trigger_of(wrong)
    assert told.value.where == "--every"


def test_five_fields_are_told_to_lack_the_seconds():
    with pytest.raises(PreflightError, match=r"wants 6, seconds first: '0 0 3 \* \* 1'"):
        trigger_of("0 3 * * 1")
