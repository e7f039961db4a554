"""Rows through the whole loop, over HTTP: every row kept or dropped with a reason, nothing paid twice."""

import asyncio
from collections import Counter

import pytest
from openai_faults import FaultyEndpoint

from tongues.core.drops import Drop
from tongues.core.errors import EngineError
from tongues.core.ports import Verdict
from tongues.core.recipe import PriceSection
from tongues.core.records import AlignedRow
from tongues.data.spans import SpanProtector
from tongues.inference.engine import Outcome, failed
from tongues.inference.ledger import Ledger
from tongues.inference.spending import Spent
from tongues.translation.counts import Counts
from tongues.translation.plan import estimate, measure_rate, sample_requests
from tongues.translation.translate import translate_rows

PROTECTOR = SpanProtector()
WORDS = ("house", "river", "green", "seven", "table", "paper", "lamp", "stone")


@pytest.fixture
def many_rows(make_row):
    def make(count: int):
        return [
            make_row(f"Tell me about {WORDS[i % 8]} number {i}.", f"It is {WORDS[-i % 8]}.")
            for i in range(count)
        ]

    return make


def run(rows, engine, ledger, **more):
    counts = more.setdefault("counts", Counts())
    items = list(
        translate_rows(
            rows,
            engine=engine,
            source_lang="en",
            target_lang="es",
            ledger=ledger,
            protector=PROTECTOR,
            **more,
        )
    )
    return items, counts


def test_translate_rows_come_out_in_order_with_all_they_came_with(connect, ledger, many_rows):
    rows = many_rows(40)
    # Later requests are answered sooner, so answers arrive out of order.
    with FaultyEndpoint(lambda n, text: endpoint.closing.wait(0.05 / (n + 1)) or "ok") as endpoint:
        items, counts = run(rows, connect(endpoint), ledger)
    assert [item.group for item in items] == [row.group for row in rows]
    assert all(isinstance(item, AlignedRow) for item in items)
    assert {(i.lang, i.steps[0].engine, i.steps[0].op, i.source.licence) for i in items} == {
        ("es", "openai", "translate", "Apache-2.0")
    }
    assert counts.rows == 40


def test_translate_text_is_what_the_endpoint_said_around_what_is_protected(connect, ledger, make_row):
    row = make_row(
        "Please open https://example.org/a?b=1 and run `ls -l`",
        output="- one\n\n\t- **two** {name}\n",
        input="",
    )
    with FaultyEndpoint() as endpoint:
        ((item,), _) = run([row], connect(endpoint), ledger)
    assert item.instruction == "Pleaseo openo https://example.org/a?b=1 ando runo `ls -l`"
    assert item.input == ""
    assert item.output.startswith("- oneo\n\n\t- ")
    assert item.output.endswith("{name}\n")
    assert {"https://example.org/a?b=1", "`ls -l`", "{name}"} <= set(item.protect)


def test_translate_second_run_sends_nothing_and_gives_the_same(connect, ledger, many_rows):
    rows = many_rows(30)
    with FaultyEndpoint() as endpoint:
        first, _ = run(rows, connect(endpoint), ledger)
        sent = len(endpoint.requests)
        second, counts = run(rows, connect(endpoint), ledger)
        assert len(endpoint.requests) == sent
    assert second == first
    assert (counts.sent, counts.requests, counts.ledger_hits) == (0, 0, counts.engines[0].segments)


def test_translate_equal_segments_are_sent_once(connect, ledger, make_row):
    rows = [make_row("Say the same thing.", f"Yes\nNo\nNumber {i} it is") for i in range(20)]
    with FaultyEndpoint(latency_s=0.02) as endpoint:
        _, counts = run(rows, connect(endpoint), ledger)
    assert max(Counter(endpoint.texts).values()) == 1
    assert counts.sent + counts.engines[0].shared + counts.ledger_hits == counts.engines[0].segments == 20 * 4


def test_translate_nothing_to_translate_costs_nothing(connect, ledger, make_row):
    row = make_row("`print(1)`", "42\n\n- 7 %\n", input="https://example.org")
    with FaultyEndpoint() as endpoint:
        ((item,), counts) = run([row], connect(endpoint), ledger, checks=[_reject_all])
        assert endpoint.requests == []
    assert (item.instruction, item.input, item.output) == (row.instruction, row.input, row.output)
    assert counts.engines[0].segments == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "http-500"),
        ("empty", "empty-answer"),
        ("html", "error-page"),
        ("half-json", "broken-json"),
        ("broken", "connection"),
        ("hang", "timeout"),
        ("truncated", "truncated"),
        ("lost-mark", "span-lost"),
    ],
)
def test_translate_failed_segment_drops_its_row_with_the_reason(connect, ledger, make_row, fault, reason):
    rows = [make_row(f"Good row {i}", f"Fine {i}") for i in range(6)]
    rows.insert(3, make_row("Bad row with `a` mark", "Fine"))
    with FaultyEndpoint(lambda n, text: fault if text.startswith("Bad") else "ok") as endpoint:
        items, _ = run(rows, connect(endpoint, timeout_s=0.5, retries=1), ledger)
    drop = items.pop(3)
    assert isinstance(drop, Drop)
    assert (drop.reason, drop.where, drop.lang) == (reason, rows[3].group, "es")
    assert drop.text
    assert drop.detail.startswith("openai: instruction: ")
    assert [item.group for item in items] == [row.group for row in rows[:3] + rows[4:]]
    assert all(text.strip() for item in items for text in (item.instruction, item.output))


