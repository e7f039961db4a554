"""Golden n-shot samples, worked out by hand, and the numbers behind them (sPhinX, arXiv 2407.09879)."""

import hashlib
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
from pydantic import ValidationError

from tongues.core.errors import PreflightError
from tongues.core.recipe import DatasetSection, ShotsSection, SphinxMethod
from tongues.core.records import AlignedRow, Record, Source, Step
from tongues.core.split_order import in_split_order
from tongues.core.store import AlignedStore
from tongues.data.splits import SPLITS, Splitter, group_keys
from tongues.methods.likeness import Likeness
from tongues.methods.sphinx import build

SOURCE = Source("tiny", "1", "x:1", "CC0-1.0")
STEP = Step("translate", "openai", "m", "", "p")
ALL = {"high": None, "mid": None, "low": None}


def row(group: str, lang: str, instruction: str = "", input: str = "") -> AlignedRow:
    steps = () if lang == "en" else (STEP,)
    asked = instruction or f"{lang} ask {group}"
    return AlignedRow(group, lang, asked, input, f"{lang} say {group}", (), "cat", SOURCE, steps, {}, None)


def store(groups: int, *langs: str) -> AlignedStore:
    return AlignedStore([row(f"g{g:04d}", lang) for g in range(groups) for lang in langs])


def made(
    table: AlignedStore, languages: tuple[str, ...] = ("es",), seed: int = 1, **section: object
) -> list[Record]:
    given = {"method": "sphinx", "rows": ALL, "source_language": False} | section
    parsed = SphinxMethod.model_validate(given)
    return list(build(table, parsed, languages=languages, source_lang="en", seed=seed))


def shots_of(record: Record) -> list[str]:
    return [group for group in record.meta["shots"].split(",") if group]


def pick(options: list[str], *name: object) -> str:
    """The reference: one BLAKE2b per draw, its 64 bits scaled to the number of options."""
    bits = hashlib.blake2b("\n".join(map(str, name)).encode(), digest_size=8).digest()
    return options[int.from_bytes(bits, "big") * len(options) >> 64]


def test_sphinx_sample_is_examples_and_item_as_turns_in_one_language() -> None:
    table = AlignedStore([row("g1", "es"), row("g2", "es", "Suma", "1 y 2"), row("g3", "es")])
    record = next(r for r in made(table, shots={"min": 2, "max": 2, "pool": 3}, seed=5) if r.group == "g1")
    others = [group for group in in_split_order(["g1", "g2", "g3"], seed=5) if group != "g1"]
    first = pick(others, 5, "shots/which", "es", "g1", 0)
    second = "g2" if first == "g3" else "g3"
    asked = {"g2": "Suma\n1 y 2", "g3": "es ask g3"}
    assert [(m.role, m.lang, m.content) for m in record.messages] == [
        ("user", "es", asked[first]),
        ("assistant", "es", f"es say {first}"),
        ("user", "es", asked[second]),
        ("assistant", "es", f"es say {second}"),
        ("user", "es", "es ask g1"),
        ("assistant", "es", "es say g1"),
    ]
    assert (record.method, record.lang, record.steps) == ("sphinx", "es", (STEP,))
    assert record.meta == {
        "category": "cat", "tier": "high", "drawn": "2", "n": "2", "shots": f"{first},{second}",
    }  # fmt: skip
    assert record.groups == ("g1", first, second)


def test_sphinx_sample_without_examples_is_the_pair() -> None:
    [record] = made(store(1, "es"), shots={"max": 0})
    assert [m.content for m in record.messages] == ["es ask g0000", "es say g0000"]
    assert (record.meta["n"], record.meta["shots"], record.groups) == ("0", "", ("g0000",))


def test_sphinx_draws_rows_by_tier_and_other_items_for_each_language() -> None:
    rows = {"high": 40, "mid": 20, "low": 10}
    records = made(store(60, "en", "es", "ca", "ne", "fr"), ("es", "ca", "ne", "fr"), rows=rows,
                   source_language=True)  # fmt: skip
    assert Counter(r.lang for r in records) == {"en": 40, "es": 40, "fr": 40, "ca": 20, "ne": 10}
    assert {r.lang: r.meta["tier"] for r in records}["ca"] == "mid"
    assert {r.method for r in records if r.lang == "en"} == {"sphinx/english"}
    drawn = {lang: {r.group for r in records if r.lang == lang} for lang in ("es", "fr", "ca", "ne")}
    assert [len(drawn[lang]) for lang in ("es", "fr", "ca", "ne")] == [40, 40, 20, 10]
    assert drawn["es"] != drawn["fr"]
    assert not drawn["ca"] < drawn["es"]
    assert len(set().union(*drawn.values())) > 40


