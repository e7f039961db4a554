"""A chat model that writes by prompts: kept, within the budget, in the order asked."""

import asyncio
import itertools

import openai_faults
import pytest
from hypothesis import given as example
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from tongues.core.errors import BudgetError, EngineError
from tongues.core.recipe import BudgetSection, EndpointSection, OpenAIEngine
from tongues.inference.budget import Budget
from tongues.inference.chat import ChatMessage
from tongues.inference.engine import Outcome
from tongues.inference.writer import MALFORMED, Prompt, Writer, parsed, write_all


class Score(BaseModel):
    model_config = ConfigDict(extra="forbid")

    score: int


def prompt(text: str, **wishes) -> Prompt:
    return Prompt((ChatMessage(role="user", content=text),), **wishes)


def writer_at(
    endpoint, ledger, *, budget: BudgetSection | None = None, lang: str = "es", **settings
) -> Writer:
    address = EndpointSection(base_url=endpoint.base_url, max_in_flight=8)
    section = OpenAIEngine(
        kind="openai", endpoints=(address,), model=openai_faults.MODEL, timeout_s=5.0, retries=2, **settings
    )
    return Writer(section, ledger, Budget(budget or BudgetSection()), lang, first_wait_s=0.01)


def written(writer: Writer, prompts: list[Prompt]) -> list[Outcome]:
    return list(write_all(prompts, writer.write, writer))


def test_answers_come_in_the_order_of_the_prompts_and_are_never_asked_for_twice(ledger):
    prompts = [prompt(f"number {n}") for n in range(60)]
    failing = {f"number {n}" for n in range(0, 60, 5)}

    def choose(number: int, text: str) -> str:
        if text not in failing:
            return "ok"
        failing.remove(text)
        return "500"

    with openai_faults.FaultyEndpoint(choose) as endpoint:
        first = written(writer_at(endpoint, ledger), prompts)
        asked = len(endpoint.requests)
        second = written(writer_at(endpoint, ledger), prompts)
        assert len(endpoint.requests) == asked
    assert [outcome.text for outcome in first] == [f"numbero {n}o" for n in range(60)]
    assert [outcome.text for outcome in second] == [outcome.text for outcome in first]


def test_sample_shape_and_wishes_reach_the_endpoint_and_are_part_of_the_key(ledger):
    wishes = [
        prompt("say"),
        prompt("say", sample=1, temperature=0.9),
        prompt("say", answer=Score, temperature=0.0, max_output_tokens=10_000),
    ]
    with openai_faults.FaultyEndpoint() as endpoint:
        written(writer_at(endpoint, ledger, temperature=0.5, max_output_tokens=64), wishes)
        bodies = sorted(endpoint.requests, key=lambda body: ("seed" in body, "response_format" in body))
    plain, shaped, sampled = bodies
    assert (plain["temperature"], plain["max_tokens"]) == (0.5, 64)
    assert (sampled["temperature"], sampled["seed"]) == (0.9, 1)
    assert (shaped["temperature"], shaped["max_tokens"]) == (0.0, 64)
    assert shaped["response_format"]["json_schema"]["schema"] == Score.model_json_schema()
    assert len({one.text() for one in wishes}) == 3


def test_what_two_languages_ask_alike_is_paid_for_once(ledger):
    with openai_faults.FaultyEndpoint() as endpoint:
        for lang in ("es", "ca", "es"):
            written(writer_at(endpoint, ledger, lang=lang), [prompt("say")])
        assert len(endpoint.requests) == 1


def test_a_rerun_with_nothing_but_hopeless_prompts_left_can_finish(ledger):
    prompts = [prompt(f"number {n}") for n in range(5)]
    with openai_faults.FaultyEndpoint(lambda number, text: "empty" if "3" in text else "ok") as endpoint:
        for _ in range(2):
            outcomes = written(writer_at(endpoint, ledger), prompts)
            assert [outcome.reason for outcome in outcomes] == ["ok", "ok", "ok", "empty-answer", "ok"]


def test_a_model_that_never_answers_is_an_error_and_not_a_pile_of_drops(ledger):
    silent = openai_faults.FaultyEndpoint(lambda number, text: "empty")
    with silent as endpoint, pytest.raises(EngineError, match="empty-answer"):
        written(writer_at(endpoint, ledger), [prompt(f"number {n}") for n in range(3)])


def test_the_budget_holds_and_what_was_paid_for_is_kept(ledger):
    prompts = [prompt(f"number {n}") for n in range(40)]
    with openai_faults.FaultyEndpoint() as endpoint:
        with pytest.raises(BudgetError, match="requests"):
            written(writer_at(endpoint, ledger, budget=BudgetSection(requests=12)), prompts)
        assert 0 < len(endpoint.requests) <= 12
        written(writer_at(endpoint, ledger), prompts)
        assert len(endpoint.requests) == 40


def test_items_are_read_as_they_are_needed(ledger):
    read = itertools.count()
    items = (prompt(f"number {next(read)}") for _ in range(10_000))
    with openai_faults.FaultyEndpoint() as endpoint:
        writer = writer_at(endpoint, ledger)
        results = write_all(items, writer.write, writer)
        next(results)
        results.close()
    assert next(read) <= 40


def test_a_conversation_asks_as_often_as_it_likes(ledger):
    async def converse(text: str) -> list[str | None]:
        first = await writer.write(prompt(text))
        return [first.text, (await writer.write(prompt(f"{first.text} again"))).text]

    with openai_faults.FaultyEndpoint() as endpoint:
        writer = writer_at(endpoint, ledger)
        talks = list(write_all(["a", "b"], converse, writer))
    assert talks == [["ao", "aoo againo"], ["bo", "boo againo"]]


def test_a_lone_surrogate_is_a_reason_and_sends_nothing(ledger):
    with openai_faults.FaultyEndpoint() as endpoint:
        (outcome,) = written(writer_at(endpoint, ledger), [prompt("a\ud800b")])
        assert (outcome.reason, endpoint.requests) == ("not-unicode", [])


@pytest.mark.parametrize("said", ['{"score": "high"}', '{"score": 3, "why": "x"}', "[3]", "no JSON", "{}"])
def test_an_answer_of_another_shape_is_malformed(said):
    found = parsed(Outcome(said), Score)
    assert isinstance(found, Outcome)
    assert found.reason == MALFORMED


def test_an_answer_of_its_shape_is_read_and_a_failure_stays_one():
    assert parsed(Outcome('{"score": 3}'), Score) == Score(score=3)
    truncated = Outcome(None, "truncated")
    assert parsed(truncated, Score) is truncated


@example(st.text(), st.integers(0, 3), st.none() | st.floats(0, 2))
def test_equal_prompts_have_equal_texts_and_others_do_not(text, sample, temperature):
    one = prompt(text, sample=sample, temperature=temperature)
    assert one.text() == prompt(text, sample=sample, temperature=temperature).text()
    assert one.text() != prompt(text, sample=sample + 1, temperature=temperature).text()
    assert one.text() != prompt(text + "x", sample=sample, temperature=temperature).text()


def test_the_writer_may_be_used_on_a_loop_of_ones_own(ledger):
    async def once() -> str | None:
        try:
            return (await writer.write(prompt("say"))).text
        finally:
            await writer.aclose()

    with openai_faults.FaultyEndpoint() as endpoint:
        writer = writer_at(endpoint, ledger)
        assert (asyncio.run(once()), asyncio.run(once())) == ("sayo", "sayo")
