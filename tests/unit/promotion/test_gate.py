import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tongues.core.comparison import Contamination, Difference, Exposure
from tongues.core.recipe import GateSection
from tongues.core.scores import Measurement, Scores
from tongues.evaluation.paired import paired
from tongues.promotion.clauses import fewest_items
from tongues.promotion.evidence import Evidence
from tongues.promotion.gate import Decision
from tongues.promotion.gate import decide as decide_on

LANGS = ("es", "ca", "gl")
POLICY = GateSection(confidence=0.5)  # bounds held against the measured values
SURE = GateSection(confidence=0.95)


def searched(*langs, tasks=("choices", "open", "translation"), **met):
    """A search of the training data that found what `met` says: task__lang to direct, translated."""
    exposures = []
    for task in tasks:
        for lang in langs:
            direct, translated = met.get(f"{task}__{lang}", (0, 0))
            exposures.append(Exposure(task=task, lang=lang, items=60, direct=direct, translated=translated))
    return Contamination(dataset_sha256="7" * 64, records=9, rule="r", exposures=tuple(exposures))


CLEAN = searched("en", *LANGS, tasks=("choices", "open", "qa", "translation"))
SOUND = Evidence(
    parity=1.0, lineage_faults=(), base_licence="MIT", data_licences=("CC0-1.0",), contamination=CLEAN
)


def decide(candidate, reference, policy, evidence=SOUND):
    return decide_on(candidate, reference, policy, evidence)


def difference(name, before, after):
    """What evaluation says of the same items right (1) or wrong (0) before and after."""
    task, lang, metric = name.split("/")
    found = paired(before, after)
    return Difference(
        task=task,
        lang=lang,
        metric=metric,
        before=sum(before) / len(before),
        after=sum(after) / len(after),
        change=found.change,
        better=1,
        interval=found.interval,
        gain_at_least=found.gain_at_least(1),
        verdict="unclear",
    )


def asked(right_before, right_after):
    """Scores of both models and their differences from items of every language, "en" included."""
    both = []
    for role, right in (("candidate", right_after), ("champion", right_before)):
        values = {f"choices__{lang}": sum(items) / len(items) for lang, items in right.items()}
        one = scores(role, langs=tuple(lang for lang in right if lang != "en"), **values)
        n = {f"choices/{lang}/accuracy": len(items) for lang, items in right.items()}
        taken = {k: m.model_copy(update={"n": n.get(k, m.n)}) for k, m in one.measurements.items()}
        both.append(one.model_copy(update={"measurements": taken}))
    differences = [
        difference(f"choices/{lang}/accuracy", right_before[lang], right_after[lang]) for lang in right_before
    ]
    differences += [
        difference(f"translation/{lang}/chrf", [40.0] * 12, [40.5] * 12)
        for lang in right_before
        if lang != "en"
    ]
    return (*both, SOUND.model_copy(update={"differences": tuple(differences)}))


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
    assert len(decision.clauses) == 4 + 4 + 3 + 1 + 3 + 3
    assert decision.candidate_sha256 == "c" * 64
    assert [c.lang for c in decision.clauses] == [
        *["all"] * 4,
        "en",
        "ca",
        "es",
        "gl",
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
    policy = GateSection(confidence=0.5, min_scores={"open/judge": 6.0}, max_drops={"qa/f1": 0.05})
    judged = {f"open__{lang}__judge": 6.5 for lang in LANGS}
    now = with_more(scores(), **judged | {f"qa__{lang}__f1": 0.40 for lang in LANGS})
    before = with_more(scores("base"), **{f"qa__{lang}__f1": 0.45 for lang in LANGS})
    assert decide(now, before, policy).passed
    worse = with_more(now, open__gl__judge=5.9, qa__es__f1=0.39)
    assert failed(decide(worse, before, policy)) == [("min_scores", "gl"), ("max_drops", "es")]


def test_decide_a_floor_without_a_measurement_refuses_and_names_the_file_to_add():
    decision = decide(scores(), scores("base"), GateSection(confidence=0.5, min_scores={"qa/f1": 0.4}))
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


def test_decide_with_confidence_few_items_refuse_and_the_sentence_says_how_many_it_takes():
    same = {lang: [1, 1, 1, 0, 0] if lang == "es" else [1, 0] * 60 for lang in ("en", *LANGS)}
    decision = decide(*asked(same, same)[:2], SURE, asked(same, same)[2])
    assert failed(decision) == [("max_choices_drop", "es")]
    assert decision.reasons == (
        "es: multiple-choice accuracy did not change, from 0.600 (champion) to 0.600 (candidate) over 5 "
        "items; a drop of at most 0.05 is allowed, and with 95 % confidence it is at most 0.351 "
        "(5 items are too few: even without any change it takes 52)",
    )
    (clause,) = (c for c in decision.clauses if not c.passed)
    assert (clause.n, clause.measured) == (5, 0.0) and clause.at_worst == pytest.approx(0.3511, abs=1e-4)


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.975, 0.99])
def test_fewest_items_is_the_first_number_that_passes_without_any_change(confidence):
    least = fewest_items(0.05, confidence)
    policy = GateSection(confidence=confidence)
    for n, passes in ((least, True), (least - 1, False)):
        same = {lang: [1.0] * n for lang in ("en", *LANGS)}
        candidate, champion, evidence = asked(same, same)
        assert decide(candidate, champion, policy, evidence).passed is passes