def test_sphinx_defaults_are_the_numbers_of_the_paper() -> None:
    rows = SphinxMethod(method="sphinx").rows
    assert (rows.high, rows.mid, rows.low) == (100_000, 50_000, 25_000)


def test_sphinx_tier_of_the_recipe_outranks_the_table() -> None:
    records = made(
        store(30, "es", "ca"), ("es", "ca"), rows={"high": 20, "mid": 10, "low": 5},
        tiers=[{"lang": "es", "tier": "low"}],
    )  # fmt: skip
    assert Counter((r.lang, r.meta["tier"]) for r in records) == {("es", "low"): 5, ("ca", "mid"): 10}


def test_sphinx_examples_are_other_items_of_the_same_language() -> None:
    for record in made(store(200, "es", "ca"), ("es", "ca"), rows={"high": 150, "mid": 150, "low": 1}):
        shots = shots_of(record)
        assert record.group not in shots
        assert len(set(shots)) == len(shots) == int(record.meta["n"])
        assert {m.lang for m in record.messages} == {record.lang}
        assert [m.content for m in record.messages[1:-2:2]] == [f"{record.lang} say {g}" for g in shots]


def chi_square(counts: Counter[int], expected: dict[int, float]) -> float:
    return sum((counts[n] - share) ** 2 / share for n, share in expected.items())


def test_sphinx_number_of_examples_is_uniform_from_none_to_five() -> None:
    counts = Counter(int(r.meta["n"]) for r in made(store(3_000, "es")))
    assert set(counts) == {0, 1, 2, 3, 4, 5}
    assert chi_square(counts, dict.fromkeys(range(6), 500)) < 20.5, "5 degrees, p = 0.001"


def test_sphinx_number_of_examples_follows_the_weights_of_the_recipe() -> None:
    shots = {"min": 1, "max": 4, "weights": [1, 0, 2, 1]}
    counts = Counter(int(r.meta["n"]) for r in made(store(2_000, "es"), shots=shots))
    assert set(counts) == {1, 3, 4}
    assert chi_square(counts, {1: 500, 3: 1_000, 4: 500}) < 13.8, "2 degrees, p = 0.001"


@pytest.mark.slow
def test_sphinx_examples_are_drawn_evenly_from_all_places_of_a_neighbourhood() -> None:
    """Over many seeds, an item meets every other item about equally often."""
    met = Counter(
        group
        for seed in range(300)
        for record in made(store(33, "es"), seed=seed, shots={"min": 1, "max": 1, "pool": 4})
        if record.group == "g0007"
        for group in shots_of(record)
    )
    assert len(met) == 32
    assert chi_square(met, dict.fromkeys(met, 300 / 32)) < 61.1, "31 degrees, p = 0.001"


