"""What holds for every method that has its records written, whatever the model says."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from written_answers import Asked, WritingEndpoint, desk_at, passage, row

from tongues.core.drops import Drop
from tongues.core.errors import EngineError
from tongues.core.recipe import MethodSection
from tongues.core.records import RECORD_SCHEMA, Record
from tongues.core.shards import write_shards
from tongues.inference.ledger import Ledger
from tongues.methods import okapi, reverse, sdrrl

FILE = {"uri": "x", "dataset": "d", "licence": "CC0-1.0", "lang": "es"}
SECTIONS = {
    "sdrrl": {"method": "sdrrl", "translation": None},
    "reverse": {"method": "reverse", "passages": [FILE], "min_chars": 1, "min_diversity": 1},
    "okapi": {"method": "okapi", "answers": 3},
}
AUTHORS = {"sdrrl": sdrrl.write, "reverse": reverse.write, "okapi": okapi.write}
SPOKEN = [
    "El agua baja fría.",
    "Nadie lo vio llegar.",
    "مرحبا \u202eabc\u202c",
    "你好。",
    "e\u0301\u0327 a",
    "No\n\nsé",
]
hostile = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [*SPOKEN, "{}", '{"quality": 5}', "a\x00b", "\ufeff", "</s>", "word " * 400]
)
each = pytest.mark.parametrize("method", SECTIONS)


def spoken(asked: Asked):
    """A model that says something usable to everything, the same to the same."""
    pick = random.Random(repr(asked))
    if asked.is_translation or not asked.system:
        return f"{pick.choice(SPOKEN)} {pick.random()}"
    if "points" in asked.system:
        return {name: pick.randint(1, 10) for name in asked.fields if name != "question"}
    grades = {"quality": 5, "diversity": 5}
    return grades if "Grade" in asked.system else {"instruction": f"Ask away, {pick.random()}."}


def written(method: str, endpoint, ledger, rows, passages=(), *, seed=1) -> list[Record | Drop]:
    section = TypeAdapter(MethodSection).validate_python(SECTIONS[method])
    desk = desk_at(endpoint, ledger, rows, passages=passages, seed=seed)
    return list(AUTHORS[method](section, desk))


def items(count: int):
    rows = [row(f"g{n}", lang, f"{lang} ask {n}. And more.") for n in range(count) for lang in ("en", "es")]
    return rows, [passage(f"Texto número {n}, que alguien escribió.") for n in range(count)]


@pytest.mark.slow
@each
@settings(max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(
    questions=st.lists(st.tuples(hostile, hostile), min_size=3, max_size=5),
    answers=st.lists(hostile, min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_any_texts_and_answers_give_the_same_records_in_any_order_and_twice(
    method, questions, answers, order, tmp_path_factory
):
    rows = [
        row(f"g{n}", lang, f"{lang}{n} {text}", input)
        for n, (text, input) in enumerate(questions)
        for lang in ("en", "es")
    ]
    texts = [passage(f"Texto {n}: {text}") for n, (text, _) in enumerate(questions)]
    say = lambda asked: random.Random(repr(asked)).choice([*answers, spoken(asked)])  # noqa: E731
    folder = tmp_path_factory.mktemp("any")
    with WritingEndpoint(say) as endpoint:
        with Ledger(folder / "1.sqlite") as ledger:
            first = _outcome(method, endpoint, ledger, rows, texts)
            again = _outcome(method, endpoint, ledger, rows, texts)
        with Ledger(folder / "2.sqlite") as ledger:
            mixed = (order.sample(one, len(one)) for one in (rows, texts))
            assert _outcome(method, endpoint, ledger, *mixed) == first
    # Asked for nothing but what it never answers, a model counts as out of order.
    assert again in (first, EngineError.__name__)
    if isinstance(first, list):
        kept = [one for one in first if isinstance(one, Record)]
        write_shards(folder / "rows", RECORD_SCHEMA, (record.to_row() for record in kept))
        assert all(one.reason and one.where for one in first if isinstance(one, Drop))
        wanted = len(questions) * {"sdrrl": 4, "reverse": 1, "okapi": 1}[method]
        assert len(first) >= wanted


def _outcome(method, *args) -> list[Record | Drop] | str:
    """What was written; a model that never says anything is an error, and the same one."""
    try:
        return written(method, *args)
    except EngineError as error:
        return type(error).__name__


@pytest.mark.slow
@each
def test_an_endpoint_that_dies_is_an_error_and_what_it_answered_is_not_asked_again(method, ledger):
    answered = 11
    rows, texts = items(12)
    with WritingEndpoint(spoken) as whole, Ledger(ledger.path.with_name("whole.sqlite")) as other:
        expected = written(method, whole, other, rows, texts)
    dead = lambda number, text: "ok" if number < answered else "broken"  # noqa: E731
    with WritingEndpoint(spoken, dead) as endpoint:
        with pytest.raises(EngineError):
            written(method, endpoint, ledger, rows, texts)
        assert sum(endpoint.acknowledged.values()) == answered
        endpoint.choose = lambda number, text: "ok"
        assert written(method, endpoint, ledger, rows, texts) == expected
        assert set(endpoint.acknowledged.values()) == {1}
        asked = len(endpoint.requests)
        assert written(method, endpoint, ledger, rows, texts) == expected
        assert len(endpoint.requests) == asked


@each
@pytest.mark.parametrize("fault", ["empty", "truncated", "surrogate", "400"])
def test_a_fault_now_and_then_costs_the_items_it_meets_and_no_other(method, ledger, fault):
    rows, texts = items(10)
    with WritingEndpoint(spoken) as whole, Ledger(ledger.path.with_name("whole.sqlite")) as other:
        expected = written(method, whole, other, rows, texts)
    assert sum(isinstance(one, Record) for one in expected) >= len(expected) / 2
    struck = {text for number, text in enumerate(sorted(whole.acknowledged)) if number % 6 == 0}
    with WritingEndpoint(spoken, lambda number, text: fault if text in struck else "ok") as endpoint:
        results = written(method, endpoint, ledger, rows, texts)
    assert len(results) == len(expected)
    unlike = [one for one in results if one not in expected]
    assert 0 < len(unlike) < len(results)
    assert Counter(map(type, results))[Record] > 0


@pytest.mark.parametrize(
    ("method", "count"),
    [("sdrrl", "target_target"), ("reverse", "rows_per_language"), ("okapi", "rows_per_language")],
)
def test_languages_draw_for_themselves_and_a_smaller_number_is_a_part_of_a_larger_one(method, count, ledger):
    others = ("source_source", "source_target", "target_source", "switched", "translation")
    plain = {
        "sdrrl": dict.fromkeys(others, 0),
        "reverse": {"passages": [FILE, {**FILE, "lang": "ca"}]},
        "okapi": {},
    }
    rows, _ = items(20)
    rows += [replace(one, lang="ca") for one in rows if one.lang == "es"]
    texts = [passage(f"Texto {n}.", lang) for n in range(20) for lang in ("es", "ca")]

    def drawn(lang: str, number: int) -> set[str]:
        wishes = SECTIONS[method] | plain[method] | {count: number}
        section = TypeAdapter(MethodSection).validate_python(wishes)
        desk = desk_at(endpoint, ledger, rows, lang=lang, languages=("ca", "es"), passages=texts)
        return {one.where if isinstance(one, Drop) else one.group for one in AUTHORS[method](section, desk)}

    with WritingEndpoint(spoken) as endpoint:
        few, many, other = drawn("es", 3), drawn("es", 6), drawn("ca", 6)
    assert (len(few), len(many), len(other)) == (3, 6, 6)
    assert few < many != other
