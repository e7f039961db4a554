import random
from hashlib import blake2b
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.core.records import Message, Record, Source
from tongues.data.dedup import DuplicateFinder, record_keys
from tongues.data.normalisation import normalise
from tongues.data.record_batches import to_batch

SOURCE = Source("tiny", "1", "x:1", "CC0-1.0")


def record(
    answer: str, *, ask: str = "Ask", lang: str = "es", group: str = "g1", method: str = "m"
) -> Record:
    messages = (Message("user", ask, lang), Message("assistant", answer, lang))
    return Record.create(messages=messages, group=group, method=method, source=SOURCE)


def kept(records: list[Record], *, size: int = 3) -> list[int]:
    """For each record the place of the one that stays in its stead, or its own."""
    with TemporaryDirectory() as folder:
        with DuplicateFinder(Path(folder)) as finder:
            for start in range(0, len(records), size):
                finder.add(record_keys(to_batch(records[start : start + size])))
        removals = finder.find()
    found = np.arange(len(records))
    found[removals.places] = removals.survivors
    return found.tolist()


def test_survivors_of_equal_wordings_is_the_first() -> None:
    same = [
        record("Año nuevo"),
        record("an\u0303o  NUEVO\n", group="g2"),
        record("Año nuevo", method="other"),
    ]
    assert kept(same) == [0, 0, 0]


def test_survivors_of_what_differs_in_language_question_turns_or_accent_are_themselves() -> None:
    different = [record("si"), record("sí"), record("si", lang="ca"), record("si", ask="Ask more")]
    turns = (Message("user", "Ask si", "es"), Message("assistant", "Ask si", "es"))
    split = [
        record("b c", ask="a"),
        record("c", ask="a b"),
        Record.create(messages=turns[1:], group="g", method="m", source=SOURCE),
        Record.create(messages=turns, group="g", method="m", source=SOURCE),
    ]
    assert kept(different + split) == list(range(8))


def test_survivors_of_no_records_are_none() -> None:
    assert kept([]) == []


def test_keys_that_agree_in_one_half_only_are_not_equal(tmp_path: Path) -> None:
    keys = np.array([[7, 1], [7, 2], [8, 1], [7, 2], [2**63, 1], [7, 1]], np.uint64)
    with DuplicateFinder(tmp_path) as finder:
        finder.add(keys[:4])
        finder.add(keys[4:])
    removals = finder.find()
    assert (removals.places.tolist(), removals.survivors.tolist()) == ([3, 5], [1, 0])


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aÉß \t\n\u00a0\u1680\u2009\u200b\u3000\x1c", max_size=12))
def test_normalise_is_what_splitting_at_white_space_gives(text: str) -> None:
    assert normalise(text) == " ".join(normalise(text).split())
    assert normalise(text) == normalise(f" {text}\n") == normalise(text.replace(" ", " \u2009 "))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["ab", "AB ", " a\nb", "a  b", "b"]), min_size=1, max_size=12))
def test_survivors_reconcile(texts: list[str]) -> None:
    places = kept([record(text, group=f"g{n}") for n, text in enumerate(texts)])
    assert len(set(places)) == len(set(map(normalise, texts)))
    assert all(normalise(texts[place]) == normalise(text) for place, text in zip(places, texts, strict=True))
    assert np.array_equal(places, [places[place] for place in places])


def reference_key(one: Record) -> bytes:
    turns = [f"{m.role}\x1f{normalise(m.content)}" for m in one.messages]
    return blake2b("\x1e".join([one.lang, *turns]).encode(), digest_size=16).digest()


def test_record_keys_are_the_documented_digests_whatever_the_slicing() -> None:
    draw = random.Random(2)
    words = ["Año", "STRASSE", "straße", "中文", "قال", "e\u0301", "\n", " ", "กุ้ง", "fin."]
    records = [
        record(" ".join(draw.choices(words, k=12)) + "x", ask=draw.choice(words), group=f"g{n}", lang=lang)
        for n, lang in zip(range(9_000), cycle(["es", "zh-Hans", "ar"]), strict=False)
    ]
    batch, wanted = to_batch(records), b"".join(map(reference_key, records))
    assert record_keys(batch).tobytes() == wanted
    assert record_keys(batch.slice(4_321, 700)).tobytes() == wanted[4_321 * 16 : 5_021 * 16]
    assert record_keys(batch.slice(8_998)).tobytes() == wanted[8_998 * 16 :]