@pytest.mark.parametrize(("validation", "test"), [(0.06, 0.0), (0.1, 0.2), (0.3, 0.05)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sphinx_examples_stand_on_the_side_of_their_item_but_for_one_neighbourhood_a_border(
    tmp_path: Path, validation: float, test: float, seed: int
) -> None:
    methods = [{"method": "sphinx"}]
    section = DatasetSection.model_validate(
        {"methods": methods, "validation_share": validation, "test_share": test}
    )
    table, pool = store(400, "es", "ca"), 8
    records = made(table, ("es", "ca"), seed=seed, shots={"max": 5, "pool": pool})
    groups = sorted({r.group for r in records})
    keys = group_keys(groups, seed=seed)
    with Splitter(tmp_path, section) as splitter:
        splitter.add(keys)
    side = dict(zip(groups, splitter.sides(keys).tolist(), strict=True))
    assert set(side.values()) == {SPLITS.index(s) for s in ("train", "validation", *["test"] * (test > 0))}
    crossing = [r for r in records if len({side[group] for group in r.groups}) > 1]
    borders = 2 if test else 1
    assert len(crossing) <= borders * 2 * (2 * pool - 1), "two languages, one piece each"
    assert {r.group for r in crossing} <= near_borders(side, seed, 2 * pool)


def near_borders(side: dict[str, int], seed: int, reach: int) -> set[str]:
    runs = [list(run) for _, run in groupby(in_split_order(side, seed=seed), key=side.__getitem__)]
    assert len(runs) == len(set(side.values())), "a split cuts the order, nothing else"
    return {group for run in runs for group in (*run[:reach], *run[-reach:])}


def test_sphinx_leaves_examples_off_from_the_front_until_the_sample_fits() -> None:
    whole = {r.group: r for r in made(store(40, "es"), shots={"min": 5, "max": 5})}
    one_turn = len("es ask g0000es say g0000")
    room = 3 * (one_turn + 12) + 5
    small = made(store(40, "es"), shots={"min": 5, "max": 5}, max_tokens=room, bytes_per_token=1)
    assert {(r.meta["drawn"], r.meta["n"]) for r in small} == {("5", "2")}
    assert all(shots_of(r) == shots_of(whole[r.group])[3:] for r in small)
    tiny = made(store(40, "es"), shots={"min": 5, "max": 5}, max_tokens=1)
    assert {(len(r.messages), r.meta["n"]) for r in tiny} == {(2, "0")}


def test_sphinx_counts_bytes_so_that_scripts_with_long_codes_get_fewer_examples() -> None:
    def examples(text: str) -> str:
        table = AlignedStore([row(f"g{g}", "ne", text) for g in range(9)])
        records = made(table, ("ne",), shots={"min": 3, "max": 3, "pool": 9}, max_tokens=220)
        return {r.meta["n"] for r in records}.pop()

    assert (examples("a" * 60), examples("क" * 60)) == ("3", "1")


def test_sphinx_nearest_examples_are_those_with_most_letters_in_common_the_nearest_last() -> None:
    texts = {
        "g1": "¿Cuál es la capital de Francia?",
        "g2": "¿Cuál es la capital de Italia?",
        "g3": "Escribe un poema sobre el mar.",
        "g4": "¿Qué ciudad es la capital de Austria?",
        "g5": "Ordena estos números de menor a mayor.",
    }
    table = AlignedStore([row(group, "es", text) for group, text in texts.items()])
    nearest = {"min": 2, "max": 2, "pool": 5, "choose": "nearest"}
    record = next(r for r in made(table, shots=nearest) if r.group == "g1")
    assert shots_of(record) == ["g4", "g2"]


@pytest.mark.parametrize(
    ("texts", "nearest"),
    [
        (["北京是中国的首都", "中国的首都在哪里", "我喜欢吃苹果"], [1, 2]),
        (["ما عاصمة فرنسا؟", "اكتب قصيدة", "ما عاصمة إيطاليا؟"], [2, 1]),
        (["e\u0301te\u0301 long", "x", "\u00e9t\u00e9 court"], [2, 1]),
        (["", "", "a"], [1, 2]),
        (["same", "same", "same"], [1, 2]),
        (["\x00\ud800", "b", "\x00\ud800 c"], [2, 1]),
    ],
)
def test_likeness_needs_no_words_and_no_language(texts: list[str], nearest: list[int]) -> None:
    assert Likeness(texts).nearest(0, 5) == nearest


def test_likeness_does_not_count_what_all_texts_have() -> None:
    opening = "Contesta por favor con mucho cuidado a esta pregunta: "
    other = "aparecen sobre tejados viejos cerca del puerto"
    texts = [f"{opening}gatos", f"{opening}x", f"{opening}gatos {other}"]
    assert Likeness(texts).nearest(0, 2) == [2, 1]


def test_sphinx_of_another_seed_draws_other_examples() -> None:
    assert made(store(30, "es")) == made(store(30, "es"))
    assert made(store(30, "es")) != made(store(30, "es"), seed=2)


def test_sphinx_that_cannot_be_met_says_by_how_much_before_the_first_record() -> None:
    rows = [row(f"g{g}", lang) for g in range(5) for lang in ("es", "ca", "gl")]
    section = SphinxMethod.model_validate(
        {
            "method": "sphinx", "source_language": True,
            "rows": {"high": 8, "mid": None, "low": 5}, "tiers": [{"lang": "de", "tier": "mid"}],
        }
    )  # fmt: skip
    with pytest.raises(PreflightError) as caught:
        build(AlignedStore(rows), section, languages=("es", "ca", "ne"), source_lang="en", seed=1)
    assert caught.value.problems == (
        "tiers names de, which is not among the languages of the recipe: ca, en, es, ne",
        "ca: a sample needs up to 6 items, the store has 5: 1 too few",
        "en: 8 rows are asked for, the store has 0: 8 too few",
        "es: 8 rows are asked for, the store has 5: 3 too few",
        "ne: 5 rows are asked for, the store has 0: 5 too few",
    )


@pytest.mark.parametrize(
    ("shots", "said"),
    [
        ({"min": 3, "max": 2}, "write them the other way round"),
        ({"max": 5, "pool": 5}, "5 examples and the item need 6"),
        ({"max": 2, "weights": [1, 1]}, "one number for each of 0 to 2"),
        ({"max": 1, "weights": [0, 0]}, "one of them above 0"),
        ({"max": 1, "weights": [1, -1]}, "greater than or equal to 0"),
    ],
)
def test_shots_that_cannot_be_drawn_are_refused_by_the_recipe(shots: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ShotsSection.model_validate(shots)


def test_sphinx_tier_given_twice_is_refused_by_the_recipe() -> None:
    twice = [{"lang": "es", "tier": "low"}, {"lang": "es", "tier": "mid"}]
    with pytest.raises(ValidationError, match="names es more than once"):
        SphinxMethod.model_validate({"method": "sphinx", "tiers": twice})
