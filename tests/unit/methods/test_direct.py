from collections import Counter

import pytest

from tongues.core.errors import PreflightError
from tongues.core.recipe import DirectMethod
from tongues.core.records import AlignedRow, Record, Source
from tongues.core.store import AlignedStore
from tongues.methods.direct import build

SOURCE = Source("tiny", "1", "x:1", "CC0-1.0")


def store(groups: int = 30, missing_in_ca: int = 0) -> AlignedStore:
    rows = [
        AlignedRow(
            f"g{g:02d}",
            lang,
            f"{lang} ask {g}",
            "in" if g == 0 else "",
            f"{lang} say {g}",
            (),
            "c",
            SOURCE,
            (),
            {},
            None,
        )
        for g in range(groups)
        for lang in ("en", "es", "ca")
        if lang != "ca" or g >= missing_in_ca
    ]
    return AlignedStore(rows)


def made(table: AlignedStore, rows: int | None, english: int = 0, seed: int = 1) -> list[Record]:
    section = DirectMethod(method="direct", rows_per_language=rows, english_rows=english)
    return list(build(table, section, languages=("es", "ca"), source_lang="en", seed=seed))


def test_direct_record_is_the_translated_pair() -> None:
    record = next(r for r in made(store(), None) if r.lang == "es" and r.group == "g00")
    assert [(m.role, m.lang, m.content) for m in record.messages] == [
        ("user", "es", "es ask 0\nin"),
        ("assistant", "es", "es say 0"),
    ]
    assert (record.method, record.meta) == ("direct", {"category": "c"})


def test_direct_without_a_limit_takes_every_row_there_is() -> None:
    assert Counter(r.lang for r in made(store(30, missing_in_ca=4), None)) == {"es": 30, "ca": 26}


def test_direct_draws_without_replacement_and_independently_per_language() -> None:
    records = made(store(), 10, english=7)
    drawn = {lang: [r.group for r in records if r.lang == lang] for lang in ("es", "ca", "en")}
    assert [len(set(drawn[lang])) for lang in ("es", "ca", "en")] == [10, 10, 7]
    assert set(drawn["es"]) != set(drawn["ca"])
    assert {r.method for r in records if r.lang == "en"} == {"direct/english"}


def test_direct_with_another_seed_draws_others_and_a_larger_draw_goes_on() -> None:
    groups = [r.group for r in made(store(), 10) if r.lang == "es"]
    assert groups != [r.group for r in made(store(), 10, seed=2) if r.lang == "es"]
    assert groups == [r.group for r in made(store(), 15) if r.lang == "es"][:10]


def test_direct_that_cannot_be_met_says_by_how_much_per_language() -> None:
    section = DirectMethod(method="direct", rows_per_language=28, english_rows=31)
    with pytest.raises(PreflightError) as caught:
        build(store(30, missing_in_ca=4), section, languages=("es", "ca", "gl"), source_lang="en", seed=1)
    assert caught.value.problems == (
        "ca: 28 rows are asked for, the store has 26: 2 too few",
        "gl: 28 rows are asked for, the store has 0: 28 too few",
        "en: 31 rows are asked for, the store has 30: 1 too few",
    )


def test_direct_of_all_rows_of_an_empty_language_raises() -> None:
    with pytest.raises(PreflightError, match="ca: all rows are asked for, the store has 0"):
        made(store(5, missing_in_ca=5), None)
