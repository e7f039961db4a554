"""Golden self-distillation pairs, worked out by hand (arXiv 2402.12204), against a real HTTP server."""

from collections import Counter

import pytest
from pydantic import ValidationError
from written_answers import TRANSLATED, Asked, WritingEndpoint, desk_at, row

from tongues.core.drops import Drop
from tongues.core.errors import PreflightError
from tongues.core.recipe import SdrrlMethod
from tongues.core.records import Record
from tongues.core.store import AlignedStore
from tongues.methods.registry import author, builder
from tongues.methods.sdrrl import build, write
from tongues.methods.switching import switched

OPPOSITE = [
    row("g1", "en", "Write a sentence with the opposite meaning.", "The street was full.", "It was empty."),
    row("g1", "es", "Escribe una frase con el significado opuesto.", "La calle estaba llena.", "Vacía."),
]
ASKED = "Write a sentence with the opposite meaning.\nThe street was full."
ASKED_ES = "Escribe una frase con el significado opuesto.\nLa calle estaba llena."
OWN = "Nobody at all was to be seen in the whole of the long street."
OWN_ES = "No se veía absolutamente a nadie en toda la larga calle."
FOUR = {"switched": 0}


def teacher(asked: Asked) -> str:
    return {ASKED: OWN, OWN: OWN_ES}[asked.user]


def made(endpoint, ledger, rows=OPPOSITE, *, lang="es", languages=("es",), seed=1, **section):
    parsed = SdrrlMethod.model_validate({"method": "sdrrl"} | section)
    return list(write(parsed, desk_at(endpoint, ledger, rows, lang=lang, languages=languages, seed=seed)))


def turns(record: Record) -> list[tuple[str, str]]:
    return [(message.lang, message.content) for message in record.messages]


def test_sdrrl_pairs_both_questions_with_the_models_own_answer_and_its_translation(ledger):
    with WritingEndpoint(teacher) as endpoint:
        records = made(endpoint, ledger, **FOUR)
        assert [(asked.is_translation, asked.user) for asked in endpoint.asked] == [
            (False, ASKED),
            (True, OWN),
        ]
        assert endpoint.asked[0].system == ""
        assert "from English into Spanish" in endpoint.asked[1].system
    assert {record.method: turns(record) for record in records} == {
        "sdrrl/source-source": [("en", ASKED), ("en", OWN)],
        "sdrrl/source-target": [("en", ASKED), ("es", OWN_ES)],
        "sdrrl/target-source": [("es", ASKED_ES), ("en", OWN)],
        "sdrrl/target-target": [("es", ASKED_ES), ("es", OWN_ES)],
    }
    assert {record.group for record in records} == {"g1"}
    done = {record.method: [step.op for step in record.steps] for record in records}
    assert done["sdrrl/source-source"] == ["answer"]
    assert done["sdrrl/target-target"] == ["translate", "answer", "translate"]
    answered, moved = records[-1].steps[1:]
    assert (records[-1].steps[0], answered.prompt_sha256) == (TRANSLATED, "")
    assert len(moved.prompt_sha256) == 64


def test_sdrrl_with_given_answers_asks_nobody_and_crosses_the_stores_own():
    section = SdrrlMethod(method="sdrrl", answers="given", **FOUR)
    assert author(section) is None
    records = list(build(AlignedStore(OPPOSITE), section, languages=("es",), source_lang="en", seed=1))
    assert [turns(record)[1] for record in records] == [
        ("en", "It was empty."), ("es", "Vacía."), ("en", "It was empty."), ("es", "Vacía."),
    ]  # fmt: skip
    assert [record.steps for record in records] == [(), (TRANSLATED,), (TRANSLATED,), (TRANSLATED,)]


def test_sdrrl_with_own_answers_is_written_and_not_built():
    section = SdrrlMethod(method="sdrrl")
    assert author(section) is write
    assert builder("sdrrl") is build
    assert list(build(AlignedStore(OPPOSITE), section, languages=("es",), source_lang="en", seed=1)) == []


def test_sdrrl_has_nothing_to_write_at_the_source_languages_turn(ledger):
    with WritingEndpoint(teacher) as endpoint:
        assert (made(endpoint, ledger, lang="en"), endpoint.requests) == ([], [])


def test_sdrrl_mixes_sentences_of_both_questions_and_answers_in_one_of_the_two(ledger):
    section = dict.fromkeys(("source_source", "source_target", "target_source", "target_target"), 0)
    with WritingEndpoint(teacher) as endpoint:
        seen = Counter(turns(made(endpoint, ledger, seed=seed, **section)[0])[0][1] for seed in range(20))
        langs = {made(endpoint, ledger, seed=seed, **section)[0].lang for seed in range(20)}
    assert set(seen) == {
        "Write a sentence with the opposite meaning.\nLa calle estaba llena.",
        "Escribe una frase con el significado opuesto.\nThe street was full.",
    }
    assert langs == {"en", "es"}