def test_decide_with_confidence_without_a_paired_difference_refuses():
    candidate, champion, evidence = asked(*[{lang: [1.0] * 200 for lang in ("en", *LANGS)}] * 2)
    gone = tuple(d for d in evidence.differences if d.name != "choices/ca/accuracy")
    decision = decide(candidate, champion, SURE, evidence.model_copy(update={"differences": gone}))
    assert failed(decision) == [("max_choices_drop", "ca")]
    assert "200 items say nothing about it with 95 % confidence" in decision.reasons[0]


def test_decide_the_same_loss_passes_over_many_items_and_not_over_few():
    def world(n):
        before = {lang: [1.0] * n for lang in ("en", *LANGS)}
        lost = n // 50  # a loss of 0.02
        return asked(before, before | {"gl": [0.0] * lost + [1.0] * (n - lost)})

    for n, expected in ((100, [("max_choices_drop", "gl")]), (2_000, [])):
        candidate, champion, evidence = world(n)
        assert failed(decide(candidate, champion, SURE, evidence)) == expected


def test_decide_english_drops_of_any_measure_hold_in_the_source_language_only():
    policy = GateSection(confidence=0.5, max_english_drops={"qa/f1": 0.02})
    before = with_more(scores("base"), qa__en__f1=0.5)
    assert decide(with_more(scores(), qa__en__f1=0.48), before, policy).passed
    worse = decide(with_more(scores(), qa__en__f1=0.47), before, policy)
    assert failed(worse) == [("max_english_drops", "en")]
    assert failed(decide(scores(), before, policy)) == [("max_english_drops", "en")]


@pytest.mark.parametrize(
    ("known", "expected", "words"),
    [
        ({"parity": None}, "min_parity", "not held against"),
        ({"parity": 0.94}, "min_parity", "94.0%"),
        ({"lineage_faults": None}, "lineage", "nobody has verified"),
        ({"lineage_faults": tuple("abcde")}, "lineage", "a; b; c and 2 more"),
        ({"base_licence": ""}, "licences", "not known"),
        ({"data_licences": ()}, "licences", "not known"),
    ],
)
def test_decide_unsound_or_unknown_origin_refuses(known, expected, words):
    decision = decide(scores(), scores("base"), POLICY, SOUND.model_copy(update=known))
    assert failed(decision) == [(expected, "all")]
    assert words in decision.reasons[0]


