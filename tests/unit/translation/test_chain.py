"""Rows down a chain of engines: escalated with a reason, rescued or dropped, within a budget, or replayed."""

import json
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_faults import FaultyEndpoint, translation_of

from tongues.core.drops import Drop
from tongues.core.errors import BudgetError, EngineError
from tongues.core.ports import Verdict
from tongues.core.recipe import BudgetSection, PriceSection, SelectionSection, TranslationSection
from tongues.core.records import AlignedRow, Source, SourceRow
from tongues.data.spans import SpanProtector
from tongues.inference.budget import Budget
from tongues.inference.ledger import Ledger
from tongues.inference.spending import Spent
from tongues.translation.chain import build_chain
from tongues.translation.counts import Counts
from tongues.translation.selection import Decision, Selector
from tongues.translation.translate import translate_rows

PROTECTOR = SpanProtector()


def run(rows, engine, ledger, *, seen=lambda item: None, **more):
    counts = more.setdefault("counts", Counts())
    how = {"source_lang": "en", "target_lang": "es", "ledger": ledger, "protector": PROTECTOR}
    items = []
    for item in translate_rows(rows, engine=engine, **how, **more):
        seen(item)
        items.append(item)
    return items, counts


def rejecting(word):
    def check(source, translated, source_lang, target_lang):
        return Verdict("word", word not in source, f"has-{word}", "seen")

    return check


def test_chain_gives_failed_rows_alone_to_the_next_engine(connect, ledger, make_row):
    rows = [make_row(f"{'Bad' if i % 4 == 0 else 'Good'} row {i}", f"Fine {i}") for i in range(12)]
    with (
        FaultyEndpoint(lambda n, text: "400" if text.startswith("Bad") else "ok") as cheap,
        FaultyEndpoint() as dear,
    ):
        large = connect(dear, model="loopback-large")
        items, counts = run(rows, connect(cheap), ledger, escalate_to=[large])
    assert [item.group for item in items] == [row.group for row in rows]
    assert all(isinstance(item, AlignedRow) for item in items)
    assert {i for i, item in enumerate(items) if item.steps[0].model == "loopback-large"} == {0, 4, 8}
    assert set(dear.texts) == {f"{kind} {i}" for i in (0, 4, 8) for kind in ("Bad row", "Fine")}
    assert counts.escalated == counts.rescued == {"refused-by-endpoint": 3}
    tried = [(engine.rows_tried, engine.rows_kept) for engine in counts.engines]
    assert tried == [(12, 9), (3, 3)]
    told = json.loads(json.dumps(counts.observed()))
    assert told["escalated"] == told["rescued"] == {"refused-by-endpoint": 3}
    assert [engine["failures"] for engine in told["engines"]] == [{"refused-by-endpoint": 3}, {}]


def test_chain_drop_has_the_reason_of_the_last_engine(connect, ledger, make_row):
    with FaultyEndpoint(lambda n, text: "empty") as cheap, FaultyEndpoint(lambda n, t: "400") as dear:
        rows = [make_row("One row", "Yes")] + [make_row(f"Row {i}", "No") for i in range(2)]
        cheap.choose = lambda n, text: "empty" if text == "One row" else "ok"
        items, counts = run(rows, connect(cheap), ledger, escalate_to=[connect(dear, model="large")])
    assert (items[0].reason, items[0].lang, items[0].where) == ("refused-by-endpoint", "es", rows[0].group)
    assert (dict(counts.escalated), dict(counts.rescued)) == ({"empty-answer": 1}, {})
    assert counts.lost_in_passing == 1


