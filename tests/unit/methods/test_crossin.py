"""Golden records, worked out by hand from CrossIn's composition rules (arXiv 2404.11932)."""

import hashlib
from collections import Counter
from dataclasses import replace

import pytest

from tongues.core.errors import PreflightError
from tongues.core.recipe import CrossInMethod
from tongues.core.records import AlignedRow, Record, Source, Step
from tongues.core.store import AlignedStore
from tongues.methods.crossin import build, tags

SOURCE = Source("tiny", "1", "x:1", "CC0-1.0")
STEP = Step("translate", "apertium", "pair", "", "p")


def row(group: str, lang: str, input: str = "") -> AlignedRow:
    steps = () if lang == "en" else (STEP,)
    texts = (f"{lang} ask {group}", f"{lang} {input}" if input else "", f"{lang} say {group}")
    return AlignedRow(group, lang, *texts, (), "cat", SOURCE, steps, {}, None)


def store(groups: int = 6, langs: tuple[str, ...] = ("en", "es", "ca")) -> AlignedStore:
    return AlignedStore([row(f"g{g:02d}", lang) for g in range(groups) for lang in langs])


def made(
    section: dict[str, object],
    table: AlignedStore | None = None,
    languages: tuple[str, ...] = ("es", "ca"),
    seed: int = 1,
) -> list[Record]:
    parsed = CrossInMethod.model_validate({"method": "crossin"} | section)
    return list(build(table or store(), parsed, languages=languages, source_lang="en", seed=seed))


def one_item() -> AlignedStore:
    return AlignedStore([row("g", "en", "data"), row("g", "es", "datos")])


def turns(record: Record) -> list[tuple[str, str, str]]:
    return [(m.role, m.lang, m.content) for m in record.messages]


def test_crossin_base_is_the_english_pair_as_it_is() -> None:
    [record] = made({"base": 1}, one_item(), ("es",))
    assert turns(record) == [("user", "en", "en ask g\nen data"), ("assistant", "en", "en say g")]
    assert (record.method, record.lang, record.group, record.steps) == ("crossin/base", "en", "g", ())


def test_crossin_en2x_asks_in_english_and_tags_the_answer_language() -> None:
    [record] = made({"en2x": 1}, one_item(), ("es",))
    assert turns(record) == [("user", "en", "en ask g\nen data\n[es]"), ("assistant", "es", "es say g")]
    assert (record.method, record.lang, record.steps) == ("crossin/en2x", "es", (STEP,))


def test_crossin_x2en_asks_in_the_language_and_tags_english() -> None:
    [record] = made({"x2en": 1}, one_item(), ("es",))
    assert turns(record) == [("user", "es", "es ask g\nes datos\n[en]"), ("assistant", "en", "en say g")]
    assert record.lang == "en"


def test_crossin_trans_turns_the_instruction_alone_into_english() -> None:
    [record] = made({"trans": 1}, one_item(), ("es",))
    request = "Translate the following sentence into English.\nes ask g"
    assert turns(record) == [("user", "en", request), ("assistant", "en", "en ask g")]
    assert (record.method, record.steps, record.meta) == ("crossin/trans", (STEP,), {"category": "cat"})


def test_crossin_x2x_asks_and_answers_in_any_languages_with_the_tag_of_the_answer() -> None:
    records = made({"x2x": 400}, one_item(), ("es",))
    seen = Counter(tuple(m.lang for m in record.messages) for record in records)
    assert set(seen) == {("en", "en"), ("en", "es"), ("es", "en"), ("es", "es")}
    assert all(70 <= count <= 130 for count in seen.values())
    for record in records:
        assert record.messages[0].content.endswith(f"\n[{record.lang}]")


def test_crossin_of_an_empty_input_still_has_the_tag() -> None:
    [record] = made({"en2x": 1}, store(1, ("en", "es")), ("es",))
    assert record.messages[0].content == "en ask g00\n\n[es]"


def test_crossin_draws_languages_and_rows_uniformly_and_with_replacement() -> None:
    records = made({"en2x": 1_200})
    langs = Counter(r.lang for r in records)
    groups = Counter(r.group for r in records)
    assert all(530 <= langs[lang] <= 670 for lang in ("es", "ca"))
    assert len(groups) == 6
    assert sum((n - 200) ** 2 / 200 for n in groups.values()) < 20.5, "chi-square, 5 degrees, p = 0.001"


def test_crossin_draw_is_named_by_seed_mode_and_index_alone() -> None:
    """The reference: one BLAKE2b per draw, its 64 bits scaled to the number of options."""

    def pick(options: list[str], *name: object) -> str:
        bits = hashlib.blake2b("\n".join(map(str, name)).encode(), digest_size=8).digest()
        return options[int.from_bytes(bits, "big") * len(options) >> 64]

    groups = [f"g{g:02d}" for g in range(6)]
    for index, record in enumerate(made({"x2en": 20}, seed=7)):
        assert record.messages[0].lang == pick(["ca", "es"], 7, "crossin", index, "language")
        assert record.group == pick(groups, 7, "crossin", index, "row")


def test_crossin_one_draw_gives_the_same_item_in_each_mode_that_shares_it() -> None:
    records = made({"en2x": 30, "x2en": 30, "trans": 30}, seed=3)
    en2x, x2en, trans = records[:30], records[30:60], records[60:]
    assert [r.group for r in en2x] == [r.group for r in x2en] == [r.group for r in trans]
    assert [r.lang for r in en2x] == [r.messages[0].lang for r in x2en]
    assert [r.messages[0].content.split("\n")[1].split()[0] for r in trans] == [r.lang for r in en2x]


