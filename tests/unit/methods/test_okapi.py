"""Golden ranking pairs, worked out by hand (arXiv 2307.16039), against a real HTTP server."""

import pytest
from written_answers import TRANSLATED, Asked, WritingEndpoint, desk_at, row

from tongues.core.drops import Drop
from tongues.core.errors import PreflightError
from tongues.core.recipe import OkapiMethod
from tongues.core.records import Record
from tongues.methods.okapi import write

GIVEN_ES = "Es el océano Pacífico."
ROWS = [
    row("g1", "en", "Name the largest ocean.", "", "It is the Pacific Ocean."),
    row("g1", "es", "Nombra el océano más grande.", "", GIVEN_ES),
]
SAID = {
    1: ("Es el Atlántico.", "It is the Atlantic.", 2),
    2: ("El Pacífico, sin duda.", "The Pacific, no doubt.", 9),
    3: ("No lo sé.", "I do not know.", 1),
    4: ("Es el Pacífico.", "It is the Pacific.", 9),
}
POINTS = {english: points for _, english, points in SAID.values()} | {"It is the Pacific Ocean.": 10}


def scripted(said=SAID, points=POINTS):
    """A model that samples, translates and judges by a table."""

    def say(asked: Asked):
        if asked.is_translation:
            return next(english for spanish, english, _ in said.values() if spanish == asked.user)
        if not asked.system:
            return said[asked.seed][0]
        return {name: points[text] for name, text in asked.fields.items() if name != "question"}

    return say


def made(say, ledger, rows=ROWS, *, choose=None, lang="es", seed=1, **section):
    parsed = OkapiMethod.model_validate({"method": "okapi"} | section)
    with WritingEndpoint(say, choose) as endpoint:
        return list(write(parsed, desk_at(endpoint, ledger, rows, lang=lang, seed=seed))), endpoint


def test_okapi_record_is_the_best_answer_with_the_worst_beside_it(ledger):
    [record], endpoint = made(scripted(), ledger)
    assert [(m.role, m.lang, m.content) for m in record.messages] == [
        ("user", "es", "Nombra el océano más grande."),
        ("assistant", "es", "El Pacífico, sin duda."),
    ]
    assert record.meta == {
        "category": "cat",
        "rejected": "No lo sé.",
        "scores": "1:2,2:9,3:1,4:9",
        "chosen": "2",
    }
    assert (record.method, record.group, record.lang) == ("okapi", "g1", "es")
    assert [step.op for step in record.steps] == ["translate", "answer", "translate", "judge"]
    assert record.steps[0] == TRANSLATED
    sampled = [body for body in endpoint.requests if len(body["messages"]) == 1]
    assert sorted((body["seed"], body["temperature"]) for body in sampled) == [(n, 1.0) for n in (1, 2, 3, 4)]
    assert len(endpoint.requests) == 4 + 4 + 1


def test_the_judge_sees_english_and_an_order_that_says_nothing(ledger):
    orders = set()
    for seed in range(8):
        _, endpoint = made(scripted(), ledger, seed=seed)
        for asked in endpoint.asked:
            if asked.system and not asked.is_translation:
                assert asked.fields["question"] == "Name the largest ocean."
                orders.add(tuple(asked.fields[f"answer_{n}"] for n in (1, 2, 3, 4)))
    assert len(orders) > 3
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(e for _, e, _ in SAID.values()))}


def test_okapi_with_the_given_answer_chosen_judges_it_among_the_others(ledger):
    [record], _ = made(scripted(), ledger, chosen="given")
    assert (record.answer.content, record.meta["rejected"]) == (GIVEN_ES, "No lo sé.")
    assert (record.meta["scores"], record.meta["chosen"]) == ("given:10,1:2,2:9,3:1,4:9", "given")


