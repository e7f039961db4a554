"""Language-agnostic data: what the sift takes out, and who gets which rows; from arXiv 2402.04588."""

import json
from collections import Counter

import interviews
import pytest
from interviewee import Interviewee

from tongues.core.drops import Drop
from tongues.core.errors import PreflightError
from tongues.core.recipe import UltraLinkMethod
from tongues.core.records import AlignedRow, Record, Step
from tongues.core.store import AlignedStore
from tongues.methods.registry import author, builder
from tongues.methods.sift import CRITERIA, RULES, Verdicts, found_by_rules
from tongues.methods.ultralink import build, write

STEP = Step("translate", "apertium", "en-es", "", "p")
PLAIN = "Explain how a person can sleep better at night."


def row(
    group: str, lang: str, ask: str, answer: str = "Keep calm and breathe.", category: str = ""
) -> AlignedRow:
    steps = () if lang == "en" else (STEP,)
    return AlignedRow(group, lang, ask, "", answer, (), category, interviews.SOURCE, steps, {}, None)


def store(chat: int = 20, math: int = 6, code: int = 4, langs=("en", "es", "ca")) -> AlignedStore:
    kinds = [("", chat), ("math", math), ("code", code)]
    return AlignedStore(
        [
            row(f"{kind or 'chat'}{n:03d}", lang, f"{lang}: {PLAIN} {n}", category=kind)
            for kind, number in kinds
            for n in range(number)
            for lang in langs
        ]
    )


def section(decider="rules", **agnostic) -> UltraLinkMethod:
    none = {"chat": 0, "math": 0, "code": 0}
    settings = {"decider": decider, "rows": none} | agnostic
    return UltraLinkMethod.model_validate({"method": "ultralink", "agnostic": settings})


def built(table: AlignedStore, parsed: UltraLinkMethod, seed: int = 1, languages=("es", "ca")):
    found = list(build(table, parsed, languages=languages, source_lang="en", seed=seed))
    return [r for r in found if isinstance(r, Record)], [d for d in found if isinstance(d, Drop)]


def test_each_language_draws_exactly_its_budget_and_another_subset():
    rows = {"chat": 8, "math": 3, "code": None}
    records, drops = built(store(), section(rows=rows, english_rows={"chat": 5, "math": 0, "code": 1}))
    counts = Counter((r.lang, r.meta["kind"]) for r in records)
    assert counts == {
        **{(lang, kind): n for lang in ("es", "ca") for kind, n in (("chat", 8), ("math", 3), ("code", 4))},
        **{("en", "chat"): 5, ("en", "code"): 1},
    }
    assert drops == []
    drawn = {
        lang: {r.group for r in records if r.lang == lang and r.meta["kind"] == "chat"}
        for lang in ("es", "ca")
    }
    assert drawn["es"] != drawn["ca"]
    assert {r.method for r in records if r.lang == "en"} == {"ultralink/english"}
    (one,) = [r for r in records if r.lang == "es" and r.group == "code000"]
    assert [m.content for m in one.messages] == [f"es: {PLAIN} 0", "Keep calm and breathe."]
    assert (one.method, one.steps) == ("ultralink/agnostic", (STEP,))


def test_a_larger_budget_keeps_the_rows_of_a_smaller_one_and_the_order_of_languages_is_nothing():
    few, _ = built(store(), section(rows={"chat": 5, "math": 0, "code": 0}))
    many, _ = built(store(), section(rows={"chat": 9, "math": 0, "code": 0}))
    other, _ = built(store(), section(rows={"chat": 5, "math": 0, "code": 0}), languages=("ca", "es"))
    seeded, _ = built(store(), section(rows={"chat": 5, "math": 0, "code": 0}), seed=2)
    assert {r.id for r in few} < {r.id for r in many}
    assert [r.id for r in few] == [r.id for r in other] != [r.id for r in seeded]


def test_subsets_are_drawn_independently():
    # Two independent draws of 100 of 200 share 50, give or take 3.5.
    records, _ = built(store(chat=200), section(rows={"chat": 100, "math": 0, "code": 0}))
    drawn = [{r.group for r in records if r.lang == lang} for lang in ("es", "ca")]
    assert abs(len(drawn[0] & drawn[1]) - 50) < 15


def test_what_is_short_is_said_by_how_much_per_language_and_kind():
    table = store(chat=10, math=2)
    with pytest.raises(PreflightError) as caught:
        built(table, section(rows={"chat": 12, "math": 3, "code": 4}))
    assert caught.value.where == "dataset.methods (ultralink)"
    assert caught.value.problems == (
        "chat: ca: 12 rows are asked for, the store has 10: 2 too few",
        "math: ca: 3 rows are asked for, the store has 2: 1 too few",
        "chat: es: 12 rows are asked for, the store has 10: 2 too few",
        "math: es: 3 rows are asked for, the store has 2: 1 too few",
    )
    with pytest.raises(PreflightError, match="gl: nothing is left"):
        built(table, section(rows={"chat": None, "math": None, "code": None}), languages=("gl",))


SIFTED = {
    "names": "Write a letter to Albert Einstein about his work.",
    "code": "What does `len(x)` give?",
    "places": "Plan a holiday in Portugal.",
    "customs": "Who wins an election?",
    "wordplay": "Write a haiku about rain.",
    "culture": "How do I fold a kimono?",
    "brands": "How do I delete a Facebook account?",
}


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_question_has_rules_that_find_it(criterion):
    found = found_by_rules(row("g", "en", SIFTED[criterion]))
    assert list(found) == [criterion]