def test_chain_escalates_what_a_check_refuses_and_what_scores_low(connect, ledger, make_row):
    rows = [make_row("Plain words", "Yes"), make_row("Odd words", "Yes"), make_row("Poor words", "Yes")]
    with FaultyEndpoint() as cheap, FaultyEndpoint() as dear:
        seen = []

        def score(source, translated, source_lang, target_lang):
            seen.append(source)
            return 0.2 if "Poor" in source and seen.count(source) == 1 else 0.9

        items, counts = run(
            rows,
            connect(cheap),
            ledger,
            escalate_to=[connect(dear, model="large")],
            checks=[rejecting("Odd")],
            score=score,
            min_quality=0.6,
        )
    assert dict(counts.escalated) == {"has-Odd": 1, "low-quality": 1}
    assert dict(counts.rescued) == {"low-quality": 1}
    assert isinstance(items[1], Drop) and items[1].detail.startswith("openai: instruction: seen")
    assert [items[0].steps[0].model, items[2].steps[0].model] == ["loopback-translator", "large"]
    assert items[2].quality == pytest.approx(0.9)


def test_chain_resumes_without_asking_either_engine_again(connect, ledger, make_row):
    rows = [make_row(f"{'Bad' if i % 2 else 'Good'} row {i}", "Yes") for i in range(10)]
    with (
        FaultyEndpoint(lambda n, text: "truncated" if text.startswith("Bad") else "ok") as cheap,
        FaultyEndpoint() as dear,
    ):
        how = {"escalate_to": [connect(dear, model="large")]}
        first, _ = run(rows, connect(cheap), ledger, **how)
        asked = len(cheap.requests), len(dear.requests)
        second, counts = run(rows, connect(cheap), ledger, **how)
        assert (len(cheap.requests), len(dear.requests)) == asked
    assert second == first and counts.sent == 0


def test_chain_leaves_out_engines_that_lack_the_pair():
    section = TranslationSection.model_validate(
        {
            "engine": {"kind": "apertium"},
            "escalate_to": [
                {"kind": "openai", "model": "m", "endpoints": [{"base_url": "http://127.0.0.1:9/v1"}]}
            ],
        }
    )
    assert [engine.name for engine in build_chain(section, "en", "th")] == ["openai"]


def test_decision_says_what_stays_and_what_is_skipped(connect, ledger, make_row):
    rows = [
        make_row("Translate it", "Bonjour", input="Good morning to all"),
        make_row("Write a limerick", "There was"),
        make_row("Say hello", "Hello"),
    ]
    decisions = {
        rows[0].group: Decision(frozenset({"instruction"}), decided_by="rule:translation"),
        rows[1].group: Decision(frozenset(), skip="it rhymes", decided_by="rule:verse"),
        rows[2].group: Decision(frozenset({"instruction", "output"}), protect=("hello",), decided_by="row"),
    }
    with FaultyEndpoint() as endpoint:
        items, counts = run(rows, connect(endpoint), ledger, decide=lambda row: decisions[row.group])
    assert (items[0].input, items[0].output) == ("Good morning to all", "Bonjour")
    assert items[0].instruction == translation_of("Translate it")
    assert items[0].verdicts["selection"] == "rule:translation: kept input, output"
    assert (items[1].reason, items[1].detail) == ("bound-to-language", "it rhymes")
    assert "hello" in items[2].instruction.split() and "hello" in items[2].protect
    assert counts.rows == 3


def test_rules_reach_translation_through_the_selector(connect, ledger, make_row):
    section = SelectionSection.model_validate(
        {
            "decider": "rules",
            "rules": [{"name": "keep-answers", "pattern": "^Spell", "output": "keep"}],
            "shipped_rules": False,
        }
    )
    with FaultyEndpoint() as endpoint:
        (item,), _ = run(
            [make_row("Spell the word", "W O R D")],
            connect(endpoint),
            ledger,
            decide=Selector(section).decide,
        )
    assert item.output == "W O R D" and item.instruction == translation_of("Spell the word")


def test_replay_answers_from_the_ledger_and_fails_on_a_miss(connect, ledger, make_row):
    rows = [make_row("Known row", "Yes"), make_row("Unknown row", "Yes")]
    with FaultyEndpoint() as endpoint:
        known, _ = run(rows[:1], connect(endpoint), ledger)
        asked = len(endpoint.requests)
        assert run(rows[:1], connect(endpoint), ledger, replay_only=True)[0] == known
        with pytest.raises(EngineError, match=r"replay only.*'Unknown row'"):
            run(rows, connect(endpoint), ledger, replay_only=True)
        assert len(endpoint.requests) == asked