@pytest.mark.parametrize(
    ("wishes", "points"),
    [({}, 5), ({"chosen": "given"}, 5), ({"margin": 9}, None)],
)
def test_okapi_without_a_preference_is_a_drop(ledger, wishes, points):
    say = scripted(points=dict.fromkeys(POINTS, points) if points else POINTS)
    [drop], _ = made(say, ledger, **wishes)
    assert (drop.lang, drop.reason, drop.where) == ("es", "no-preference", "g1")


def test_equal_answers_leave_no_preference_and_cost_no_judgement(ledger):
    [drop], endpoint = made(scripted(dict.fromkeys(range(1, 5), SAID[1])), ledger)
    assert (drop.reason, drop.detail) == ("no-preference", "all answers are the same")
    assert not any("points" in asked.system for asked in endpoint.asked)


def test_an_answer_in_another_language_is_neither_the_better_nor_the_worse(ledger):
    english = "I am afraid that I do not know which of all the oceans it is."
    [record], _ = made(scripted(SAID | {3: (english, "", 1)}), ledger)
    assert (record.meta["scores"], record.meta["rejected"]) == ("1:2,2:9,4:9", "Es el Atlántico.")


def test_okapi_with_fewer_than_two_answers_says_what_became_of_them(ledger):
    def choose(number: int, text: str) -> str:
        return "truncated" if '"seed": 1' in text else "empty" if '"seed": 2' in text else "ok"

    english = "I am afraid that I do not know which of all the oceans it is."
    [drop], _ = made(scripted(SAID | {3: (english, "", 1)}), ledger, choose=choose)
    assert (drop.reason, drop.detail) == ("too-few-answers", "1 empty-answer, 1 truncated, 1 wrong-language")


@pytest.mark.parametrize(
    "judged",
    ["no JSON", {"answer_1": 5}, {f"answer_{n}": 11 for n in (1, 2, 3, 4)},
     {f"answer_{n}": 5 for n in (1, 2, 3, 4, 5)}],
)  # fmt: skip
def test_a_malformed_judgement_is_a_drop(ledger, judged):
    say = scripted()
    [drop], _ = made(lambda a: judged if "points" in a.system else say(a), ledger)
    assert drop.reason == "malformed-answer"


def test_okapi_in_the_source_language_is_left_out_unless_asked_for(ledger):
    assert made(scripted(), ledger, lang="en")[0] == []
    say = scripted({n: (english, "", points) for n, (_, english, points) in SAID.items()})
    [record], endpoint = made(say, ledger, lang="en", english_rows=None)
    assert (record.method, record.answer.content) == ("okapi/english", "The Pacific, no doubt.")
    assert not any(asked.is_translation for asked in endpoint.asked)


def test_okapi_that_cannot_be_met_says_by_how_much_before_the_first_request(ledger):
    section = OkapiMethod(method="okapi", rows_per_language=3, english_rows=2)
    with WritingEndpoint(scripted()) as endpoint:
        with pytest.raises(PreflightError) as caught:
            write(section, desk_at(endpoint, ledger, ROWS, languages=("es", "gl")))
        assert endpoint.requests == []
    assert caught.value.problems == (
        "en: 2 rows are asked for, the store has 1: 1 too few",
        "es: 3 rows are asked for, the store has 1: 2 too few",
        "gl: 3 rows are asked for, the store has 0: 3 too few",
    )


def test_every_question_is_a_record_or_a_drop(ledger):
    rows = [row(f"g{n}", lang, f"{lang} {n}?") for n in range(30) for lang in ("en", "es")]
    results, _ = made(
        lambda asked: {f"answer_{n}": n for n in range(1, len(asked.fields))} if "points" in asked.system
        else f"{asked.user} {asked.seed}",
        ledger, rows, rows_per_language=20, choose=lambda number, text: "400" if number % 7 == 3 else "ok",
    )  # fmt: skip
    assert len(results) == 20
    assert {type(one) for one in results} <= {Record, Drop}
    assert len({getattr(one, "group", None) or one.where for one in results}) == 20