def test_crossin_of_more_draws_or_other_modes_keeps_the_first_draws() -> None:
    few, many = made({"en2x": 5}), made({"base": 3, "en2x": 9, "x2x": 4, "trans": 2})
    assert [r for r in many if r.method == "crossin/en2x"][:5] == few
    assert Counter(r.method for r in many) == {
        "crossin/base": 3, "crossin/en2x": 9, "crossin/x2x": 4, "crossin/trans": 2,
    }  # fmt: skip


def test_crossin_does_not_depend_on_the_order_of_rows_or_languages() -> None:
    section = {"base": 4, "en2x": 10, "x2en": 10, "x2x": 10, "trans": 10}
    rows = [row(f"g{g:02d}", lang) for g in range(6) for lang in ("en", "es", "ca")]
    assert made(section) == made(section, AlignedStore(rows[::-1]), ("ca", "es"))
    assert made(section) != made(section, seed=2)


def test_crossin_base_draws_without_replacement() -> None:
    assert len({r.group for r in made({"base": 6})}) == 6
    assert [r.group for r in made({"base": 3})] == [r.group for r in made({"base": 6})][:3]


def test_crossin_draws_only_groups_that_exist_in_both_languages() -> None:
    table = AlignedStore(
        [row("g1", "en"), row("g1", "es"), row("g2", "en"), row("g2", "ca"), row("g3", "es")]
    )
    wanted = {"es": "g1", "ca": "g2"}
    assert all(wanted[r.lang] == r.group for r in made({"en2x": 40}, table))
    assert all(wanted[r.messages[0].lang] == r.group for r in made({"x2en": 40}, table))
    assert all(wanted[r.messages[0].content.split()[-3]] == r.group for r in made({"trans": 40}, table))


def test_crossin_that_cannot_be_met_says_by_how_much_per_language() -> None:
    table = AlignedStore([row("g1", "en"), row("g2", "en"), row("g1", "es")])
    with pytest.raises(PreflightError) as caught:
        made({"base": 5, "en2x": 3, "trans": 4, "x2x": 2}, table)
    assert caught.value.problems == (
        "en: base asks for 5 groups, the store has 2: 3 too few",
        "ca: 2 draws are asked for, 0 groups exist in it: at least 1 too few",
        "ca and en: 9 draws are asked for, 0 groups exist in both: at least 1 too few",
        "ca and es: 2 draws are asked for, 0 groups exist in both: at least 1 too few",
    )


def test_crossin_that_cannot_be_met_fails_before_the_first_record() -> None:
    section = CrossInMethod(method="crossin", base=9)
    with pytest.raises(PreflightError):
        build(store(), section, languages=("es",), source_lang="en", seed=1)


@pytest.mark.parametrize("template", ["alpaca", "cl_boost"])
def test_crossin_templates_of_the_paper_keep_headings_and_the_trailing_space(template: str) -> None:
    [record] = made({"en2x": 1, "template": template}, one_item(), ("es",))
    head, body = record.messages[0].content.split("\n\n", 1)
    assert body == "### Instruction:\nen ask g\n\n### Input:\nen data\n[es]\n\n### Response:\n "
    assert ("one or more languages" in head) is (template == "cl_boost")


def test_crossin_tag_is_the_authors_two_letters_unless_that_is_ambiguous() -> None:
    assert tags(["vi", "zh-Hans", "es", "en"]) == {
        "vi": "[vi]", "zh-Hans": "[zh]", "es": "[es]", "en": "[en]",
    }  # fmt: skip
    assert tags(["zh-Hant", "zh-Hans", "en"])["zh-Hans"] == "[zh-Hans]"
    [record] = made({"en2x": 1}, store(1, ("en", "zh-Hans")), ("zh-Hans",))
    assert record.messages[0].content.endswith("\n[zh]")


def test_crossin_base_takes_all_or_only_rows_of_its_categories() -> None:
    rows = [row(f"g{g}", "en") for g in range(4)]
    rows += [replace(row(f"p{g}", "en"), category="platypus") for g in range(3)]
    table = AlignedStore(rows)
    assert len(made({"base": None}, table)) == 7
    only = {"base": None, "base_categories": ["platypus"]}
    assert {r.group for r in made(only, table)} == {"p0", "p1", "p2"}
    with pytest.raises(PreflightError) as caught:
        made(only | {"base": 5}, table)
    assert caught.value.problems == ("en: base asks for 5 groups of platypus, the store has 3: 2 too few",)


def test_crossin_gemma_and_llama_lay_the_turn_out_as_the_authors_do() -> None:
    [gemma] = made({"en2x": 1, "template": "gemma"}, one_item(), ("es",))
    assert gemma.messages[0].content == "en ask g\nen data\n[es]\n"
    [llama] = made({"en2x": 1, "template": "llama"}, one_item(), ("es",))
    head, turn = llama.messages[0].content.split("\n<</SYS>>\n\n")
    assert head.startswith("[INST] <<SYS>>\nYou are ")
    assert turn == "en ask g\nen data\n[es] [/INST]"


def test_crossin_alpaca_base_without_input_has_no_input_heading() -> None:
    [record] = made({"base": 1, "template": "alpaca"}, store(1, ("en", "es")), ("es",))
    assert record.messages[0].content.endswith("\n\n### Instruction:\nen ask g00\n\n### Response:\n ")