@pytest.mark.parametrize(("share", "english"), [(0.01, 1), (0.5, 2), (0.74, 3), (0.99, 3)])
def test_switched_question_has_its_share_of_the_other_language_in_the_same_order(share, english):
    ours, theirs = "Uno es. Dos son.  Tres van. Cuatro hay.", "One is. Two are. Three go. Four be."
    text, given = switched((ours, ""), (theirs, ""), ("es", "en"), share, 1, "x")
    assert given == ""
    pairs = [("Uno es. ", "One is. "), ("Dos son.  ", "Two are.  "), ("Tres van. ", "Three go. "),
             ("Cuatro hay.", "Four be.")]  # fmt: skip
    rest, taken = text, 0
    for spanish, other in pairs:
        taken += rest.startswith(other)
        assert rest.startswith((spanish, other))
        rest = rest[len(other if rest.startswith(other) else spanish) :]
    assert (rest, taken) == ("", english)


def test_switched_sentences_of_a_script_without_spaces_keep_a_blank_between():
    mixed = {
        switched(("你好吗。我很好。", ""), ("How are you? I am well.", ""), ("zh-Hans", "en"), 0.5, seed)[0]
        for seed in range(20)
    }
    assert mixed == {"How are you? 我很好。", "你好吗。I am well."}


def test_a_question_of_one_sentence_cannot_be_switched_and_a_number_that_needs_it_is_refused(ledger):
    rows = [row("g2", "en", "Name the largest ocean."), row("g2", "es", "Nombra el océano más grande.")]
    assert switched(("Sí.", "42"), ("Yes.", "42"), ("es", "en"), 0.5, 1) is None
    with WritingEndpoint(teacher) as endpoint:
        with pytest.raises(PreflightError) as caught:
            made(endpoint, ledger, OPPOSITE + rows, switched=2, target_target=5)
        assert endpoint.requests == []
    assert caught.value.problems == (
        "es: target_target asks for 5 rows, the store has 2 that it can use: 3 too few",
        "es: switched asks for 2 rows, the store has 1 that it can use: 1 too few",
    )


def test_sdrrl_translation_pairs_need_no_answer_and_go_both_ways():
    modes = ("source_source", "source_target", "target_source", "target_target", "switched")
    none = dict.fromkeys(modes, 0)
    section = SdrrlMethod(method="sdrrl", translation=1, **none)
    found = {
        tuple(turns(record))
        for seed in range(20)
        for record in build(AlignedStore(OPPOSITE), section, languages=("es",), source_lang="en", seed=seed)
    }
    assert found == {
        (("en", f"Translate the following text from English to Spanish.\n{ASKED}"), ("es", ASKED_ES)),
        (("es", f"Translate the following text from Spanish to English.\n{ASKED_ES}"), ("en", ASKED)),
    }


def test_an_answer_that_does_not_come_drops_every_mode_that_needs_it_and_no_other(ledger):
    german = "Der Hund schläft heute wieder lange auf dem alten Sofa."
    rows = [*OPPOSITE, row("g1", "de", "Schreibe das Gegenteil.", "Die Straße war voll.")]
    with WritingEndpoint(lambda asked: german if asked.is_translation else OWN) as endpoint:
        results = made(endpoint, ledger, rows, languages=("de", "es"), translation=1, **FOUR)
    assert [one.method for one in results if isinstance(one, Record)] == [
        "sdrrl/source-source", "sdrrl/target-source", "sdrrl/translation",
    ]  # fmt: skip
    drops = [(one.lang, one.reason, one.where, one.text) for one in results if isinstance(one, Drop)]
    assert drops == [("es", "wrong-language", "g1", german)] * 2


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (OWN, "echo"),
        ("Nobody in the whole street.", "echo"),
        ("Sí. " * 300, "length"),
        ("This is no Spanish at all, whatever else it may be to you.", "wrong-language"),
    ],
)
def test_a_bad_translation_of_the_answer_is_a_reason(ledger, said, reason):
    with WritingEndpoint(lambda asked: said if asked.is_translation else teacher(asked)) as endpoint:
        results = made(endpoint, ledger, **FOUR)
    assert [one.reason for one in results if isinstance(one, Drop)] == [reason] * 2
    assert len(results) == 4


@pytest.mark.parametrize(("fault", "reason"), [("truncated", "truncated"), ("400", "refused-by-endpoint")])
def test_a_question_that_gets_no_answer_drops_the_item_in_every_mode(ledger, fault, reason):
    other = [row("g2", "en", "Name it."), row("g2", "es", "Nómbralo.")]
    with WritingEndpoint(
        teacher,
        lambda number, text: fault if "Name it." in text else "ok",
    ) as endpoint:
        results = made(endpoint, ledger, OPPOSITE + other, **FOUR)
    assert Counter((one.where, one.reason, one.lang) for one in results if isinstance(one, Drop)) == {
        ("g2", reason, "en"): 2,
        ("g2", reason, "es"): 2,
    }
    assert sum(isinstance(one, Record) for one in results) == 4


def test_sdrrl_without_any_rows_is_refused_with_the_fix():
    modes = ("source_source", "source_target", "target_source", "target_target", "switched")
    with pytest.raises(ValidationError, match="leave sdrrl out"):
        SdrrlMethod(method="sdrrl", **dict.fromkeys(modes, 0))
