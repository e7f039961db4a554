import re
from collections import Counter

import pytest

from tongues.core.errors import RecipeError, TonguesError
from tongues.core.languages import language, languages


def test_table_has_well_formed_unique_codes():
    rows = languages().values()
    assert len(rows) >= 132
    for row in rows:
        assert re.fullmatch(r"[a-z]{2,3}(-[A-Z][a-z]{3})?", row.code), row
        assert re.fullmatch(r"[A-Z][a-z]{3}", row.script), row
        assert re.fullmatch(r"([a-z]{3}_[A-Z][a-z]{3})?", row.flores), row
    flores = [row.flores for row in rows if row.flores]
    assert len(set(flores)) == len(flores)
    assert len({row.name for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("code", "name", "flores", "direction", "spaces"),
    [
        ("gl", "Galician", "glg_Latn", "ltr", True),
        ("ar", "Arabic", "arb_Arab", "rtl", True),
        ("he", "Hebrew", "heb_Hebr", "rtl", True),
        ("th", "Thai", "tha_Thai", "ltr", False),
        ("zh-Hant", "Chinese (Traditional)", "zho_Hant", "ltr", False),
        ("no", "Norwegian", "nob_Latn", "ltr", True),
        ("mai", "Maithili", "mai_Deva", "ltr", True),
    ],
)
def test_language_known_answers(code, name, flores, direction, spaces):
    found = language(code)
    assert (found.name, found.flores, found.direction, found.has_spaces) == (name, flores, direction, spaces)


def test_tiers_name_languages_of_the_table_and_follow_the_classes():
    assert {code: language(code).tier for code in ("es", "zh-Hant", "ca", "gl", "sw", "mai", "ast")} == {
        "es": "high", "zh-Hant": "high", "ca": "mid", "gl": "mid", "sw": "low", "mai": "low", "ast": "low"
    }  # fmt: skip
    tiers = Counter(row.tier for row in languages().values())
    assert (tiers["high"], tiers["mid"]) == (8, 18 + 27), "a code of the tier lists is not in the table"


def test_table_holds_the_132_languages_of_mits():
    without = [code for code in languages() if code not in ("en", "ast")]
    assert len({code.split("-")[0] if code.startswith("zh") else code for code in without}) == 132


@pytest.mark.parametrize(
    ("code", "hint"), [("galician", "'gl'"), ("zh", "'zh-Hans'"), ("ES", "'es'"), ("gal", "'gl'")]
)
def test_unknown_language_names_the_nearest_code(code, hint):
    with pytest.raises(RecipeError, match=hint):
        language(code)


def test_error_line_says_where_what_and_fix():
    assert TonguesError("It broke.", where="a.py:3", fix="mend it").line() == "a.py:3: It broke. Fix: mend it"
    assert TonguesError("It broke").line() == "It broke"
