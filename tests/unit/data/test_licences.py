import pytest

from tongues.data.licences import LEVELS, demand, strictest


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (["CC0-1.0"], "CC0-1.0"),
        (["MIT", "CC0-1.0"], "MIT"),
        (["CC-BY-SA-4.0", "Apache-2.0", "MIT"], "CC-BY-SA-4.0"),
        (["CC-BY-NC-4.0", "GPL-3.0-only"], "CC-BY-NC-4.0"),
        (["CC-BY-NC-ND-4.0", "CC-BY-NC-SA-4.0"], "CC-BY-NC-ND-4.0"),
        (["CC-BY-NC-ND-4.0", "Custom"], "Custom"),
    ],
)
def test_strictest_in_any_order(licences: list[str], expected: str) -> None:
    assert strictest(licences) == strictest(licences[::-1]) == expected


def test_demand_of_an_unknown_licence_says_that_it_has_to_be_read() -> None:
    assert "read it" in demand("Custom")
    assert demand("MIT") == "name the authors"


def test_levels_name_every_licence_once() -> None:
    names = [name for _, level in LEVELS for name in level]
    assert len(names) == len(set(names)) > 40
