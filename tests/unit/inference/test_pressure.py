"""The limit of one endpoint, against servers that are simulated event by event on a clock of their own."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.recipe import EndpointSection
from tongues.inference.endpoint import Endpoint, Heard
from tongues.inference.pressure import Opening, Pressure

CHAT = Opening(first=16, unproven=64)
Answer = Callable[[float, int], tuple[float, Heard]]
"""From the time and the requests in flight to how long the answer takes and what it is."""

OK, BUSY, BROKEN = Heard("answer"), Heard("busy"), Heard("failure")


@dataclass
class Run:
    """What a simulation saw."""

    limits: list[tuple[float, int]] = field(default_factory=list)
    kinds: list[tuple[float, str]] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def limit_at(self, time: float) -> int:
        return [limit for at, limit in self.limits if at <= time][-1]

    def count(self, kind: str, since: float = 0.0) -> int:
        return sum(1 for at, seen in self.kinds if seen == kind and at >= since)


def simulate(answer: Answer, until: float, **settings) -> Run:
    """Feed one endpoint all that it takes until a moment; there is always more to send."""
    section = EndpointSection(base_url="http://127.0.0.1:9", **settings)
    endpoint, run = Endpoint(section, "", CHAT, timeout_s=120, first_wait_s=1.0), Run()
    under_way: list[tuple[float, int, object, Heard]] = []
    now = 0.0
    while now < until:
        endpoint.widen(now)
        while endpoint.room(now):
            lease = endpoint.begin(now)
            took, heard = answer(now, endpoint.in_flight)
            run.starts.append(now)
            heapq.heappush(under_way, (now + took, len(run.starts), lease, heard))
        run.limits.append((now, endpoint.pressure.limit))
        moments = [at for at in (endpoint.opens_at(now),) if at is not None and at > now]
        now = min([*moments, *(end for end, *_ in under_way[:1])], default=until)
        while under_way and under_way[0][0] <= now:
            _, _, lease, heard = heapq.heappop(under_way)
            endpoint.end(lease, heard, now)
            run.kinds.append((now, heard.kind))
    return run


def batching(busy_at: int) -> Answer:
    """A server that computes together what it has, and lets wait what is more than `busy_at`."""
    return lambda now, in_flight: (max(1.0, in_flight / busy_at), OK)


def at_most(capacity: int, took: float = 1.0) -> Answer:
    """A server that refuses at once what is more than it can bear."""
    return lambda now, in_flight: (took, OK) if in_flight <= capacity else (0.01, BUSY)


@pytest.mark.parametrize("latency", [0.01, 1.0, 30.0])
def test_limit_reaches_64_within_two_seconds_whatever_the_latency(latency):
    run = simulate(lambda now, in_flight: (latency, OK), until=2.0)
    assert run.limit_at(1.9) >= 64


def test_limit_grows_to_a_capacity_far_beyond_the_start():
    run = simulate(lambda now, in_flight: (1.0, OK), until=10.0, max_in_flight=1_000)
    assert run.limit_at(9.9) >= 900


def test_limit_never_passes_the_recipe_s():
    run = simulate(lambda now, in_flight: (0.1, OK), until=30.0, max_in_flight=48)
    assert max(limit for _, limit in run.limits) == 48


@pytest.mark.parametrize("capacity", [1, 4, 20, 100])
def test_limit_settles_where_the_endpoint_refuses(capacity):
    run = simulate(at_most(capacity), until=60.0)
    assert capacity * 0.9 - 1 <= run.limit_at(30.0) <= capacity + 1
    late = run.count("busy", since=20.0), run.count("answer", since=20.0)
    assert late[1] >= 0.9 * capacity * 40 - capacity
    assert late[0] <= 20  # it asks for more now and then, not all the time


def test_limit_halves_with_every_round_that_fails_and_comes_back():
    def answer(now: float, in_flight: int) -> tuple[float, Heard]:
        return 1.0, BUSY if 10 <= now < 12 else OK

    run = simulate(answer, until=40.0, max_in_flight=64)
    assert run.limit_at(9.9) == 64
    assert run.limit_at(12.0) <= 2
    assert run.limit_at(20.0) >= 16
    assert run.limit_at(39.9) >= 32


def test_limit_single_failures_among_many_answers_cost_next_to_nothing():
    numbers = iter(range(10**9))
    run = simulate(lambda now, in_flight: (1.0, BROKEN if next(numbers) % 100 == 7 else OK), until=120.0)
    assert run.limit_at(119.0) >= 128


def test_limit_failures_of_half_of_all_requests_bring_it_down():
    numbers = iter(range(10**9))
    run = simulate(lambda now, in_flight: (1.0, BROKEN if next(numbers) % 2 else OK), until=120.0)
    assert run.limit_at(119.0) <= 8


def test_limit_stops_growing_when_answers_take_a_quarter_of_the_time_out():
    run = simulate(lambda now, in_flight: (40.0, OK), until=1_000.0)  # the time-out is 120 s
    assert run.limit_at(999.0) == 64


def test_limit_queue_that_adds_no_throughput_is_not_doubled_again():
    run = simulate(batching(busy_at=64), until=12.0, max_in_flight=4_000)
    assert 64 <= run.limit_at(11.0) <= 300


def test_unused_limit_does_not_grow():
    pressure = Pressure(256, CHAT, slow_s=30)
    pressure.began(0.0)
    for second in range(100):
        pressure.answered(float(second), 1.0, full=False)
    assert pressure.limit == 16


@given(
    st.lists(
        st.tuples(st.sampled_from(["answer", "busy", "overloaded", "failure"]), st.floats(0, 20)),
        max_size=200,
    ),
    st.integers(1, 300),
)
def test_endpoint_any_history_keeps_its_bounds(history, most):
    section = EndpointSection(base_url="http://127.0.0.1:9", max_in_flight=most)
    endpoint, now, leases = Endpoint(section, "", CHAT, 120, 1.0), 0.0, []
    for kind, wait in history:
        while endpoint.room(now):
            leases.append(endpoint.begin(now))
        assert endpoint.in_flight == len(leases) <= max(most, len(leases))
        if leases:
            endpoint.end(leases.pop(0), Heard(kind, retry_after_s=wait / 4), now)
        assert 1 <= endpoint.pressure.limit <= most
        now += wait
    assert endpoint.usable


def starts_within(starts: list[float], seconds: float) -> int:
    """The most starts that any window of this length holds."""
    return max(sum(1 for s in starts if start <= s < start + seconds) for start in starts)


@pytest.mark.parametrize(("quota", "until"), [(60, 200.0), (600, 130.0)])
def test_quota_is_kept_in_every_minute_and_used(quota, until):
    run = simulate(lambda now, in_flight: (1.0, OK), until=until, requests_per_minute=quota)
    assert starts_within(run.starts, 60.0) <= quota
    assert len(run.starts) >= 0.95 * quota * until / 60
    assert starts_within(run.starts, 1.0) <= quota / 60 + 1 + quota / 60  # spread, not in one burst


def test_quota_credit_of_a_pause_is_one_second_s_worth():
    section = EndpointSection(base_url="http://127.0.0.1:9", requests_per_minute=600)
    endpoint = Endpoint(section, "", CHAT, 120, 1.0)
    endpoint.end(endpoint.begin(0.0), OK, 0.5)
    burst = list(iter(lambda: endpoint.room(100.0) and endpoint.begin(100.0), 0))
    assert 9 <= len(burst) <= 11


def down(endpoint: Endpoint, now: float) -> None:
    for _ in range(5):
        endpoint.end(endpoint.begin(now), Heard("failure", "connection: refused"), now)


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(EndpointSection(base_url="http://127.0.0.1:9"), "", CHAT, 120, 1.0)


def test_down_endpoint_gets_one_probe_after_waits_that_double(endpoint):
    down(endpoint, 10.0)
    assert endpoint.room(10.9) == 0
    for wait in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
        start = endpoint.opens_at(0.0) - wait
        assert endpoint.room(start + wait - 0.01) == 0
        assert endpoint.room(start + wait) == 1
        probe = endpoint.begin(start + wait)
        assert endpoint.room(start + wait) == 0
        endpoint.end(probe, BROKEN, start + wait)


def test_down_endpoint_answer_puts_it_back_to_work(endpoint):
    down(endpoint, 10.0)
    endpoint.end(endpoint.begin(11.0), OK, 11.5)
    assert endpoint.room(11.5) >= 8
    assert not endpoint.given_up(11.5)


def test_down_endpoint_abandoned_probe_leaves_room_for_the_next(endpoint):
    down(endpoint, 10.0)
    endpoint.end(endpoint.begin(11.0), None, 11.5)
    assert endpoint.room(11.5) == 1


def test_down_endpoint_late_failures_of_old_requests_are_no_probes(endpoint):
    old = [endpoint.begin(9.0) for _ in range(10)]
    down(endpoint, 10.0)
    for lease in old:
        endpoint.end(lease, BROKEN, 10.5)
    assert endpoint.probes == 0
    assert endpoint.room(11.0) == 1


def test_endpoint_is_given_up_after_six_probes_in_vain(endpoint):
    down(endpoint, 10.0)
    for number in range(6):
        assert not endpoint.given_up(endpoint.opens_at(0.0) - 0.01), number
        moment = endpoint.opens_at(0.0)
        endpoint.end(endpoint.begin(moment), BROKEN, moment)
    assert endpoint.given_up(moment + 1)


def test_busy_endpoint_is_not_down(endpoint):
    other = endpoint.begin(1.0)
    for _ in range(50):
        endpoint.end(endpoint.begin(1.0), BUSY, 1.0)
    endpoint.end(other, OK, 1.0)
    assert not endpoint.down
    assert endpoint.room(1.0) >= 1


def test_busy_endpoint_that_refuses_even_one_request_is_left_alone_longer_each_time(endpoint):
    now, waits = 0.0, []
    for _ in range(8):
        endpoint.end(endpoint.begin(now), BUSY, now)
        waits.append(endpoint.opens_at(now) - now)
        now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    endpoint.end(endpoint.begin(now), OK, now)
    endpoint.end(endpoint.begin(now), BUSY, now)
    assert endpoint.opens_at(now) - now == 1


def test_retry_after_closes_the_endpoint_until_then(endpoint):
    endpoint.end(endpoint.begin(1.0), Heard("busy", retry_after_s=7), 2.0)
    assert (endpoint.room(8.9), endpoint.opens_at(2.0)) == (0, 9.0)
    assert endpoint.room(9.0) > 0


def test_retry_after_of_a_day_is_cut_to_ten_minutes(endpoint):
    endpoint.end(endpoint.begin(0.0), Heard("busy", retry_after_s=86_400), 0.0)
    assert endpoint.opens_at(0.0) == 600


def test_spent_endpoint_has_no_room():
    spent = Endpoint(EndpointSection(base_url="http://127.0.0.1:9", max_requests=2), "", CHAT, 120, 1.0)
    leases = [spent.begin(0.0), spent.begin(0.0)]
    assert (spent.room(0.0), spent.spent, spent.usable) == (0, True, False)
    for lease in leases:
        spent.end(lease, OK, 1.0)
    assert (spent.room(1.0), spent.opens_at(1.0)) == (0, None)
