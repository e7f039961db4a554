"""Golden question pairs, worked out by hand from QAlign's data (arXiv 2401.07817)."""

import pytest

from tongues.core.errors import PreflightError
from tongues.core.recipe import QAlignMethod
from tongues.core.records import AlignedRow, Record, Source, Step
from tongues.core.store import AlignedStore
from tongues.methods.qalign import build

SOURCE = Source("tiny", "1", "x:1", "CC0-1.0")
STEP = Step("translate", "apertium", "pair", "", "p")


def row(group: str, lang: str, instruction: str, input: str = "") -> AlignedRow:
    steps = () if lang == "en" else (STEP,)
    return AlignedRow(group, lang, instruction, input, f"{lang} say", (), "cat", SOURCE, steps, {}, None)


def store(groups: int = 9, langs: tuple[str, ...] = ("en", "es", "sw")) -> AlignedStore:
    return AlignedStore([row(f"g{g}", lang, f"{lang} ask {g}") for g in range(groups) for lang in langs])


def made(
    table: AlignedStore, taught: tuple[str, ...] = ("es", "sw"), seed: int = 1, **section: object
) -> list[Record]:
    parsed = QAlignMethod.model_validate({"method": "qalign"} | section)
    return list(build(table, parsed, languages=taught, source_lang="en", seed=seed))


def test_qalign_record_is_the_question_turned_into_english_without_an_answer() -> None:
    table = AlignedStore([row("g", "en", "How many?", "2 and 3"), row("g", "sw", "Ngapi?", "2 na 3")])
    [record] = made(table, ("sw",))
    assert [(m.role, m.lang, m.content) for m in record.messages] == [
        ("user", "en", "Translate the following sentences from Swahili to English. Ngapi?\n2 na 3"),
        ("assistant", "en", "How many?\n2 and 3"),
    ]
    assert (record.method, record.lang, record.group, record.steps) == ("qalign", "en", "g", (STEP,))
    assert record.meta == {"category": "cat", "stage": "1", "asked": "sw"}
    assert "say" not in record.messages[0].content + record.answer.content


def test_qalign_stage_2_is_english_with_answers_and_stands_last() -> None:
    records = made(store(), rows_per_language=4, english_rows=5)
    assert [r.meta["stage"] for r in records] == ["1"] * 8 + ["2"] * 5
    assert {r.method for r in records[8:]} == {"qalign/english"}
    assert {r.answer.content for r in records[8:]} == {"en say"}


def test_qalign_of_some_languages_leaves_the_others_alone() -> None:
    assert {r.meta["asked"] for r in made(store(), languages=["sw"])} == {"sw"}
    with pytest.raises(PreflightError, match="languages names de, which is not among"):
        made(store(), languages=["de"])


def test_qalign_leaves_out_items_whose_question_was_not_translated() -> None:
    rows = [row("g1", "en", "Ask"), row("g1", "es", "Ask"), row("g2", "en", "Say"), row("g2", "es", "Di")]
    assert [r.group for r in made(AlignedStore(rows), ("es",))] == ["g2"]
    with pytest.raises(PreflightError) as caught:
        made(AlignedStore(rows), ("es",), rows_per_language=2)
    assert caught.value.problems == ("es: 2 rows are asked for, the store has 1: 1 too few",)


def test_qalign_that_cannot_be_met_says_by_how_much_before_the_first_record() -> None:
    section = QAlignMethod(method="qalign", rows_per_language=10, english_rows=12)
    with pytest.raises(PreflightError) as caught:
        build(store(), section, languages=("es", "gl"), source_lang="en", seed=1)
    assert caught.value.problems == (
        "es: 10 rows are asked for, the store has 9: 1 too few",
        "gl: 10 rows are asked for, the store has 0: 10 too few",
        "en: 12 rows are asked for, the store has 9: 3 too few",
    )