def test_decide_licence_that_is_not_listed_refuses_and_is_named():
    policy = GateSection(confidence=0.5, licences=("MIT", "CC0-1.0"))
    assert decide(scores(), scores("base"), policy).passed
    mixed = SOUND.model_copy(update={"data_licences": ("CC-BY-NC-4.0", "CC0-1.0")})
    (reason,) = decide(scores(), scores("base"), policy, mixed).reasons
    assert reason == "CC-BY-NC-4.0: not among the licences allowed (MIT, CC0-1.0)"


def test_decide_rate_over_few_items_says_its_interval():
    narrow = scores()
    few = Measurement(value=0.4, n=5, low=0.12, high=0.77)
    narrow = narrow.model_copy(
        update={"measurements": narrow.measurements | {"open/es/target_language_rate": few}}
    )
    (reason,) = decide(narrow, scores("base"), POLICY).reasons
    assert "(5 items say little: the 95 % interval is 0.120 to 0.770)" in reason


def test_policy_with_a_confidence_that_nothing_was_bounded_for_is_refused():
    with pytest.raises(ValidationError, match=r"0.5, 0.8, 0.9, 0.95, 0.975, 0.99"):
        GateSection(confidence=0.93)


def test_to_markdown_refusals_stand_first():
    rows = decide(scores(translation__gl=1.0), scores("base"), POLICY).to_markdown().splitlines()[4:]
    assert rows[0].startswith("| **refused** | max_chrf_drop | gl |")
    assert all(row.startswith("| pass |") for row in rows[1:])


before_and_after = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=120)
sides = st.fixed_dictionaries(dict.fromkeys(("en", "es"), before_and_after))


@given(sides, st.sampled_from([0.5, 0.8, 0.95]), st.data())
def test_decide_worse_answers_never_turn_a_refusal_into_a_pass(pairs, confidence, data):
    before = {lang: [float(b) for b, _ in items] for lang, items in pairs.items()}
    after = {lang: [float(a) for _, a in items] for lang, items in pairs.items()}
    policy = GateSection(confidence=confidence, max_choices_drop=0.1, max_english_drop=0.1)
    candidate, champion, evidence = asked(before, after)
    at_first = decide(candidate, champion, policy, evidence)
    lang = data.draw(st.sampled_from(["en", "es"]))
    place = data.draw(st.integers(0, len(after[lang]) - 1))
    worse = after | {lang: [*after[lang][:place], 0.0, *after[lang][place + 1 :]]}
    candidate, champion, evidence = asked(before, worse)
    then = decide(candidate, champion, policy, evidence)
    assert set(failed(at_first)) <= set(failed(then))


@given(st.sampled_from(sorted(Evidence.model_fields)))
def test_decide_any_gap_in_the_evidence_refuses(gap):
    same = {lang: [1.0] * 200 for lang in ("en", *LANGS)}
    candidate, champion, evidence = asked(same, same)
    assert decide(candidate, champion, SURE, evidence).passed
    empty = Evidence().model_dump()[gap]
    assert not decide(candidate, champion, SURE, evidence.model_copy(update={gap: empty})).passed


@given(st.data())
def test_decide_any_gap_in_the_scores_refuses(data):
    same = {lang: [1.0] * 200 for lang in ("en", *LANGS)}
    candidate, champion, evidence = asked(same, same)
    side = data.draw(st.sampled_from([candidate, champion]))
    wanted = [k for k in side.measurements if side is candidate or not k.startswith("open/")]
    name = data.draw(st.sampled_from(wanted))
    less = side.model_copy(update={"measurements": {k: m for k, m in side.measurements.items() if k != name}})
    both = (less, champion) if side is candidate else (candidate, less)
    assert not decide(*both, SURE, evidence).passed


@given(st.permutations(range(7)))
def test_decide_order_of_differences_does_not_matter(order):
    same = {lang: [1.0] * 60 for lang in ("en", *LANGS)}
    candidate, champion, evidence = asked(same, same)
    shuffled = evidence.model_copy(update={"differences": tuple(evidence.differences[i] for i in order)})
    first, second = (decide(candidate, champion, SURE, e) for e in (evidence, shuffled))
    assert first.to_json() == second.to_json()


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


