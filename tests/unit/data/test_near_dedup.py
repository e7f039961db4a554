import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongues.data import near_dedup
from tongues.data.near_dedup import NearDuplicateFinder, banding
from tongues.data.removals import Removals

WORDS = [f"word{n}" for n in range(3_000)]


class Found:
    """What was found, with an entry for every text."""

    def __init__(self, removals: Removals, texts: int) -> None:
        self.stays = removals.staying(texts)
        self.survivor, self.similarity = np.arange(texts), np.ones(texts)
        self.survivor[removals.places], self.similarity[removals.places] = (
            removals.survivors,
            removals.similarity,
        )


def found(
    folder: Path, texts: list[str], langs: list[str] | None = None, *, threshold: float = 0.7, size: int = 50
) -> Found:
    langs = langs or ["es"] * len(texts)
    with NearDuplicateFinder(folder, threshold=threshold) as finder:
        for start in range(0, len(texts), size):
            finder.add(texts[start : start + size], langs[start : start + size])
        return Found(finder.find(), len(texts))


def similarity(one: str, other: str) -> float:
    a, b = ({tuple(w[i : i + 3]) for i in range(len(w) - 2)} for w in (one.split(), other.split()))
    return len(a & b) / len(a | b)


def drawn(draw: random.Random, words: int = 60) -> list[str]:
    return draw.choices(WORDS, k=words)


def changed(words: list[str], draw: random.Random, share: float) -> list[str]:
    return [draw.choice(WORDS) if draw.random() < share else word for word in words]


def test_near_duplicates_of_planted_pairs_are_found_and_unlike_texts_stay(tmp_path: Path) -> None:
    draw = random.Random(5)
    originals = [drawn(draw) for _ in range(700)]
    copies = [changed(words, draw, draw.choice([0.02, 0.05, 0.1])) for words in originals]
    texts = [" ".join(words) for words in originals + copies]
    stays = found(tmp_path, texts).stays
    true = np.array([similarity(a, b) for a, b in zip(texts[:700], texts[700:], strict=True)])
    assert (true >= 0.7).sum() > 300
    assert (~stays[700:][true >= 0.7]).mean() >= 0.95
    assert stays[700:][true < 0.7].all() and stays[:700].all()


def test_survivor_is_itself_alike_to_what_it_stands_for_even_in_a_chain(tmp_path: Path) -> None:
    draw = random.Random(1)
    chain = [drawn(draw, 80)]
    for step in range(8):
        chain.append([*chain[-1][: step * 9], *drawn(draw, 9), *chain[-1][step * 9 + 9 :]])
    texts = [" ".join(words) for words in chain]
    assert all(similarity(a, b) >= 0.7 for a, b in pairwise(texts)) and similarity(texts[0], texts[-1]) < 0.3
    result = found(tmp_path, texts)
    for place, survivor in enumerate(result.survivor.tolist()):
        assert result.stays[survivor] and survivor <= place
        if survivor != place:
            assert similarity(texts[place], texts[survivor]) >= 0.7
            assert result.similarity[place] == pytest.approx(similarity(texts[place], texts[survivor]))
    assert 1 < result.stays.sum() < len(texts)


def test_near_duplicates_in_another_language_stay(tmp_path: Path) -> None:
    assert found(tmp_path, ["uno dos tres cuatro"] * 3, ["es", "gl", "es"]).survivor.tolist() == [0, 1, 0]


def test_texts_without_words_are_no_duplicates(tmp_path: Path) -> None:
    assert found(tmp_path, ["", "...", "?!", "a b c", "A, b: c"]).survivor.tolist() == [0, 1, 2, 3, 3]


def test_no_texts_give_no_duplicates(tmp_path: Path) -> None:
    assert found(tmp_path, []).survivor.tolist() == []


@pytest.mark.parametrize(
    "lang_text", ["天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜"]
)
def test_near_duplicates_in_a_script_without_spaces(tmp_path: Path, lang_text: str) -> None:
    other = lang_text[:40] + "金"
    assert found(tmp_path, [lang_text, other, lang_text[20:] + other[:10]]).survivor.tolist() == [0, 0, 2]


def test_near_duplicates_do_not_depend_on_how_much_is_in_memory_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(6)
    texts = [" ".join(changed(drawn(random.Random(n % 25)), draw, 0.04)) for n in range(200)]
    whole = found(tmp_path / "a", texts)
    for name in (
        "near_dedup._TEXTS_AT_ONCE",
        "near_dedup._EDGES_AT_ONCE",
        "pair_similarity._PAIRS_AT_ONCE",
        "pair_similarity._LOOKS_AT_ONCE",
    ):
        monkeypatch.setattr(f"tongues.data.{name}", 17)
    parts = found(tmp_path / "b", texts)
    assert whole.survivor.tolist() == parts.survivor.tolist() and whole.stays.sum() < 150
    assert whole.similarity.tolist() == parts.similarity.tolist()


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_near_duplicates_do_not_depend_on_the_batches(tmp_path: Path, size: int) -> None:
    draw = random.Random(2)
    texts = [" ".join(changed(drawn(random.Random(n % 9)), draw, 0.04)) for n in range(60)]
    one, other = found(tmp_path / "a", texts), found(tmp_path / "b", texts, size=size)
    assert one.survivor.tolist() == other.survivor.tolist() and not one.stays.all()


def test_a_bucket_too_full_to_try_all_pairs_is_gone_through_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_dedup, "_WINDOW", 1)
    monkeypatch.setattr(
        NearDuplicateFinder, "_keys", lambda self, smallest: np.zeros((21, smallest.shape[1]), np.uint32)
    )
    draw = random.Random(3)
    groups = [" ".join(drawn(draw)) for _ in range(5)]
    texts = [groups[n % 5] for n in range(40)]
    assert found(tmp_path, texts).survivor.tolist() == [n % 5 for n in range(40)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9), min_size=1, max_size=14))
def test_every_text_that_goes_has_a_survivor_that_stays(tmp_path: Path, words: list[list[str]]) -> None:
    result = found(tmp_path, [" ".join(one) for one in words], threshold=0.5)
    assert result.stays[result.survivor].all()
    assert (result.survivor <= np.arange(len(words))).all()
    assert (result.similarity >= 0.5).all()


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 0.99, 1.0])
def test_banding_finds_nearly_all_at_the_threshold_with_at_most_128_hashes(threshold: float) -> None:
    bands, rows = banding(threshold)
    assert 1 - (1 - threshold**rows) ** bands >= 0.975
    assert bands * rows <= 128
