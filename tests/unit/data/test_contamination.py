"""Training data searched for evaluation items: by language, by script, through translations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.comparison import Exposure
from tongues.core.records import Message, Record, Source
from tongues.data.contamination import exposures
from tongues.data.decontaminate import Prompt

ENGLISH = "which of these animals lays eggs and still gives milk to its young"
TEXTS = {
    "en": ENGLISH,
    "es": "cuál de estos animales pone huevos y aun así da leche a sus crías",
    "ar": "أي من هذه الحيوانات يضع البيض ومع ذلك يرضع صغاره الحليب",
    "hi": "इनमें से कौन सा जानवर अंडे देता है और फिर भी अपने बच्चों को दूध पिलाता है",
    "zh-Hans": "下列哪一种动物会下蛋但是仍然用乳汁哺育它的幼崽呢",
    "th": "สัตว์ชนิดใดต่อไปนี้วางไข่แต่ยังคงเลี้ยงลูกด้วยน้ำนม",
}
SETS = {"choices": [Prompt(f"f:{lang}", lang, text, "c1") for lang, text in TEXTS.items()]}


def record(lang: str, asked: str, answer: str = "ok") -> Record:
    source = Source("d", "1", "f:1", "CC0-1.0")
    turns = (Message("user", asked, lang), Message("assistant", answer, lang))
    return Record.create(messages=turns, group="g", method="direct", source=source)


def found(records: list[Record], sets: dict[str, list[Prompt]] | None = None) -> dict[str, Exposure]:
    searched, exposed = exposures(records, sets or SETS)
    assert searched == len(records)
    return {one.lang: one for one in exposed}


@pytest.mark.parametrize("lang", TEXTS)
def test_exposures_an_item_in_one_language_is_direct_there_and_translated_elsewhere(lang: str) -> None:
    text = TEXTS[lang]
    exposed = found([record(lang, f"Please tell me: {text.upper()}?")])
    assert (exposed[lang].direct, exposed[lang].translated) == (1, 0)
    assert exposed[lang].examples == ("c1",)
    others = [exposed[other] for other in TEXTS if other != lang]
    assert [(one.direct, one.translated) for one in others] == [(0, 1)] * (len(TEXTS) - 1)


def test_exposures_answers_and_rejected_answers_are_searched_too() -> None:
    rejected = record("en", "hello")
    rejected.meta["rejected"] = ENGLISH
    assert found([record("es", "hola", TEXTS["es"])])["es"].direct == 1
    assert found([rejected])["en"].direct == 1


def test_exposures_seven_words_in_a_row_are_no_overlap() -> None:
    words = ENGLISH.split()
    assert found([record("en", " ".join(words[:7]) + " something else entirely")])["en"].direct == 0
    assert found([record("en", " ".join(words[:8]) + " something else entirely")])["en"].direct == 1


def test_exposures_a_prompt_of_three_words_counts_as_a_whole_turn_only() -> None:
    sets = {"open": [Prompt("f:1", "en", "What is gold?", "o1")]}
    assert found([record("en", "Tell me what is gold made of")], sets)["en"].direct == 0
    assert found([record("en", "what is GOLD")], sets)["en"].direct == 1


def test_exposures_two_items_that_share_a_run_are_both_met() -> None:
    sets = {"choices": [Prompt("f:1", "en", ENGLISH, "a"), Prompt("f:2", "en", ENGLISH + " at night", "b")]}
    exposed = found([record("en", ENGLISH)], sets)["en"]
    assert (exposed.items, exposed.direct, exposed.examples) == (2, 2, ("a", "b"))


def test_exposures_items_of_one_id_in_two_sets_are_different_items() -> None:
    sets = {
        "choices": SETS["choices"],
        "qa": [Prompt("f:1", "es", "otra pregunta sin nada en común aquí", "c1")],
    }
    _, exposed = exposures([record("en", ENGLISH)], sets)
    assert {(one.task, one.lang): one.translated for one in exposed}["qa", "es"] == 0


@given(st.permutations([record(lang, text) for lang, text in TEXTS.items()][:3]))
def test_exposures_order_of_records_does_not_matter(records: list[Record]) -> None:
    assert exposures(records, SETS) == exposures(records[::-1], SETS)
