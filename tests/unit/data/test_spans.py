import itertools
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tongues.core.errors import RecipeError
from tongues.core.ports import Protector, SpanLostError
from tongues.core.recipe import TranslationSection
from tongues.data.spans import SpanProtector

PROTECTOR: Protector = SpanProtector()
HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("`~$\\{}<>%&()[]@./:#\"'_*xXqQ0123456789 \n\t-–€°⟦⟧"),
        st.sampled_from("กำไทยகா हिن עא日本한\u200d\u202e\u0301"),
    ),
    max_size=80,
)
PIECES = "`a b`|```\nx = 1\n```|https://example.org/a_(b).|$12|{name}|%s|<b>|Xq3q|xq12|Q|word |5 km|\n|$x^2$"
PIECES += "|\\frac{1}{2}|xq|1q|me@example.org|日本| "
FRAGMENTS = st.lists(st.sampled_from(PIECES.split("|")), max_size=15).map("".join)


def spans(text: str, literals: tuple[str, ...] = ()) -> list[str]:
    return list(PROTECTOR.mask(text, literals).marks.values())


@settings(max_examples=120, deadline=None)
@given(st.one_of(HOSTILE, FRAGMENTS), st.lists(st.text(max_size=4), max_size=3))
@example("\ud800 `x\ud800`", ["\ud800"])
@example("Xq0q xq1q XQ2Q xq\u0663q Xq0qq", [])
@example("xq`x`1q xXq`y`", [])
def test_restore_of_an_untouched_mask_is_the_text(text: str, literals: list[str]) -> None:
    masked = PROTECTOR.mask(text, literals)
    assert PROTECTOR.restore(masked.text, masked) == text


@settings(max_examples=80, deadline=None)
@given(FRAGMENTS, st.randoms(use_true_random=False))
def test_restore_of_marks_in_any_order_puts_every_span_back(text: str, random) -> None:  # type: ignore[no-untyped-def]
    masked = PROTECTOR.mask(text)
    order = list(masked.marks)
    random.shuffle(order)
    shuffled = " so ".join(mark.swapcase() for mark in order)
    assert PROTECTOR.restore(shuffled, masked) == " so ".join(masked.marks[mark] for mark in order)


def test_restore_of_every_permutation_of_three_spans_is_exact() -> None:
    masked = PROTECTOR.mask("copy `a` to {b} and https://example.org/c")
    for order in itertools.permutations(masked.marks):
        text = f"{order[0]}, {order[1]} y {order[2]}."
        assert PROTECTOR.restore(text, masked) == "{}, {} y {}.".format(*(masked.marks[m] for m in order))


@pytest.mark.parametrize(
    ("translated", "what"),
    [
        ("nada", "missing: Xq0q"),
        ("Xq0q Xq0q", "doubled: Xq0q"),
        ("Xq0q Xq7q", "unknown: Xq7q"),
        ("Xq00q Xq0q", "doubled"),
        ("Xq 0q", "missing"),
        ("Xq0", "missing"),
        ("Xq0q xq0", "altered mark"),
    ],
)
def test_restore_of_a_broken_mark_raises(translated: str, what: str) -> None:
    with pytest.raises(SpanLostError, match=what):
        PROTECTOR.restore(translated, PROTECTOR.mask("run `ls` now"))


def test_restore_of_a_mark_where_there_was_none_raises() -> None:
    with pytest.raises(SpanLostError, match="unknown: Xq0q"):
        PROTECTOR.restore("hola Xq0q", PROTECTOR.mask("hello"))


@pytest.mark.parametrize(
    ("text", "translated", "restored"),
    [
        ("run `ls` now", "ejecutaXq0qahora", "ejecuta `ls` ahora"),
        ("run `ls` now", "XQ0Q, ahora", "`ls`, ahora"),
        ("`a` and `b`", "Xq0qXq1q", "`a` `b`"),
        ("the `x`s", "los Xq0qs", "los `x`s"),
        ("(`x`)", "( Xq0q )", "( `x` )"),
        ("run `ls` now", "今すぐXq0qを実行", "今すぐ`ls`を実行"),
    ],
)
def test_restore_of_a_span_that_lost_its_spaces_glues_no_words(
    text: str, translated: str, restored: str
) -> None:
    assert PROTECTOR.restore(translated, PROTECTOR.mask(text)) == restored