@pytest.mark.parametrize(
    "plain",
    [
        PLAIN,
        "Sort these words by length: sun, river, mountain.",
        "Is it better to run in the morning or in the evening? Give two reasons.",
        "Give me ten names for a cat.",
    ],
)
def test_rules_find_nothing_in_rows_of_no_culture(plain):
    assert found_by_rules(row("g", "en", plain)) == {}


def test_sifted_rows_are_dropped_once_with_the_reason_and_math_and_code_are_not_sifted():
    odd = {
        **{f"s-{name}": text for name, text in SIFTED.items()},
        "url": "Read http://example.org now.",
        "x1": "Draw a line from x1 to x2.",
        "long": "word " * 50,
        "plain": PLAIN,
    }
    items = [row(g, lang, text) for g, text in odd.items() for lang in ("en", "es", "ca")]
    items += [
        row(f"{kind}{n}", lang, SIFTED["code"] + " at www.example.org", category=kind)
        for kind in ("math", "code")
        for n in range(2)
        for lang in ("en", "es", "ca")
    ]
    every = {"chat": None, "math": None, "code": None}
    records, drops = built(AlignedStore(items), section(rows=every, max_characters=200))
    assert Counter(r.group for r in records) == dict.fromkeys(
        ("plain", "math0", "math1", "code0", "code1"), 2
    )
    assert {drop.where: drop.reason for drop in drops} == {
        **{f"s-{name}": f"sift-{name}" for name in SIFTED},
        **{"url": "drop-pattern", "x1": "drop-pattern", "long": "too-long"},
    }
    assert {drop.lang for drop in drops} == {"en"}
    assert len(drops) == len(odd) - 1


def test_rules_read_english_only():
    with pytest.raises(PreflightError, match="the rules of the sift read English, the source is 'es'"):
        list(build(store(), section(), languages=("ca",), source_lang="es", seed=1))


def scores(**found: int) -> dict[str, object]:
    return {"analysis": "As it is.", **dict.fromkeys(CRITERIA, 0), **found}


def judged(endpoint, ledger, parsed, table, *, lang="en") -> list[Record | Drop]:
    desk = interviews.desk_at(endpoint.base_url, ledger, parsed, [], lang=lang, items=table)
    return list(write(parsed, desk))


def by_number(number: int, messages: list[dict[str, str]]) -> object:
    """A model that finds names in each third row, a place and a brand in row 1; row 2 it answers amiss."""
    at = int(json.loads(messages[-1]["content"])["instruction"].rsplit(" ", 1)[1])
    if at == 2:
        return "Total Score: 0"
    return scores(places=1, brands=1) if at == 1 else scores(names=int(at % 3 == 0))


@pytest.mark.slow
def test_a_model_judges_every_chat_row_once_and_only_zero_on_all_seven_stays(ledger):
    parsed = section("model", rows={"chat": None, "math": 2, "code": 0})
    with Interviewee(by_number) as endpoint:
        items = judged(endpoint, ledger, parsed, store())
        assert len(endpoint.requests) == 20
        assert judged(endpoint, ledger, parsed, store(), lang="es") == []
        again = judged(endpoint, ledger, parsed, store())
        assert len(endpoint.requests) == 20
    records = [item for item in items if isinstance(item, Record)]
    drops = {item.where: item for item in items if isinstance(item, Drop)}
    kept = {f"chat{n:03d}" for n in range(20) if n % 3 and n not in (1, 2)}
    assert {r.group for r in records if r.meta["kind"] == "chat"} == kept
    assert Counter(r.lang for r in records) == {"es": len(kept) + 2, "ca": len(kept) + 2}
    assert set(drops) == {f"chat{n:03d}" for n in range(20)} - kept
    assert drops["chat001"].reason == "sift-places"
    assert drops["chat001"].detail == "places, brands: As it is."
    assert drops["chat002"].reason == "malformed-answer"
    assert interviews.dumped(items) == interviews.dumped(again)
    # The verdict is a step of chat rows; math and code were not judged.
    assert {r.meta["kind"]: [s.op for s in r.steps] for r in records} == {
        "chat": ["translate", "sift"],
        "math": ["translate"],
    }
    request = endpoint.requests[0]
    assert request["messages"][0]["content"] == RULES
    assert request["response_format"]["json_schema"]["schema"] == Verdicts.model_json_schema()


def test_too_few_rows_are_said_before_the_model_is_asked_and_after_it_has_judged(ledger):
    with Interviewee(by_number) as endpoint:
        with pytest.raises(
            PreflightError, match="chat: ca: 30 rows are asked for, the store has 20: 10 too few"
        ):
            judged(endpoint, ledger, section("model", rows={"chat": 30, "math": 0, "code": 0}), store())
        assert endpoint.requests == []
        with pytest.raises(
            PreflightError, match="chat: es: 15 rows are asked for, the store has 11: 4 too few"
        ):
            judged(endpoint, ledger, section("model", rows={"chat": 15, "math": 0, "code": 0}), store())
        paid = len(endpoint.requests)
        items = judged(endpoint, ledger, section("model", rows={"chat": 11, "math": 0, "code": 0}), store())
        assert len(endpoint.requests) == paid == 20
    assert Counter(item.lang for item in items if isinstance(item, Record)) == {"es": 11, "ca": 11}


def test_the_registry_has_ultralink_write_only_where_a_model_is_needed():
    dialogues = interviews.section_of()
    assert builder("ultralink") is build
    assert author(section("rules")) is None
    assert author(section("model")) is write
    assert author(dialogues) is write
    assert list(build(store(), dialogues, languages=("es",), source_lang="en", seed=1)) == []
    assert list(build(store(), section("model"), languages=("es",), source_lang="en", seed=1)) == []
