import itertools
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.scores import Measurement, Scores
from tongues.evaluation.compare import Answers, Change, by_task, compare
from tongues.evaluation.corrections import holm, paired_p
from tongues.evaluation.measures import MEASURES
from tongues.evaluation.paired import Paired
from tongues.evaluation.samples import Sample
from tongues.evaluation.score import measure


def test_holm_known_answer_and_order() -> None:
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, then never falling: 0.02, 0.03, 0.06, 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.9]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_below_the_value_never_above_bonferroni_and_order_is_kept(values: list[float]) -> None:
    corrected = holm(values)
    assert all(p <= q <= 1.0 for p, q in zip(values, corrected, strict=True))
    assert min(corrected) == pytest.approx(min(1.0, len(values) * min(values)))
    assert max(corrected) >= max(values)
    for (p, q), (r, s) in itertools.combinations(zip(values, corrected, strict=True), 2):
        assert (p <= r and q <= s) or (p >= r and q >= s)


def test_paired_p_of_right_and_wrong_is_mcnemars_exact_test() -> None:
    before = [1.0] * 9 + [0.0] * 1 + [1.0] * 50
    after = [0.0] * 9 + [1.0] * 1 + [1.0] * 50  # nine lost, one gained
    assert paired_p(before, after) == pytest.approx(2 * (comb(10, 0) + comb(10, 1)) / 2**10)
    assert paired_p(before, before) == 1.0
    assert paired_p([1.0, 0.0], [0.0, 1.0]) == 1.0


def test_paired_p_of_other_values_agrees_with_all_sign_flips() -> None:
    changes = [0.3, 0.5, -0.1, 0.9, 0.2, 0.4, -0.2, 0.7]
    flips = itertools.product((1, -1), repeat=len(changes))
    sums = [abs(sum(sign * change for sign, change in zip(signs, changes, strict=True))) for signs in flips]
    exact = sum(total >= sum(changes) - 1e-9 for total in sums) / len(sums)
    assert paired_p([0.0] * len(changes), changes) == pytest.approx(exact, abs=0.01)


def choice(lang: str, number: int, right: bool) -> Sample:
    letter = "A" if right else "B"
    return Sample(
        "choices", lang, str(number), "?", "A", letter, right, letter, right, ("x", "y"), (-1.0, -2.0)
    )


def scores_of(role: str, samples: list[Sample]) -> Scores:
    measurements, _ = measure(by_task(samples))
    return Scores(role=role, model=role, model_sha256="0" * 64, suite="s", suite_sha256="0" * 64,
                  source_lang="en", languages=("es", "gl", "ca"), measurements=measurements)  # fmt: skip


def test_compare_corrects_for_the_languages_of_one_measure() -> None:
    lost = {"en": 0, "es": 6, "gl": 9, "ca": 3}
    before = [choice(lang, n, True) for lang in lost for n in range(30)]
    after = [choice(lang, n, n >= count) for lang, count in lost.items() for n in range(30)]
    changes = compare(
        scores_of("base", before), scores_of("candidate", after), Answers.of(before), Answers.of(after)
    )
    found = {c.lang: (c.p, c.p_holm) for c in changes if c.measure.metric == "accuracy"}
    raw = {lang: min(1.0, 2 / 2**count) for lang, count in lost.items()}
    assert {lang: p for lang, (p, _) in found.items()} == pytest.approx(raw)
    assert {lang: q for lang, (_, q) in found.items()} == pytest.approx(
        {"gl": 4 * raw["gl"], "es": 3 * raw["es"], "ca": 2 * raw["ca"], "en": 1.0}
    )
    assert changes[0].as_difference().p_holm == pytest.approx(changes[0].p_holm)


def test_verdict_of_a_measure_where_less_is_better() -> None:
    failures = next(m for m in MEASURES if m.metric == "format_failure_rate")
    some = Measurement(value=0.2, n=50)
    rise = Measurement(value=0.2, n=50, low=0.1, high=0.3)
    fall = Measurement(value=-0.2, n=50, low=-0.3, high=-0.1)
    assert [Change(failures, "es", some, some, Paired(d, "score", {}, {})).verdict for d in (rise, fall)] == [
        "worse",
        "better",
    ]
