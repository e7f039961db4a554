import hashlib
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tongues.core.recipe import DatasetSection
from tongues.data.splits import SPLITS, Split, Splitter, group_keys


def section(validation: float, test: float = 0.0) -> DatasetSection:
    methods = [{"method": "direct"}]
    return DatasetSection.model_validate(
        {"methods": methods, "validation_share": validation, "test_share": test}
    )


def split_groups(names: list[str], section: DatasetSection, *, seed: int) -> dict[str, Split]:
    keys = group_keys(names, seed=seed)
    with TemporaryDirectory() as folder:
        with Splitter(Path(folder), section) as splitter:
            splitter.add(keys[:7])
            splitter.add(keys[7:])
        places = splitter.sides(keys).tolist()
    return {name: SPLITS[place] for name, place in zip(names, places, strict=True)}


def groups(n: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest()[:16] for i in range(n)]


@pytest.mark.parametrize(
    ("n", "validation", "test", "expected"),
    [
        (180, 0.05, 0.1, (153, 9, 18)),
        (1_000, 0.05, 0.0, (950, 50, 0)),
        (10, 0.05, 0.05, (8, 1, 1)),
        (3, 0.01, 0.01, (1, 1, 1)),
        (3, 0.9, 0.0, (1, 2, 0)),
        (3, 0.49, 0.5, (1, 0, 2)),
        (2, 0.5, 0.0, (2, 0, 0)),
        (1, 0.5, 0.4, (1, 0, 0)),
        (0, 0.5, 0.4, (0, 0, 0)),
        (5, 0.0, 0.0, (5, 0, 0)),
    ],
)
def test_split_groups_meets_the_shares(
    n: int, validation: float, test: float, expected: tuple[int, int, int]
) -> None:
    sides = list(split_groups(groups(n), section(validation, test), seed=1).values())
    assert tuple(sides.count(side) for side in ("train", "validation", "test")) == expected


def test_split_groups_in_any_order_and_with_repeats_is_the_same() -> None:
    names = groups(200)
    shuffled = random.Random(3).sample(names, 200) + names[:50]
    assert split_groups(names, section(0.1, 0.1), seed=5) == split_groups(shuffled, section(0.1, 0.1), seed=5)


def test_split_groups_follows_the_documented_rule() -> None:
    names = groups(40)
    ranked = sorted(names, key=lambda g: hashlib.blake2b(f"9:{g}".encode(), digest_size=8).digest())
    sides = split_groups(names, section(0.1, 0.2), seed=9)
    assert [g for g in ranked if sides[g] == "test"] == ranked[:8]
    assert [g for g in ranked if sides[g] == "validation"] == ranked[8:12]


def test_split_groups_with_another_seed_differs() -> None:
    names = groups(100)
    assert split_groups(names, section(0.3), seed=1) != split_groups(names, section(0.3), seed=2)


def test_split_groups_with_one_more_group_moves_only_the_borders() -> None:
    names = groups(301)
    before, after = (split_groups(part, section(0.1, 0.1), seed=1) for part in (names[:300], names))
    assert sum(before[g] != after[g] for g in names[:300]) <= 2
