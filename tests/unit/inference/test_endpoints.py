"""Several endpoints, and endpoints in trouble, over real HTTP: nothing is lost and the run goes on."""

import asyncio
import threading
import time
from collections import Counter

import pytest
from openai_faults import FaultyEndpoint, translation_of

from tongues.core.errors import BudgetError, EngineError
from tongues.core.recipe import EndpointSection, OpenAIEngine
from tongues.data.language_check import LanguageCheck
from tongues.data.language_id import RestrictedIdentifier
from tongues.data.spans import SpanProtector
from tongues.inference.endpoint import Endpoint, Heard
from tongues.inference.endpoints import Endpoints
from tongues.inference.engine import Outcome
from tongues.inference.pressure import Opening
from tongues.translation.counts import Counts
from tongues.translation.openai_chat import OpenAIChat
from tongues.translation.translate import translate_rows


def texts(count: int) -> list[str]:
    return [f"sentence number {i}" for i in range(count)]


def ask(engine: OpenAIChat, sent: list[str]) -> list[Outcome | Exception]:
    """Outcomes of single requests that are under way together, as the dispatcher sends them."""

    async def run():
        calls = [engine.answer([text], "en", "es") for text in sent]
        try:
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await engine.aclose()

    done = asyncio.run(run())
    return [each if isinstance(each, Exception) else each[0] for each in done]


def all_translated(sent: list[str], outcomes: list[Outcome | Exception]) -> bool:
    return [getattr(outcome, "text", outcome) for outcome in outcomes] == [translation_of(t) for t in sent]


def test_two_endpoints_share_the_work_by_what_each_can_do(connect):
    sent = texts(100)
    with FaultyEndpoint(latency_s=0.002) as fast, FaultyEndpoint(latency_s=0.05) as slow:
        assert all_translated(sent, ask(connect(fast, slow, max_in_flight=4), sent))
        assert len(fast.requests) + len(slow.requests) == 100
        assert len(fast.requests) > len(slow.requests) > 0


def test_endpoint_where_nobody_listens_is_left_to_the_other(connect):
    sent = texts(100)
    with FaultyEndpoint() as dead:
        pass
    with FaultyEndpoint(latency_s=0.005) as alive:
        engine = connect(dead, alive)
        assert all_translated(sent, ask(engine, sent))
        assert len(alive.requests) == 100
        assert engine.requests_sent <= 100 + 20


def test_second_try_goes_to_another_endpoint_even_if_that_has_less_room():
    with FaultyEndpoint(lambda n, t: "500") as ill, FaultyEndpoint() as small:
        endpoints = (
            EndpointSection(base_url=ill.base_url),
            EndpointSection(base_url=small.base_url, max_in_flight=1),
        )
        section = OpenAIEngine(kind="openai", endpoints=endpoints, model="m", retries=1)
        assert all_translated(["a house"], ask(OpenAIChat(section, first_wait_s=0.01), ["a house"]))
        assert (len(ill.requests), len(small.requests)) == (1, 1)


def test_endpoint_that_dies_and_comes_back_loses_nothing(connect, capsys):
    sent = texts(150)

    def choose(number: int, text: str) -> str:
        if number == 40:
            threading.Thread(target=fall_over).start()
        return "ok"

    def fall_over() -> None:
        endpoint.stop()
        time.sleep(0.25)  # how long it stays away, not a wait for anything
        endpoint.start()

    with FaultyEndpoint(choose, latency_s=0.005) as endpoint:
        engine = connect(endpoint, retries=2)
        assert all_translated(sent, ask(engine, sent))
    assert engine.requests_sent < 150 + 60
    said = capsys.readouterr().err
    assert f"openai: {endpoint.base_url}: endpoint is down: connection: " in said
    assert f"openai: {endpoint.base_url}: endpoint answers again" in said


def test_all_endpoints_down_at_the_start_say_what_each_one_said(connect):
    with FaultyEndpoint() as one, FaultyEndpoint(lambda n, t: "500") as two:
        pass
    with FaultyEndpoint(lambda n, t: "500") as ill:
        started = time.monotonic()
        outcomes = ask(connect(one, ill, max_in_flight=20, retries=4), texts(60))
        assert time.monotonic() - started < 10
        errors = {str(o) for o in outcomes if isinstance(o, EngineError)}
    (line,) = errors
    assert f"{one.base_url}: connection: ConnectError" in line
    assert f"{ill.base_url}: http-500: out of memory" in line
    assert "Fix: check base_url" in line
    assert engine_failed_for_most(outcomes)
    assert two.requests == []


def engine_failed_for_most(outcomes: list[Outcome | Exception]) -> bool:
    return sum(isinstance(o, EngineError) for o in outcomes) > len(outcomes) / 2


