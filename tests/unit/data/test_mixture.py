import random
import zlib
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tongues.core.errors import PreflightError
from tongues.core.recipe import MixtureSection
from tongues.data.draw import Draw
from tongues.data.mixture import draw_ranks, mix, quotas

LANGS, METHODS = ["en", "es", "ca"], ["direct", "crossin"]


Cells = dict[tuple[str, str], int]


def names_of(cells: Cells, shuffle: int = 0) -> list[str]:
    every = [f"{lang} {method} {n}" for (lang, method), rows in cells.items() for n in range(rows)]
    return random.Random(shuffle).sample(every, len(every))


def mixed(section: MixtureSection, names: list[str], sizes: list[int], seed: int = 1) -> list[int]:
    """Places of what is kept; methods count where the section weights them."""
    methods = (section.methods and METHODS) or [""]
    cells = [(lang, method) for lang in LANGS for method in methods]
    numbers = [
        cells.index((lang, method if section.methods else "")) for lang, method, _ in map(str.split, names)
    ]
    ranks = draw_ranks(np.array([zlib.crc32(name.encode()) for name in names], np.uint64), seed=seed)
    with TemporaryDirectory() as folder:
        with Draw(Path(folder)) as draw:
            for start in range(0, len(names), 11):
                here = np.arange(start, min(start + 11, len(names)))
                draw.add(
                    ranks=ranks[here], places=here, cells=np.array(numbers)[here], sizes=np.array(sizes)[here]
                )
        return mix(section, draw, cells, languages=("es", "ca"), source_lang="en").tolist()


def kept(section: dict[str, Any], cells: Cells, *, seed: int = 1, shuffle: int = 0) -> list[str]:
    names = names_of(cells, shuffle)
    chosen = mixed(MixtureSection.model_validate(section), names, [1] * len(names), seed)
    return [names[place] for place in chosen]


def counted(names: list[str]) -> dict[str, int]:
    return dict(Counter(name.rsplit(" ", 1)[0] for name in names))


FULL = {("en", "direct"): 100, ("es", "direct"): 80, ("es", "crossin"): 40, ("ca", "direct"): 40}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"languages": {"es": 2}}, {"en": 40, "es": 80, "ca": 40}),
        ({"languages": {"es": 1, "ca": 3, "en": 1}, "budget_rows": 50}, {"en": 10, "es": 10, "ca": 30}),
        ({"english_share": 0.2, "budget_rows": 100}, {"en": 20, "es": 60, "ca": 20}),
        ({"english_share": 0}, {"es": 120, "ca": 40}),
        ({"english_share": 0, "temperature": 1e9}, {"es": 40, "ca": 40}),
        ({"english_share": 0, "temperature": 2, "budget_rows": 60}, {"es": 38, "ca": 22}),
        ({"budget_rows": 26}, {"en": 10, "es": 12, "ca": 4}),
    ],
)
def test_mixture_of_languages_meets_the_shares(section: dict[str, Any], expected: dict[str, int]) -> None:
    assert dict(Counter(name.split()[0] for name in kept(section, FULL))) == expected


def test_mixture_of_methods_is_within_each_language() -> None:
    section = {
        "methods": {"direct": 3, "crossin": 1},
        "english_share": 0,
        "languages": {"es": 2},
        "budget_rows": 60,
    }
    assert counted(kept(section, FULL)) == {"es direct": 30, "es crossin": 10, "ca direct": 20}


def test_mixture_that_cannot_be_met_says_by_how_much_per_language() -> None:
    section = {"languages": {"es": 1, "ca": 1}, "english_share": 0.5, "budget_rows": 400}
    with pytest.raises(PreflightError) as caught:
        kept(section, FULL)
    assert caught.value.problems == (
        "ca: 100 rows are asked for, 40 are there: 60 too few",
        "en: 200 rows are asked for, 100 are there: 100 too few",
    )
    assert "dataset.mixture" in str(caught.value)


def test_mixture_with_a_language_that_has_nothing_says_so_instead_of_keeping_nothing() -> None:
    with pytest.raises(PreflightError, match="ca: 1 rows are asked for, 0 are there: 1 too few"):
        kept({"languages": {"es": 1}}, {("es", "direct"): 10})


def test_mixture_in_tokens_never_goes_over_the_budget() -> None:
    names = names_of({("es", "direct"): 50, ("ca", "direct"): 50})
    sizes = [7 + n % 5 for n in range(100)]
    chosen = mixed(MixtureSection(languages={"es": 1}, budget_tokens=300), names, sizes)
    for lang in ("es", "ca"):
        assert 150 - 12 < sum(sizes[place] for place in chosen if names[place].startswith(lang)) <= 150


def test_mixture_with_a_larger_budget_keeps_what_a_smaller_one_kept() -> None:
    small, large = (set(kept({"budget_rows": rows}, FULL)) for rows in (26, 52))
    assert small < large


def test_mixture_with_another_seed_differs() -> None:
    assert set(kept({"budget_rows": 26}, FULL, seed=1)) != set(kept({"budget_rows": 26}, FULL, seed=2))


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries({("es", "direct"): st.integers(1, 40), ("ca", "crossin"): st.integers(1, 40)}),
    st.floats(0.1, 9),
    st.integers(1, 99),
)
def test_mixture_in_any_order_is_the_same(cells: Cells, weight: float, shuffle: int) -> None:
    section = {"languages": {"es": weight}}
    try:
        expected = sorted(kept(section, cells))
    except PreflightError:
        return
    assert sorted(kept(section, cells, shuffle=shuffle)) == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=2), st.integers(1, 300), st.floats(0, 0.9))
def test_quotas_add_up_to_the_budget(there: list[int], budget: int, english: float) -> None:
    available = {("en", ""): 10_000, ("es", ""): there[0], ("ca", ""): there[1]}
    section = MixtureSection(budget_rows=budget, english_share=english)
    try:
        wanted = quotas(section, available, languages=("es", "ca"), source_lang="en")
    except PreflightError as error:
        assert all("too few" in problem for problem in error.problems)
        return
    assert sum(wanted.values()) == budget
    assert all(rows <= available[cell] for cell, rows in wanted.items())


@pytest.mark.parametrize(
    "section",
    [
        {"languages": {"es": 1}, "temperature": 2},
        {"budget_rows": 1, "budget_tokens": 1},
        {"languages": {"xx": 1}},
        {"languages": {"es": 0}},
        {"english_share": 1},
    ],
)
def test_mixture_section_refuses_what_contradicts_itself(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MixtureSection.model_validate(section)