FOUND = [
    ("Use `ls -l`, ``a`b`` and `` ` ``.", ["`ls -l`", "``a`b``", "`` ` ``"]),
    ("Say:\n```py\nprint('hi')\n```\nDone", ["```py\nprint('hi')\n```"]),
    ("Use this: ```python\nx\n```\nDone", ["```python\nx\n```"]),
    ("~~~\na ``` b\n~~~\nend", ["~~~\na ``` b\n~~~"]),
    ("open\n```\nnever closed", ["```\nnever closed"]),
    ("def f(x):\n    return x + 1\n\nThis adds one.", ["def f(x):\n    return x + 1"]),
    ("Call my_function() or os.getcwd() now", ["my_function()", "os.getcwd()"]),
    ('{"name": "Eva", "age": 3}', ['"name"', '"age"']),
    (
        "See https://example.org/a_(b). Or (www.example.com)!",
        ["https://example.org/a_(b)", "www.example.com"],
    ),
    ("Mail a.b+c@example.org, please", ["a.b+c@example.org"]),
    ("12 km at 5 m/s, 16GB, 100 °C, 50% and 98.6°F", ["12 km", "5 m/s", "16GB", "100 °C", "50%", "98.6°F"]),
    ("$12, €5.99, 10€ and 1,000.5", ["$12", "€5.99", "10€", "1,000.5"]),
    ("at 10:30 on 2024-05-03, 3/4 of 1e-4", ["10:30", "2024-05-03", "3/4", "1e-4"]),
    (
        "{name} {{user}} ${x} %s %(n)d %5.2f {0:.2f}",
        ["{name}", "{{user}}", "${x}", "%s", "%(n)d", "%5.2f", "{0:.2f}"],
    ),
    ('<b>x</b> <a href="y">z</a><br/> &amp;', ["<b>", "</b>", '<a href="y">', "</a><br/>", "&amp;"]),
    ("(A) red\nB. blue", ["(A)", "B."]),
    ("$x^2$ and $$\\int$$ and \\(a\\) and \\[b\\]", ["$x^2$", "$$\\int$$", "\\(a\\)", "\\[b\\]"]),
    ("\\begin{align}a\\end{align} \\frac{1}{2}", ["\\begin{align}a\\end{align}", "\\frac{1}{2}"]),
    ("He had 48/2 = 24 clips, 0.2 x 50 = $10", ["48/2 = 24", "0.2 x 50 = $10"]),
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_mask_finds_the_span(text: str, expected: list[str]) -> None:
    assert spans(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "There are 3 apples and 24 clips in 1999, the 1990s, 3 May 2024.",
        "If you like this: do it.\nFor example, read a book.",
        "a < b and c > d; w/o doubt 100 people and/or 5 dogs",
        "I am sure, e.g. today. Yes.",
        "It is the 1st or 2nd of the 21st century",
        "",
    ],
)
def test_mask_leaves_prose_visible(text: str) -> None:
    assert spans(text) == []


def test_mask_of_two_prices_is_not_a_formula() -> None:
    assert spans("She had $5 and he had 10$ then") == ["$5", "10$"]


def test_mask_of_literals_takes_the_longest_and_whole_words_first() -> None:
    assert spans("Mona Lisa, not Mona", ("Mona", "Mona Lisa")) == ["Mona Lisa", "Mona"]
    assert spans("art in the party", ("art",)) == ["art"]
    assert spans("two PDFs", ("PDF",)) == ["PDF"]
    assert spans("東京都に行く", ("東京",)) == ["東京"]


def test_mask_of_overlapping_spans_joins_them_whatever_the_order() -> None:
    text = "see the big red `box` here"
    assert spans(text, ("big red", "red `box")) == spans(text, ("red `box", "big red")) == ["big red `box`"]


def test_protector_of_a_recipe_takes_its_kinds_and_patterns() -> None:
    engine = {"kind": "apertium"}
    section = TranslationSection.model_validate(
        {"engine": engine, "protect": ["url"], "protect_patterns": [r"[A-Z]{2}-\d+", "z*"]}
    )
    masked = SpanProtector.from_section(section).mask("`code` AB-12 https://example.org")
    assert list(masked.marks.values()) == ["AB-12", "https://example.org"]


def test_protector_with_broken_patterns_names_them_all() -> None:
    with pytest.raises(RecipeError) as caught:
        SpanProtector((), ["(", "ok", "[a"])
    assert len(caught.value.problems) == 2


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "unit", ["`", "` ", "$1 ", "<a ", "\\begin{a}", "a.", "1,", "((", "\n", "xq1q ", "{a"]
)
def test_mask_of_hostile_repetition_takes_linear_time(unit: str) -> None:
    text = unit * (40_000 // len(unit))
    masked = PROTECTOR.mask(text)
    assert PROTECTOR.restore(masked.text, masked) == text


def test_marks_of_a_masked_text_are_all_that_looks_like_one() -> None:
    masked = PROTECTOR.mask("Xq4q `a` XQ5Q xq6")
    assert re.findall(r"xq\d+q?", masked.text, re.IGNORECASE) == list(masked.marks)
