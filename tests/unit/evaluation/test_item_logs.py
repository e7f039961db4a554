"""Published answers item by item: read in both shapes, and measured as by going through every subset."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.errors import DataError
from tongues.evaluation.item_logs import Answered, item_log_figures, median_figures, read_item_log
from tongues.evaluation.metrics import ac3

LANGS = ("English", "Chinese", "Spanish", "Vietnamese")


def record(number: int, right: str, said: dict[str, str], *, aligned: bool = True) -> dict[str, Any]:
    """An item as SeaEval's logs have it; options are words of their own in each language."""
    found: dict[str, Any] = {"id": number}
    for lang, letter in said.items():
        choices = [f"({x}) {lang} {x}{number}" for x in "ABCD"]
        by_letter = {choice[1]: choice for choice in choices}
        prose = f"I think that {by_letter.get(letter, letter)} is right."
        item = {"question": "?", "choices": choices, "answer": by_letter[right], "model_prediction": prose}
        found[lang] = item | ({"model_prediction_align": by_letter.get(letter, letter)} if aligned else {})
    return found


def written(path: Path, records: list[Any], *, lines: bool = False) -> Path:
    text = "\n".join(map(json.dumps, records)) if lines else json.dumps(records)
    path.write_text(text, encoding="utf-8")
    return path


answers = st.lists(
    st.tuples(st.sampled_from("ABCD"), st.tuples(*[st.sampled_from("ABCD")] * len(LANGS))),
    min_size=1,
    max_size=12,
)


@given(answers)
def test_figures_are_those_of_going_through_every_subset(items: list[tuple[str, tuple[str, ...]]]) -> None:
    """The authors' own way: a loop over subsets, each the share of items with one letter for all of it."""
    told = [
        Answered(str(n), lang, right, got, drawn=False)
        for n, (right, said) in enumerate(items)
        for lang, got in zip(LANGS, said, strict=True)
    ]
    found = item_log_figures(told)
    accuracy = sum(
        sum(said[at] == right for right, said in items) / len(items) for at in range(len(LANGS))
    ) / len(LANGS)
    assert found["all/accuracy"].value == pytest.approx(accuracy)
    for s in range(2, len(LANGS) + 1):
        shares = [
            sum(len({said[at] for at in subset}) == 1 for _, said in items) / len(items)
            for subset in itertools.combinations(range(len(LANGS)), s)
        ]
        consistent = sum(shares) / len(shares)
        assert found[f"all/consistency_{s}"].value == pytest.approx(consistent)
        assert found[f"all/ac3_{s}"].value == pytest.approx(
            2 * accuracy * consistent / (accuracy + consistent + 1e-10)
        )


PUBLISHED = {
    2: (0.5641269841269841, 0.5542753533779595), 3: (0.399047619047619, 0.4606563835944573),
    4: (0.3146666666666667, 0.39891252950441136), 5: (0.2653968253968254, 0.3569129720413312),
    6: (0.2342857142857143, 0.32765630453356137), 7: (0.21333333333333335, 0.30659966495118135),
}  # fmt: skip
"""Consistency_s and AC3_s of the scores that SeaEval's repository has of one model on Cross-MMLU (commit
0c08376, log/LLaMA_3_Merlion_8B, zero_shot_p1)."""


@pytest.mark.parametrize("s", PUBLISHED)
def test_ac3_of_published_scores_is_reproduced_to_the_last_digit(s: int) -> None:
    consistent, published = PUBLISHED[s]
    assert ac3(0.5447619047619047, consistent) == pytest.approx(published, abs=1e-15)


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("aligned", [False, True])
def test_log_of_the_authors_is_read_with_and_without_aligned_predictions(
    tmp_path: Path, lines: bool, aligned: bool
) -> None:
    said = [dict.fromkeys(LANGS, "B"), dict(zip(LANGS, "BBAC", strict=True))]
    records = [record(n, "B", one, aligned=aligned) for n, one in enumerate(said)]
    path = written(tmp_path / "log.json", records, lines=lines)
    found = item_log_figures(read_item_log(path))
    assert found["all/accuracy"].value == 0.75 and found["all/consistency_3"].value == 0.5
    assert found["all/consistency_2"].value == pytest.approx((1 + 1 / 6) / 2)
    assert found["English/accuracy"].value == 1.0 and found["Spanish/accuracy"].value == 0.5
    assert {found[f"{lang}/unmapped_rate"].value for lang in LANGS} == {0.0}


def test_rows_are_read_by_letter_and_by_what_they_say(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "lang": "en", "answer": "A", "prediction": "(A) yes"},
        {
            "id": "1",
            "lang": "es",
            "answer": "(A) sí",
            "prediction": "Creo que sí.",
            "choices": ["(A) sí", "(B) no"],
        },
        {"id": "2", "lang": "en", "answer": "B", "prediction": "B"},
        {"id": "2", "lang": "es", "answer": "B.", "prediction": "C: tal vez"},
    ]
    found = item_log_figures(read_item_log(written(tmp_path / "rows.jsonl", rows, lines=True)))
    assert found["all/accuracy"].value == 0.75 and found["all/consistency_2"].value == 0.5


def test_aligned_prediction_that_is_no_option_agrees_with_none_and_is_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "log.json", [record(1, "A", dict.fromkeys(LANGS, "none of these"))])
    found = item_log_figures(read_item_log(path))
    assert found["all/consistency_2"].value == 0 and found["English/unmapped_rate"].value == 1.0


def test_prose_that_names_nothing_is_drawn_alike_every_time_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "log.json", [record(1, "A", dict.fromkeys(LANGS, "hm"), aligned=False)])
    first, second = read_item_log(path), read_item_log(path)
    assert first == second and all(one.drawn and one.got in "ABCD" for one in first)


def test_median_is_taken_figure_by_figure(tmp_path: Path) -> None:
    logs = [
        item_log_figures(read_item_log(written(tmp_path / f"{n}.json", [record(1, "A", said)])))
        for n, said in enumerate(
            [dict.fromkeys(LANGS, "A"), dict.fromkeys(LANGS, "B"), dict(zip(LANGS, "AABB", strict=True))]
        )
    ]
    found = median_figures(logs)
    assert found["all/accuracy"].value == 0.5 and found["all/consistency_4"].value == 1.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read as JSON"),
        ('"x"', "not a list of records"),
        ("[]", "no answers here"),
        ('[{"id": 1}]', "record 1 is none of these shapes"),
        ('[{"id": 1, "lang": "en", "answer": "yes", "prediction": "A"}]', "no letter in the answer"),
        ('[{"id": 1, "lang": "en", "answer": "A", "prediction": "hm"}]', "record 1.*choices"),
        ('[{"id": 1, "English": {"answer": "(A) a", "choices": ["(A) a"]}}]', "record 1.*model_prediction"),
    ],
)
def test_file_of_another_shape_is_refused_with_the_shapes(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "log.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=said) as caught:
        read_item_log(path)
    assert "SeaEval's records" in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lang": "fr"}, "en lacks the items 2"),
        ({"id": "1"}, "item 1 stands twice in en"),
        ({"right": "B"}, "item 2 has not the same right letter"),
    ],
)
def test_items_that_are_not_aligned_are_refused(change: dict[str, str], said: str) -> None:
    rows = [Answered(n, lang, "A", "A", drawn=False) for n in ("1", "2") for lang in ("es", "en")]
    fields = {"id": "2", "lang": "en", "right": "A", "got": "A"} | change
    with pytest.raises(DataError, match=said):
        item_log_figures([*rows[:3], Answered(**fields, drawn=False)])
