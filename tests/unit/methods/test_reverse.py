"""Golden reverse instructions, worked out by hand (arXiv 2407.01853), against a real HTTP server."""

import re

import pytest
from pydantic import ValidationError
from written_answers import Asked, WritingEndpoint, desk_at, passage

from tongues.core.drops import Drop
from tongues.core.errors import PreflightError
from tongues.core.recipe import ReverseMethod
from tongues.core.records import Record
from tongues.methods.reverse import echoes, write

RIVER = (
    "El río nace en la sierra y cruza tres valles antes de llegar al mar.\n\n"
    "En primavera baja lleno; en verano,  casi seco."
)
RIVER_EN = "The river rises in the hills and crosses three valleys before the sea. It is dry in summer."
REQUEST = "Describe how a mountain river changes on its way to the coast and through the year."
REQUEST_ES = "Describe cómo cambia un río de montaña en su camino hasta la costa y a lo largo del año."
GOOD = {"quality": 5, "diversity": 4}


def scripted(**instead):
    """A model that does all four steps for the river; some of them in another way."""

    def say(asked: Asked):
        if asked.is_translation:
            return instead.get("translation") or {RIVER: RIVER_EN, REQUEST: REQUEST_ES}[asked.user]
        if "quality" in asked.system:
            return instead.get("grades", GOOD)
        return instead.get("instruction", {"instruction": REQUEST})

    return say


def section(*langs: str, **wishes) -> ReverseMethod:
    files = [{"uri": "x", "dataset": "d", "licence": "CC0-1.0", "lang": lang} for lang in langs or ("es",)]
    return ReverseMethod.model_validate({"method": "reverse", "passages": files, "min_chars": 20} | wishes)


def made(endpoint, ledger, texts=(RIVER,), wanted=None, **where):
    passages = [passage(text, where.get("lang", "es"), "Ríos") for text in texts]
    return list(write(wanted or section(), desk_at(endpoint, ledger, passages=passages, **where)))


def test_reverse_record_asks_for_the_native_text_which_stays_as_it_was(ledger):
    with WritingEndpoint(scripted()) as endpoint:
        [record] = made(endpoint, ledger)
        first, second, third, fourth = endpoint.asked
    assert [(m.role, m.lang, m.content) for m in record.messages] == [
        ("user", "es", REQUEST_ES),
        ("assistant", "es", RIVER),
    ]
    assert (first.user, second.user, fourth.user) == (RIVER, RIVER_EN, REQUEST)
    assert third.fields == {"instruction": REQUEST, "answer": RIVER_EN}
    assert re.search("from Spanish into English", first.system)
    assert re.search("from English into Spanish", fourth.system)
    assert (record.method, record.group, record.source.dataset) == ("reverse", passage(RIVER).group, "es")
    assert [step.op for step in record.steps] == ["translate", "instruct", "grade", "translate"]
    assert len({step.prompt_sha256 for step in record.steps}) == 4
    assert record.meta == {"title": "Ríos", "instruction": REQUEST, "quality": "5", "diversity": "4"}


def test_reverse_of_a_text_in_the_source_language_translates_nothing(ledger):
    with WritingEndpoint(scripted()) as endpoint:
        [record] = made(endpoint, ledger, (RIVER_EN,), section("en"), lang="en")
        assert not any(asked.is_translation for asked in endpoint.asked)
    assert [m.content for m in record.messages] == [REQUEST, RIVER_EN]
    assert [step.op for step in record.steps] == ["instruct", "grade"]


@pytest.mark.parametrize(
    ("step", "said", "reason"),
    [
        ("grades", {"quality": 3, "diversity": 5}, "low-quality"),
        ("grades", {"quality": 5, "diversity": 2}, "low-diversity"),
        ("grades", {"quality": 6, "diversity": 5}, "malformed-answer"),
        ("grades", "quality: 5, diversity: 5", "malformed-answer"),
        ("instruction", {"instruction": REQUEST, "note": "x"}, "malformed-answer"),
        ("instruction", {"instruction": " ?! "}, "instruction-too-short"),
        ("instruction", {"instruction": f"Write {'very ' * 90}much."}, "instruction-too-long"),
        ("instruction", {"instruction": f"Say that {RIVER_EN[:60].lower()}"}, "gives-answer-away"),
        ("instruction", {"instruction": "The text is material only."}, "repeats-prompt"),
        ("instruction", {"instruction": "Describe cómo cambia el río desde su nacimiento hasta la costa."},
         "wrong-language"),
        ("translation", "The river rises in the hills and then it crosses three green valleys.", None),
    ],
)  # fmt: skip
def test_reverse_drops_a_text_whose_instruction_is_not_good_enough(ledger, step, said, reason):
    with WritingEndpoint(scripted(**{step: said})) as endpoint:
        [drop] = made(endpoint, ledger)
    assert isinstance(drop, Drop)
    assert (drop.lang, drop.reason, drop.where) == ("es", reason or "wrong-language", passage(RIVER).id)
    assert drop.detail


