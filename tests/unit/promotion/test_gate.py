import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tongues.core.recipe import GateSection
from tongues.core.scores import Measurement, Scores
from tongues.promotion.gate import Decision, decide

LANGS = ("es", "ca", "gl")
POLICY = GateSection()


def scores(role="candidate", *, langs=LANGS, suite_sha256="a" * 64, n=60, model="m", **changed):
    """Scores of a model that is 0.5 everywhere; `changed` maps task__lang to a value, or to None."""
    values = {f"choices/{lang}/accuracy": 0.5 for lang in ("en", *langs)}
    values |= {f"open/{lang}/target_language_rate": 0.8 for lang in langs}
    values |= {f"translation/{lang}/chrf": 40.0 for lang in langs}
    metric = {"choices": "accuracy", "open": "target_language_rate", "translation": "chrf"}
    for name, value in changed.items():
        task, lang = name.split("__")
        values[f"{task}/{lang}/{metric[task]}"] = value
    return Scores(
        role=role,
        model=model,
        model_sha256={"base": "b", "candidate": "c", "champion": "d"}[role] * 64,
        suite="quick",
        suite_sha256=suite_sha256,
        source_lang="en",
        languages=langs,
        measurements={k: Measurement(value=v, n=n) for k, v in values.items() if v is not None},
    )


def failed(decision):
    return [(c.name, c.lang) for c in decision.clauses if not c.passed]


def test_decide_equal_models_passes_with_one_clause_per_language_and_rule():
    decision = decide(scores(), scores("base"), POLICY)
    assert decision.passed
    assert decision.reasons == ()
    assert len(decision.clauses) == 1 + 3 + 1 + 3 + 3
    assert decision.candidate_sha256 == "c" * 64
    assert [c.lang for c in decision.clauses] == [
        "all",
        "ca",
        "es",
        "gl",
        "en",
        "ca",
        "es",
        "gl",
        "ca",
        "es",
        "gl",
    ]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"choices__es": 0.44}, ("max_choices_drop", "es")),
        ({"choices__en": 0.44}, ("max_english_drop", "en")),
        ({"open__ca": 0.49}, ("min_target_language_rate", "ca")),
        ({"translation__gl": 37.9}, ("max_chrf_drop", "gl")),
    ],
)
def test_decide_one_regression_refuses_exactly_that_clause(changed, expected):
    decision = decide(scores(**changed), scores("base"), POLICY)
    assert failed(decision) == [expected]
    assert not decision.passed


def test_decide_drop_of_exactly_the_bound_passes_despite_rounding():
    assert 0.55 - 0.50 > 0.05  # what floating point makes of it
    decision = decide(scores(choices__es=0.50), scores("base", choices__es=0.55), POLICY)
    assert decision.passed


def test_decide_reason_says_language_direction_numbers_and_bound():
    decision = decide(scores(choices__es=0.4), scores("champion"), POLICY)
    (reason,) = decision.reasons
    assert reason == (
        "es: multiple-choice accuracy fell by 0.100, from 0.500 (champion) to 0.400 (candidate) "
        "over 60 items; a drop of at most 0.05 is allowed"
    )


def test_decide_suite_without_choices_refuses_and_names_the_file_to_add():
    gone = {f"choices__{lang}": None for lang in ("en", *LANGS)}
    decision = decide(scores(**gone), scores("base", **gone), POLICY)
    assert {name for name, _ in failed(decision)} == {"max_choices_drop", "max_english_drop"}
    assert "candidate and the base" in decision.reasons[0]
    assert "evaluation.suite.choices_uri" in decision.reasons[0]


def test_decide_measurement_over_no_items_counts_as_not_measured():
    decision = decide(scores(n=0), scores("base"), POLICY)
    assert not decision.passed
    assert all("not measured" in reason for reason in decision.reasons)


def with_more(one, **values):
    """Scores with further measurements: TASK__LANG__METRIC to value."""
    more = {name.replace("__", "/"): Measurement(value=value, n=30) for name, value in values.items()}
    return one.model_copy(update={"measurements": one.measurements | more})


def test_decide_chains_without_their_end_refuse_in_that_task_and_language():
    broken = with_more(scores(), open__es__format_failure_rate=0.2, qa__ca__format_failure_rate=0.1)
    decision = decide(broken, scores("base"), POLICY)
    assert failed(decision) == [("max_format_failures", "es")]
    assert decision.reasons == (
        "es: 0.200 of 30 chains in open (candidate) lack their last segment; at most 0.1 is allowed",
    )