def test_unordered_rows_leave_as_they_get_done(connect, ledger, make_row):
    rows = [make_row(f"Row {i}", f"Answer {i}") for i in range(20)]
    another_left = threading.Event()

    def answer(number, text):
        return "ok" if text != "Row 0" or another_left.wait(60) else "400"

    with FaultyEndpoint(answer) as endpoint:
        items, _ = run(rows, connect(endpoint), ledger, ordered=False, seen=lambda _: another_left.set())
    assert items[0].group != rows[0].group
    assert all(isinstance(item, AlignedRow) for item in items)
    assert {item.group for item in items} == {row.group for row in rows}


def test_budget_stops_cleanly_and_more_of_it_goes_on_from_there(connect, ledger, make_row):
    rows = [make_row(f"Row {i}", f"Answer {i}") for i in range(30)]
    with FaultyEndpoint() as endpoint:

        def go(limit):
            budget = Budget(BudgetSection(requests=limit), spent=ledger.spent("job"), account="job")
            return run(rows, connect(endpoint, retries=0), ledger, budget=budget)

        with pytest.raises(BudgetError, match=r"translation\.budget\.requests.*Fix: raise it"):
            go(25)
        assert len(endpoint.requests) == 25 == ledger.spent("job").requests == len(ledger)
        with pytest.raises(BudgetError):  # what was spent before counts
            go(25)
        assert len(endpoint.requests) == 25
        items, counts = go(60)
    assert len(endpoint.requests) == 60 and counts.sent == 35
    assert all(isinstance(item, AlignedRow) for item in items)
    assert set(endpoint.acknowledged.values()) == {1}


def test_cost_is_counted_by_the_recipes_prices(connect, ledger, make_row):
    price = PriceSection(per_million_prompt_tokens=1.0, per_million_completion_tokens=2.0)
    with FaultyEndpoint() as endpoint:
        _, counts = run([make_row("One row", "Yes")], connect(endpoint, price=price), ledger)
    spent = counts.engines[0]
    assert spent.prompt_tokens > 0 < spent.completion_tokens
    assert counts.cost == pytest.approx((spent.prompt_tokens + 2 * spent.completion_tokens) / 1e6)
    assert ledger.spent("") == Spent() or ledger.spent("").requests == 2


FAULTS = ("ok", "ok", "ok", "400", "empty", "truncated", "lost-mark", "500", "added-lines")


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(0, 25), ordered=st.booleans())
def test_rows_in_are_rows_out_plus_rows_dropped_whatever_fails(tmp_path_factory, seed, rows, ordered):
    from tongues.core.recipe import EndpointSection, OpenAIEngine
    from tongues.translation.openai_chat import OpenAIChat

    def engine(endpoint, model):
        section = OpenAIEngine(
            kind="openai", endpoints=(EndpointSection(base_url=endpoint.base_url),), model=model, retries=0
        )
        return OpenAIChat(section, first_wait_s=0.001)

    source = Source("tests", "1", "tests:1", "Apache-2.0")
    texts = [
        SourceRow.create(instruction=f"Ask `{i}` of all", input="", output=f"Word {i % 3}", source=source)
        for i in range(rows)
    ]

    # A fault belongs to a text, as it does in life, and every fifth text is well with every engine.
    def choose(n, text):
        well = sum(map(ord, text)) % 5 == 0
        return "ok" if well else random.Random(f"{seed} {text}").choice(FAULTS)

    folder = tmp_path_factory.mktemp("ledger")
    with FaultyEndpoint(choose) as cheap, FaultyEndpoint() as dear, Ledger(folder / "l.sqlite") as ledger:
        items, counts = run(
            texts, engine(cheap, "small"), ledger, escalate_to=[engine(dear, "large")], ordered=ordered
        )
    assert len(items) == counts.rows == rows
    assert all(isinstance(item, AlignedRow) for item in items)
    first, second = counts.engines
    assert first.rows_tried == rows == first.rows_kept + second.rows_kept
    assert counts.escalated.total() == second.rows_tried == counts.rescued.total()