def test_thresholds_are_the_recipes(ledger):
    lenient = section(min_quality=1, min_diversity=1)
    with WritingEndpoint(scripted(grades={"quality": 1, "diversity": 1})) as endpoint:
        [record] = made(endpoint, ledger, wanted=lenient)
    assert record.meta["quality"] == "1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Muy corto.", "too-short"),
        ("1234567890 " * 5, "too-short"),
        ("palabra " * 400, "too-long"),
        ("The river rises in the hills and it crosses three valleys before the sea.", "wrong-language"),
        ("El río nace en la sierra y cruza \ud800 tres valles.", "not-unicode"),
    ],
)
def test_a_text_that_cannot_be_an_answer_is_a_drop_and_costs_nothing(ledger, text, reason):
    with WritingEndpoint(scripted()) as endpoint:
        drop, record = made(endpoint, ledger, (text, RIVER))
        assert len(endpoint.requests) == 4
    assert isinstance(record, Record)
    assert (drop.reason, drop.where) == (reason, "texts.jsonl:1")


def test_reverse_draws_until_enough_texts_are_fit_and_tries_no_more(ledger):
    texts = [f"{RIVER} Número {n}." for n in range(20)] + ["corto"] * 1
    with WritingEndpoint(lambda asked: "x") as endpoint:
        for seed in range(6):
            results = made(endpoint, ledger, texts, section(rows_per_language=7), seed=seed)
            tried = [one for one in results if one.reason != "too-short"]
            assert len(tried) == 7


def test_reverse_says_by_how_much_texts_fall_short_before_the_first_request(ledger):
    with WritingEndpoint(scripted()) as endpoint:
        with pytest.raises(PreflightError) as caught:
            made(endpoint, ledger, (RIVER, "corto"), section("es", "fr", rows_per_language=3))
        with pytest.raises(PreflightError, match="es: all rows are asked for, 0 of 0 texts"):
            made(endpoint, ledger, ())
        assert endpoint.requests == []
    assert caught.value.problems == (
        "passages names fr, which is not among the languages of the recipe: en, es",
        "es: 3 rows are asked for, 1 of 2 texts are fit to be an answer: 2 too few",
    )


def test_a_language_without_a_file_has_its_turn_for_nothing(ledger):
    with WritingEndpoint(scripted()) as endpoint:
        assert made(endpoint, ledger, lang="en") == []


def test_drops_of_the_reader_are_handed_on(ledger):
    with WritingEndpoint(scripted()) as endpoint:
        desk = desk_at(endpoint, ledger, passages=[passage(RIVER)])
        lost = Drop("es", "duplicate-text", "seen", "texts.jsonl:9")
        both = type(desk)(**{**vars(desk), "passages": lambda lang: iter([lost, passage(RIVER)])})
        assert [type(one) for one in write(section(), both)] == [Drop, Record]


@pytest.mark.parametrize(
    ("lang", "text", "instruction", "found"),
    [
        ("es", RIVER, "Di: EL RÍO NACE en la «sierra» y cruza", True),
        ("es", RIVER, "Di: el río nace en la sierra y baja", False),
        ("es", "Uno dos.", "Uno dos.", False),
        ("zh-Hans", "河" * 10 + "从山上流下来" * 10, "问：" + "从山上流下来" * 7, True),
        ("zh-Hans", "河" * 10 + "从山上流下来" * 10, "问：" + "从山上流下来" * 6, False),
        ("hi", "क\u093e की कु कू के कै को कौ कं", "सुनो क\u093e की कु कू के कै को कौ", True),
    ],
)
def test_eight_words_or_forty_characters_in_a_row_give_the_answer_away(lang, text, instruction, found):
    assert echoes(instruction, text, lang) is found


def test_bounds_the_wrong_way_round_are_refused():
    with pytest.raises(ValidationError, match="swap them"):
        section(min_chars=300, max_chars=200)