@pytest.mark.parametrize("fault", ["401", "403", "404", "redirect"])
def test_endpoint_with_a_wrong_key_or_address_is_put_out_loudly(connect, fault, capsys):
    sent = texts(60)
    with FaultyEndpoint(lambda n, t: fault) as wrong, FaultyEndpoint(latency_s=0.002) as right:
        engine = connect(wrong, right, retries=0)
        assert all_translated(sent, ask(engine, sent))
        assert len(wrong.requests) <= 8  # those that were under way when the first was refused
        assert len(right.requests) == 60
    said = [line for line in capsys.readouterr().err.splitlines() if "PUT OUT" in line]
    assert len(said) == 1
    assert wrong.base_url in said[0]


def test_all_endpoints_put_out_stop_the_run(connect):
    with FaultyEndpoint(lambda n, t: "401") as one, FaultyEndpoint(lambda n, t: "404") as two:
        outcomes = ask(connect(one, two), texts(10))
    assert all(isinstance(outcome, EngineError) for outcome in outcomes)
    assert "wrong key" in str(outcomes[0])
    assert "no such model" in str(outcomes[0])


def test_redirect_says_where_to(connect):
    with FaultyEndpoint(lambda n, t: "redirect") as endpoint:
        (error,) = ask(connect(endpoint), ["a house"])
    assert "redirects to http://127.0.0.1:9/v1/chat/completions; write that address in base_url" in str(error)


def test_max_requests_of_one_endpoint_leaves_the_rest_to_the_other():
    sent = texts(50)
    with FaultyEndpoint() as small, FaultyEndpoint(latency_s=0.005) as large:
        endpoints = (
            EndpointSection(base_url=small.base_url, max_requests=7),
            EndpointSection(base_url=large.base_url),
        )
        section = OpenAIEngine(kind="openai", endpoints=endpoints, model="m")
        assert all_translated(sent, ask(OpenAIChat(section), sent))
        assert (len(small.requests), len(large.requests)) == (7, 43)


def test_max_requests_spent_stops_with_every_answer_that_was_paid_for(connect):
    with FaultyEndpoint(latency_s=0.02) as one, FaultyEndpoint(latency_s=0.02) as two:
        engine = connect(one, two, max_requests=10)
        outcomes = ask(engine, texts(50))
        assert (len(one.requests), len(two.requests), engine.requests_sent) == (10, 10, 20)
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(errors) == 30
    assert all(isinstance(error, BudgetError) for error in errors)
    assert "its max_requests are spent" in str(errors[0])
    assert "Fix: raise max_requests and run again" in str(errors[0])
    assert sum(isinstance(o, Outcome) and o.text is not None for o in outcomes) == 20


def test_max_requests_spent_is_said_only_after_the_last_answer_has_come(connect):
    order = list[str]()

    async def run(engine: OpenAIChat) -> None:
        async def one(text: str) -> None:
            try:
                await engine.answer([text], "en", "es")
                order.append("answer")
            except BudgetError:
                order.append("error")

        await asyncio.gather(*map(one, texts(20)))
        await engine.aclose()

    with FaultyEndpoint(latency_s=0.1) as endpoint:
        asyncio.run(run(connect(endpoint, max_requests=8)))
    assert order == ["answer"] * 8 + ["error"] * 12


def test_retry_after_of_one_endpoint_does_not_hold_up_the_other(connect):
    sent = texts(40)
    with (
        FaultyEndpoint(lambda n, t: "429", retry_after="30") as busy,
        FaultyEndpoint(latency_s=0.005) as free,
    ):
        started = time.monotonic()
        assert all_translated(sent, ask(connect(busy, free), sent))
        assert time.monotonic() - started < 5
        assert len(busy.requests) <= 8


def test_endpoint_that_takes_ten_at_a_time_gets_ten_and_no_text_fails(connect):
    sent = texts(150)
    with FaultyEndpoint(capacity=10, latency_s=0.01, retry_after="") as endpoint:
        engine = connect(endpoint, max_in_flight=64, retries=4)
        assert all_translated(sent, ask(engine, sent))
    assert engine.requests_sent <= 2 * 150  # how close it settles, test_pressure shows on a clock of its own


def test_endpoint_that_says_503_when_it_is_full_gets_less_and_no_text_fails(connect):
    sent = texts(100)

    def choose(number: int, text: str) -> str:
        return "503" if endpoint.working > 12 else "ok"

    with FaultyEndpoint(choose, latency_s=0.01) as endpoint:
        assert all_translated(sent, ask(connect(endpoint, max_in_flight=64, retries=4), sent))
        assert len(endpoint.requests) <= 200


def test_endpoint_that_queues_has_64_in_flight_within_two_seconds(connect):
    with FaultyEndpoint(latency_s=1.3) as endpoint:
        assert all_translated(texts(64), ask(connect(endpoint, max_in_flight=256), texts(64)))
        assert endpoint.most_in_flight >= 60
        assert endpoint.arrivals[-1] - endpoint.arrivals[0] < 1.3