def test_translate_passing_failure_is_tried_again_by_the_next_run(connect, ledger, make_row):
    rows = [make_row("One good row", "Yes"), make_row("One bad row", "No")]
    with FaultyEndpoint(lambda n, text: "500" if "bad" in text else "ok") as endpoint:
        first, _ = run(rows, connect(endpoint, retries=0), ledger)
        endpoint.choose = lambda n, text: "ok"
        second, counts = run(rows, connect(endpoint), ledger)
    assert [type(item) for item in first] == [AlignedRow, Drop]
    assert [type(item) for item in second] == [AlignedRow, AlignedRow]
    assert counts.sent == 1


def test_translate_cut_off_answer_is_not_paid_for_twice(connect, ledger, make_row):
    rows = [make_row("A row that is too long", "Yes")]
    with FaultyEndpoint(lambda n, text: "truncated" if "long" in text else "ok") as endpoint:
        first, _ = run(rows, connect(endpoint), ledger)
        second, counts = run(rows, connect(endpoint), ledger)
    assert first == second
    assert (first[0].reason, counts.sent) == ("truncated", 0)


def test_translate_endpoint_that_dies_stops_the_run_and_keeps_what_was_paid(connect, ledger, many_rows):
    rows = many_rows(200)
    with FaultyEndpoint(lambda n, text: "ok" if n < 100 else "500") as endpoint:
        with pytest.raises(EngineError, match=r"http-500.*Fix: .*run again"):
            run(rows, connect(endpoint, retries=0), ledger)
        paid = len(ledger)
        assert paid == endpoint.acknowledged.total() == 100
        endpoint.choose = lambda n, text: "ok"
        items, _ = run(rows, connect(endpoint), ledger)
    assert all(isinstance(item, AlignedRow) for item in items)
    assert set(endpoint.acknowledged.values()) == {1}


def test_translate_few_rows_that_all_fail_are_no_success(connect, ledger, many_rows):
    with FaultyEndpoint(lambda n, text: "503") as endpoint, pytest.raises(EngineError, match="http-503"):
        run(many_rows(2), connect(endpoint, retries=0), ledger)


def test_translate_wrong_key_stops_at_once(connect, ledger, many_rows):
    with FaultyEndpoint(lambda n, text: "401") as endpoint:
        with pytest.raises(EngineError, match="wrong key"):
            run(many_rows(300), connect(endpoint, concurrency=4), ledger)
        assert len(endpoint.requests) <= 8


def test_translate_concurrency_is_kept_and_used(connect, ledger, many_rows):
    with FaultyEndpoint(latency_s=0.03) as endpoint:
        run(many_rows(60), connect(endpoint, concurrency=6), ledger)
    assert endpoint.most_in_flight == 6


def test_translate_reads_a_window_of_rows_not_all(connect, ledger, many_rows):
    rows, read = many_rows(2_000), Counter()

    def source():
        for row in rows:
            read["rows"] += 1
            yield row

    with FaultyEndpoint() as endpoint:
        out = translate_rows(
            source(),
            engine=connect(endpoint),
            source_lang="en",
            target_lang="es",
            ledger=ledger,
            protector=PROTECTOR,
        )
        next(out)
        assert read["rows"] <= 256
        out.close()
    assert len(endpoint.requests) < 1_000


def test_translate_lone_surrogate_is_a_drop(connect, ledger, make_row):
    with FaultyEndpoint() as endpoint:
        items, _ = run([make_row("Bad \ud800 text"), make_row("Good text")], connect(endpoint), ledger)
    assert (items[0].reason, type(items[1])) == ("not-unicode", AlignedRow)
    items[0].to_row()["text"].encode()


@pytest.mark.parametrize(
    "text",
    [
        "A\0B and C",
        "right \u202eto left\u202c",
        "family 👨\u200d👩\u200d👧 here",
        "x" * 1_000_000,
        "ok\x1b[0m go",
    ],
)
def test_translate_hostile_text_keeps_its_shape(connect, ledger, make_row, text):
    with FaultyEndpoint() as endpoint:
        ((item,), _) = run([make_row(text)], connect(endpoint), ledger)
    assert isinstance(item, AlignedRow)
    assert item.instruction.replace("o", "") == text.replace("o", "")


