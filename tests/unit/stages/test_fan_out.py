"""Shards cut rows so that each is in exactly one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.errors import RecipeError
from tongues.stages.fan_out import Job, Shard


@given(rows=st.integers(0, 200), of=st.integers(1, 30))
def test_shards_have_every_row_once(rows, of):
    shards = [Shard(number, of) for number in range(1, of + 1)]
    cut = [list(shard.of_rows(range(rows))) for shard in shards]
    assert sorted(row for part in cut for row in part) == list(range(rows))
    assert [len(part) for part in cut] == [shard.size(rows) for shard in shards]


@given(of=st.integers(1, 99), data=st.data())
def test_job_is_read_as_it_is_written(of, data):
    job = Job("zh-Hans", Shard(data.draw(st.integers(1, of)), of))
    assert Job.parse(str(job)) == job


def test_job_without_a_shard_is_the_whole_language():
    assert Job.parse("es") == Job("es", Shard(1, 1))


@pytest.mark.parametrize("text", ["", "0/4", "5/4", "1", "a/b", "1/0", "-1/4", "1/4/2"])
def test_shard_that_is_none_is_refused(text):
    with pytest.raises(RecipeError, match="such as 2/4"):
        Shard.parse(text)