def test_requests_per_minute_spread_the_requests(connect):
    with FaultyEndpoint() as endpoint:
        started = time.monotonic()
        assert all_translated(texts(10), ask(connect(endpoint, requests_per_minute=1_220), texts(10)))
        assert time.monotonic() - started >= 9 * 0.05


def test_interrupted_requests_leave_the_engine_fit_for_another_loop(connect):
    with FaultyEndpoint(lambda n, t: "hang" if n < 20 else "ok") as endpoint:
        engine = connect(endpoint, max_in_flight=16)

        async def interrupt() -> None:
            calls = [asyncio.create_task(engine.answer([t], "en", "es")) for t in texts(20)]
            while len(endpoint.requests) < 16:
                await asyncio.sleep(0.001)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await engine.aclose()

        asyncio.run(interrupt())
        endpoint.choose = lambda n, t: "ok"
        assert all_translated(texts(30), ask(engine, texts(30)))


def test_request_interrupted_in_the_moment_when_it_gets_its_place_gives_it_back():
    section = EndpointSection(base_url="http://127.0.0.1:9", max_in_flight=1)
    endpoint = Endpoint(section, "", Opening(1, 1), timeout_s=1.0, first_wait_s=1.0)
    endpoints = Endpoints([endpoint], "tests", say=print)

    async def run() -> None:
        first = await endpoints.take()
        second = asyncio.create_task(endpoints.take())
        await asyncio.sleep(0)
        endpoints.give_back(first, Heard("answer"))
        second.cancel()
        await asyncio.wait([second])
        assert second.cancelled()
        assert endpoint.in_flight == 0
        endpoints.give_back(await endpoints.take(), Heard("answer"))

    asyncio.run(run())
    assert endpoint.in_flight == 0


def test_key_travels_in_the_header_and_never_in_a_message(monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret-key\n")
    with FaultyEndpoint(lambda n, t: "key-in-error") as endpoint:
        at = EndpointSection(base_url=endpoint.base_url, api_key_env="MY_KEY")
        section = OpenAIEngine(kind="openai", endpoints=(at,), model="m", retries=0)
        (outcome,) = ask(OpenAIChat(section), ["a house"])
        assert endpoint.headers[0]["authorization"] == "Bearer s3cret-key"
    assert outcome.detail == "cannot use Bearer ***"


@pytest.mark.parametrize(
    ("fault", "reason"), [("latin-1", "broken-json"), ("endless", "connection"), ("half-body", "connection")]
)
def test_body_that_is_no_text_or_has_no_end_is_a_reason(connect, fault, reason):
    with FaultyEndpoint(lambda n, t: fault) as endpoint:
        (outcome,) = ask(connect(endpoint, retries=0), ["a house"])
    assert (outcome.text, outcome.reason) == (None, reason)


FAULTS = ("429", "500", "503", "broken", "half-json", "half-body", "html", "wrong-shape", "empty", "null")
FAULTS += ("truncated", "added-lines", "surrogate", "400", "latin-1", "error-in-200", "lost-mark")


def test_rows_through_every_fault_at_once_all_come_out_and_add_up(connect, ledger, make_row):
    rows = [make_row(f"Tell me about `x{i}` and number {i}.", f"It is {i}.") for i in range(90)]

    def choose(number: int, text: str) -> str:
        return FAULTS[number // 3 % len(FAULTS)] if number % 3 == 0 else "ok"

    with FaultyEndpoint(choose, retry_after="0.01") as endpoint:
        engine, counts = connect(endpoint, timeout_s=5.0, retries=3, max_in_flight=32), Counts()
        how = {"source_lang": "en", "target_lang": "es", "ledger": ledger, "protector": SpanProtector()}
        items = list(translate_rows(rows, engine=engine, counts=counts, **how))
        reasons = Counter(getattr(item, "reason", "kept") for item in items)
        assert engine.requests_sent == len(endpoint.requests)
    assert [getattr(i, "group", getattr(i, "where", None)) for i in items] == [row.group for row in rows]
    assert sum(reasons.values()) == counts.rows == 90
    assert reasons["kept"] >= 45
    assert {"empty-answer", "truncated", "added-lines", "refused-by-endpoint"} <= reasons.keys()
    assert counts.requests == engine.requests_sent
    assert all(item.text for item in items if getattr(item, "reason", ""))


def test_answer_in_another_language_is_refused_and_shown(connect, ledger, make_row):
    row = make_row("Tell me what the farmer does in the early morning.", "He feeds the animals in the barn.")
    check = LanguageCheck(RestrictedIdentifier(), ("en", "es", "de"), 40)
    with FaultyEndpoint(lambda n, t: "other-language") as endpoint:
        how = {"source_lang": "en", "target_lang": "es", "ledger": ledger, "protector": SpanProtector()}
        (item,) = translate_rows([row], engine=connect(endpoint), checks=[check], **how)
    assert item.reason == "wrong-language"
    assert item.text.startswith("Das ist eine deutsche Antwort")