def _reject_all(source, translated, source_lang, target_lang):
    return Verdict("all", False, "rejected", "on principle")


def test_translate_check_that_fails_drops_the_row(connect, ledger, make_row):
    with FaultyEndpoint() as endpoint:
        ((item,), _) = run([make_row("One row", "Yes")], connect(endpoint), ledger, checks=[_reject_all])
    assert (item.reason, item.text) == ("rejected", "Oneo rowo")
    assert item.detail == "openai: instruction: on principle"


def test_translate_checks_see_the_texts_without_spans_and_soft_verdicts_are_kept(connect, ledger, make_row):
    seen = []

    def check(source, translated, source_lang, target_lang):
        seen.append((source, translated, source_lang, target_lang))
        return Verdict("soft", True, "unsure" if "Short" in source else "ok")

    row = make_row("Open `x` now", "Short", input="")
    with FaultyEndpoint() as endpoint:
        ((item,), _) = run([row], connect(endpoint), ledger, checks=[check])
    assert [(s.split(), t.split(), a, b) for s, t, a, b in seen] == [
        (["Open", "now"], ["Openo", "nowo"], "en", "es"),
        (["Short"], ["Shorto"], "en", "es"),
    ]
    assert item.verdicts == {"soft": "unsure"}


class _Recorder:
    def __init__(self):
        self.done = 0

    def advance(self, done=1, **facts):
        self.done += done
        self.facts = facts


def test_translate_progress_counts_rows(connect, ledger, many_rows):
    progress = _Recorder()
    with FaultyEndpoint() as endpoint:
        run(many_rows(12), connect(endpoint), ledger, progress=progress)
    assert progress.done == 12
    assert progress.facts["sent"] > 0


def test_estimate_is_exactly_what_is_then_sent(connect, ledger, many_rows):
    rows = many_rows(25)
    how = {"source_lang": "en", "target_lang": "es", "ledger": ledger, "protector": PROTECTOR}
    with FaultyEndpoint() as endpoint:
        run(rows[:10], connect(endpoint), ledger)
        before = len(endpoint.requests)
        plan = estimate(rows, engine=connect(endpoint), **how)
        _, counts = run(rows, connect(endpoint), ledger)
        assert len(endpoint.requests) - before == plan.requests == counts.sent
    assert (plan.rows, plan.segments) == (counts.rows, counts.engines[0].segments)
    assert plan.in_ledger == before
    assert estimate(rows, engine=connect(endpoint), **how).requests == 0


def test_measure_rate_is_of_the_endpoint_and_gives_the_time(connect, ledger, many_rows):
    with FaultyEndpoint(latency_s=0.05) as endpoint:
        engine = connect(endpoint, concurrency=4)
        sample = sample_requests(many_rows(50), engine=engine, protector=PROTECTOR, count=33)
        assert len(sample) == len(set(sample)) == 33
        rate = measure_rate(engine, sample, source_lang="en", target_lang="es", ledger=ledger)
        plan = estimate(
            many_rows(50),
            engine=engine,
            source_lang="en",
            target_lang="es",
            ledger=ledger,
            protector=PROTECTOR,
        )
    # 32 requests, 4 at a time, 50 ms each: at best 80 a second.
    assert 5 < rate.segments_per_s <= 80
    assert (rate.segments, rate.failed, plan.in_ledger) == (32, 0, 33)
    assert plan.seconds(rate) == pytest.approx(plan.characters_to_send / rate.characters_per_s)


def test_outcome_of_an_engine_that_gives_too_few_stops_the_run(ledger, make_row):
    class Short:
        name, batch_segments, concurrency, requests_sent = "short", 8, 1, 0
        unit, max_characters, price = "segment", None, PriceSection()

        def at_most(self, texts):
            return Spent(requests=1)

        def step(self, source, target):
            from tongues.core.records import Step

            return Step("translate", "short", "1", "", "")

        async def answer(self, texts, source, target):
            await asyncio.sleep(0)
            return [Outcome("uno")]

        async def aclose(self):
            pass

    with pytest.raises(ValueError, match="shorter"):
        run([make_row("One row", "Two rows")], Short(), ledger)
    assert len(ledger) == 0


def test_failed_detail_is_short_and_text_is_none():
    outcome = failed("timeout", "x" * 9_999)
    assert (outcome.text, len(outcome.detail), outcome.keeps) == (None, 500, False)


def test_ledger_on_two_languages_does_not_mix(connect, tmp_path, make_row):
    with FaultyEndpoint() as endpoint, Ledger(tmp_path / "l.sqlite") as ledger:
        for lang in ("es", "ca"):
            items = list(
                translate_rows(
                    [make_row("One row", "Yes")],
                    engine=connect(endpoint),
                    source_lang="en",
                    target_lang=lang,
                    ledger=ledger,
                    protector=PROTECTOR,
                )
            )
            assert items[0].lang == lang
        assert len(endpoint.requests) == len(ledger) == 4