def test_set_of_the_suite_that_was_not_measured_is_refused_by_name():
    candidate = scores().model_copy(update={"unmeasured": {"xwinograd/zh-Hans": "no such file: x.jsonl"}})
    decision = decide(candidate, scores("champion"), POLICY)
    said = "xwinograd/zh-Hans was not measured: no such file: x.jsonl; make it readable, or take it out"
    assert not decision.passed and any(reason.startswith(said) for reason in decision.reasons)


def contaminated(evidence, policy=POLICY):
    decision = decide(scores(), scores("base"), policy, SOUND.model_copy(update={"contamination": evidence}))
    return {c.lang: c for c in decision.clauses if c.name == "max_contamination"}


@pytest.mark.parametrize(
    ("bound", "met", "passed"),
    [(0.01, (0, 0), True), (0.01, (1, 0), False), (0.01, (0, 1), False), (0.05, (2, 1), True),
     (0.05, (2, 2), False), (0.0, (0, 0), True), (1.0, (30, 30), True)],
)  # fmt: skip
def test_decide_contamination_is_held_against_the_share_of_items_met_in_any_language(bound, met, passed):
    policy = POLICY.model_copy(update={"max_contamination": bound})
    found = contaminated(searched("en", *LANGS, choices__ca=met), policy)
    assert {lang: clause.passed for lang, clause in found.items()} == {
        "en": True, "es": True, "gl": True, "ca": passed
    }  # fmt: skip
    assert (found["ca"].measured, found["ca"].n) == (sum(met) / 60, 60)


def test_decide_contamination_names_every_set_over_the_bound_with_its_numbers():
    found = contaminated(searched("en", *LANGS, choices__ca=(3, 2), open__ca=(0, 1), open__es=(1, 0)))
    assert found["ca"].sentence == (
        "ca: the training data holds 5 of 60 items of choices, 2 of them in another language; 1 of 60 items "
        "of open, 1 of them in another language; a share of at most 0.01 of any set is allowed (leave "
        "these items out of the training data)"
    )
    assert "1 of 60 items of open;" in found["es"].sentence


def test_decide_contamination_nobody_searched_for_refuses():
    (nothing,) = contaminated(None).values()
    assert not nothing.passed and "not known" in nothing.sentence
    found = contaminated(searched("en", "es", "ca", tasks=("choices", "open", "translation")))
    assert [lang for lang, clause in found.items() if not clause.passed] == ["gl"]
    found = contaminated(searched("en", *LANGS, tasks=("choices", "translation")))
    assert [(lang, clause.passed) for lang, clause in found.items()] == [
        ("en", True), ("ca", False), ("es", False), ("gl", False)
    ]  # fmt: skip
    assert found["es"].sentence.endswith("for the questions of open; evaluate again")


def test_decide_contamination_of_a_set_with_no_items_counts_as_not_searched():
    empty = CLEAN.model_copy(
        update={"exposures": tuple(e.model_copy(update={"items": 0}) for e in CLEAN.exposures)}
    )
    assert not any(clause.passed for clause in contaminated(empty).values())


@given(st.dictionaries(st.sampled_from([f"{t}__{la}" for t in ("choices", "open") for la in LANGS]),
                       st.tuples(st.integers(0, 30), st.integers(0, 30))),
       st.sampled_from([0.0, 0.01, 0.1, 0.5]), st.data())  # fmt: skip
def test_decide_more_contamination_never_turns_a_refusal_into_a_pass(met, bound, data):
    policy = POLICY.model_copy(update={"max_contamination": bound})
    before = contaminated(searched("en", *LANGS, **met), policy)
    place = data.draw(st.sampled_from([f"choices__{la}" for la in LANGS]))
    direct, translated = met.get(place, (0, 0))
    after = contaminated(searched("en", *LANGS, **(met | {place: (direct, translated + 1)})), policy)
    assert all(before[lang].passed or not after[lang].passed for lang in before)
    assert after[place[-2:]].measured >= before[place[-2:]].measured