def test_decide_floors_and_drops_of_any_measure_hold_in_every_language():
    policy = GateSection(min_scores={"open/judge": 6.0}, max_drops={"qa/f1": 0.05})
    judged = {f"open__{lang}__judge": 6.5 for lang in LANGS}
    now = with_more(scores(), **judged | {f"qa__{lang}__f1": 0.40 for lang in LANGS})
    before = with_more(scores("base"), **{f"qa__{lang}__f1": 0.45 for lang in LANGS})
    assert decide(now, before, policy).passed
    worse = with_more(now, open__gl__judge=5.9, qa__es__f1=0.39)
    assert failed(decide(worse, before, policy)) == [("min_scores", "gl"), ("max_drops", "es")]


def test_decide_a_floor_without_a_measurement_refuses_and_names_the_file_to_add():
    decision = decide(scores(), scores("base"), GateSection(min_scores={"qa/f1": 0.4}))
    assert failed(decision) == [("min_scores", lang) for lang in sorted(LANGS)]
    assert "evaluation.suite.qa_uri" in decision.reasons[0]


def test_policy_about_an_unknown_task_is_refused():
    with pytest.raises(ValidationError, match="open\\|qa"):
        GateSection(min_scores={"opne/judge": 6.0})


def test_decide_different_suites_refuses_even_if_every_number_is_better():
    decision = decide(scores(choices__es=0.9), scores("base", suite_sha256="f" * 64), POLICY)
    assert failed(decision) == [("suite", "all")]
    assert "evaluate the base again" in decision.reasons[0]


def test_decide_candidate_that_forgot_a_language_of_the_champion_refuses():
    decision = decide(scores(langs=("es", "ca")), scores("champion"), POLICY)
    assert {lang for _, lang in failed(decision)} == {"gl"}


def test_decision_that_contradicts_its_clauses_is_not_accepted():
    said = decide(scores(choices__es=0.1), scores("base"), POLICY).model_dump()
    with pytest.raises(ValidationError, match="passed must be true exactly"):
        Decision.model_validate(said | {"passed": True})


def test_to_json_reads_back_as_the_same_decision():
    decision = decide(scores(choices__es=0.1), scores("base"), POLICY)
    assert Decision.model_validate_json(decision.to_json()) == decision
    assert json.loads(decision.to_json())["policy"]["max_choices_drop"] == 0.05


def test_to_markdown_hostile_model_name_stays_in_its_cell():
    decision = decide(scores(model="a|b\n| x | y |"), scores("base"), POLICY)
    lines = decision.to_markdown().splitlines()
    assert "a\\|b \\| x \\| y \\|" in lines[0]
    assert len(lines) == 1 + 1 + 2 + len(decision.clauses)


accuracy = st.integers(0, 60).map(lambda right: right / 60)
worlds = st.fixed_dictionaries(
    {
        **{f"choices__{lang}": st.none() | accuracy for lang in ("en", *LANGS)},
        **{f"open__{lang}": st.none() | accuracy for lang in LANGS},
        **{f"translation__{lang}": st.none() | st.floats(0, 100) for lang in LANGS},
    }
)


@given(worlds, worlds)
def test_decide_any_scores_refuses_exactly_when_a_clause_failed(candidate, base):
    decision = decide(scores(**candidate), scores("base", **base), POLICY)
    assert decision.passed == (not failed(decision)) == (not decision.reasons)


@given(worlds, worlds, st.data())
def test_decide_better_candidate_never_loses_what_it_had_passed(candidate, base, data):
    before = decide(scores(**candidate), scores("base", **base), POLICY)
    name = data.draw(st.sampled_from([k for k, v in candidate.items() if v is not None] or ["choices__es"]))
    ceiling = 100.0 if name.startswith("translation") else 1.0
    better = candidate | {name: data.draw(st.floats(candidate[name] or 0.0, ceiling))}
    after = decide(scores(**better), scores("base", **base), POLICY)
    assert set(failed(after)) <= set(failed(before))


@given(worlds, worlds, st.randoms())
def test_decide_order_of_languages_and_measurements_does_not_matter(candidate, base, random):
    one = scores(**candidate)
    names, langs = list(one.measurements), list(LANGS)
    random.shuffle(names)
    random.shuffle(langs)
    shuffled = one.model_copy(
        update={"measurements": {n: one.measurements[n] for n in names}, "languages": tuple(langs)}
    )
    reference = scores("base", **base)
    assert decide(shuffled, reference, POLICY).to_json() == decide(one, reference, POLICY).to_json()
