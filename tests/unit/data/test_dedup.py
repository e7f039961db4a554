import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.core.records import Message, Record, Source
from tongues.data.dedup import drop_duplicates, normalise

SOURCE = Source("tiny", "1", "x:1", "CC0-1.0")


def record(
    answer: str, *, ask: str = "Ask", lang: str = "es", group: str = "g1", method: str = "m"
) -> Record:
    messages = (Message("user", ask, lang), Message("assistant", answer, lang))
    return Record.create(messages=messages, group=group, method=method, source=SOURCE)


def test_drop_duplicates_of_equal_wordings_keeps_exactly_one() -> None:
    same = [
        record("Año nuevo"),
        record("an\u0303o  NUEVO\n", group="g2"),
        record("Año nuevo", method="other"),
    ]
    kept, drops = drop_duplicates(same)
    assert [r.id for r in kept] == [min(r.id for r in same)]
    assert [d.reason for d in drops] == ["duplicate"] * 2
    assert all(kept[0].id in d.detail for d in drops)


def test_drop_duplicates_keeps_what_differs_in_language_question_or_accent() -> None:
    different = [record("si"), record("sí"), record("si", lang="ca"), record("si", ask="Ask more")]
    kept, drops = drop_duplicates(different)
    assert (len(kept), drops) == (4, [])


def test_normalise_makes_unicode_forms_case_and_space_equal() -> None:
    assert normalise(" E\u0301l\u00a0 STRASSE\n") == normalise("él straße")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("aAbB "), st.sampled_from(["g1", "g2"])), max_size=12), st.integers()
)
def test_drop_duplicates_in_any_order_gives_the_same_and_reconciles(
    pairs: list[tuple[str, str]], seed: int
) -> None:
    records = [record(f"x{letter}", group=group) for letter, group in pairs]
    shuffled = random.Random(seed).sample(records, len(records))
    kept, drops = drop_duplicates(records)
    assert (kept, drops) == drop_duplicates(shuffled)
    assert len(records) == len(kept) + len(drops)
    wordings = {normalise(r.answer.content) for r in records}
    assert sorted(normalise(r.answer.content) for r in kept) == sorted(wordings)
