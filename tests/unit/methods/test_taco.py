"""Golden chains, worked out by hand from TaCo's record format (arXiv 2311.10797)."""

import pytest

from tongues.core.errors import PreflightError
from tongues.core.languages import languages as known
from tongues.core.recipe import TacoMethod
from tongues.core.records import AlignedRow, Record, Source, Step
from tongues.core.store import AlignedStore
from tongues.core.taco_format import read_answer
from tongues.methods.taco import build

SOURCE = Source("tiny", "1", "x:1", "CC0-1.0")
STEP = Step("translate", "google", "nmt", "", "p")
LINE = (
    "Translate the following instructions from Nepali to English, formulate a response in English, "
    "and then translate that response back into Nepali."
)


def row(group: str, lang: str, instruction: str, output: str, input: str = "") -> AlignedRow:
    steps = () if lang == "en" else (STEP,)
    return AlignedRow(group, lang, instruction, input, output, (), "cat", SOURCE, steps, {}, None)


def hello() -> AlignedStore:
    return AlignedStore(
        [
            row("g1", "en", "Greet this person.", "Hello, Asha!", "Asha"),
            row("g1", "ne", "यो व्यक्तिलाई अभिवादन गर्नुहोस्।", "नमस्ते, आशा!", "आशा"),
        ]
    )


def many(groups: int = 12, langs: tuple[str, ...] = ("en", "ne", "fa"), without: str = "") -> AlignedStore:
    return AlignedStore(
        [
            row(f"g{g:02d}", lang, f"{lang} ask {g}", f"{lang} say {g}")
            for g in range(groups)
            for lang in langs
            if lang != without or g
        ]
    )


def made(
    table: AlignedStore, languages: tuple[str, ...] = ("ne",), seed: int = 1, **section: object
) -> list[Record]:
    parsed = TacoMethod.model_validate({"method": "taco"} | section)
    return list(build(table, parsed, languages=languages, source_lang="en", seed=seed))


def test_taco_record_is_the_released_chain_after_the_request_line() -> None:
    [record] = made(hello())
    user, assistant = record.messages
    assert user.content == (
        f"{LINE}\n\n### Instruction:\nयो व्यक्तिलाई अभिवादन गर्नुहोस्।\n\n### Input:\nआशा\n\n### Response:\n "
    )
    assert assistant.content == (
        "Instruction in English: Greet this person.\nAsha ,\n"
        "                        Response in English: Hello, Asha! ,\n"
        "                        Response in Nepali: नमस्ते, आशा!"
    )
    assert [(m.role, m.lang) for m in record.messages] == [("user", "ne"), ("assistant", "ne")]
    assert (record.method, record.lang, record.group, record.steps) == ("taco", "ne", "g1", (STEP,))
    assert record.meta == {"category": "cat", "stage": "2"}


def test_taco_of_plain_layout_and_chat_wording_has_line_breaks_only() -> None:
    [record] = made(hello(), layout="plain", template="chat")
    assert record.messages[0].content == f"{LINE}\n\nयो व्यक्तिलाई अभिवादन गर्नुहोस्।\nआशा"
    assert record.answer.content.splitlines()[2:] == [
        "Response in English: Hello, Asha!",
        "Response in Nepali: नमस्ते, आशा!",
    ]


def test_taco_request_line_stands_in_a_system_message_or_nowhere_if_the_recipe_says_so() -> None:
    [told] = made(hello(), system_line="message", template="chat")
    assert [(m.role, m.lang) for m in told.messages] == [
        ("system", "en"),
        ("user", "ne"),
        ("assistant", "ne"),
    ]
    assert told.messages[0].content == LINE
    [silent] = made(hello(), system_line="none", template="chat")
    assert told.messages[1:] == silent.messages
    [alpaca] = made(hello(), system_line="none")
    assert LINE not in alpaca.messages[0].content
    assert alpaca.messages[0].content.startswith("The instruction below ")


def test_taco_stage_1_is_english_and_stands_first() -> None:
    records = made(many(), ("ne", "fa"), english_rows=5, rows_per_language=4)
    assert [r.meta["stage"] for r in records] == ["1"] * 5 + ["2"] * 8
    assert [(r.method, r.lang) for r in records[:5]] == [("taco/english", "en")] * 5
    assert [r.lang for r in records[5:]] == ["fa"] * 4 + ["ne"] * 4
    assert len(made(many(), english_rows=None)) == 24


def test_taco_answers_read_back_and_languages_draw_their_own_items() -> None:
    records = made(many(), ("ne", "fa"), rows_per_language=6)
    assert all(read_answer(r.answer.content, r.lang) == f"{r.lang} say {int(r.group[1:])}" for r in records)
    drawn = {lang: {r.group for r in records if r.lang == lang} for lang in ("ne", "fa")}
    assert [len(groups) for groups in drawn.values()] == [6, 6]
    assert drawn["ne"] != drawn["fa"]


def test_taco_builds_every_language_of_the_table() -> None:
    langs = tuple(code for code in known() if code != "en")
    records = made(many(2, ("en", *langs)), langs)
    assert len(langs) >= 132
    assert len(records) == 2 * len(langs)
    assert all(read_answer(r.answer.content, r.lang) for r in records)


def test_taco_that_cannot_be_met_says_by_how_much_per_language() -> None:
    with pytest.raises(PreflightError) as caught:
        build(
            many(4, without="fa"),
            TacoMethod(method="taco", rows_per_language=4, english_rows=6),
            languages=("ne", "fa", "sa"),
            source_lang="en",
            seed=1,
        )
    assert caught.value.where == "dataset.methods (taco)"
    assert caught.value.problems == (
        "en: 6 rows are asked for, the store has 4: 2 too few",
        "fa: 4 rows are asked for, the store has 3: 1 too few",
        "sa: 4 rows are asked for, the store has 0: 4 too few",
    )


def test_taco_needs_the_original_of_every_item() -> None:
    with pytest.raises(PreflightError, match="ne: all rows are asked for, the store has 0: 1 too few"):
        made(AlignedStore([row("g1", "ne", "a", "b"), row("g2", "en", "a", "b")]))
