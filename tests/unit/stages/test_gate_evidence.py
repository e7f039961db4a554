"""Contamination and the gate's evidence at the level of stages: finished folders in, a decision out."""

import dataclasses
import json
from pathlib import Path

import pytest

from tongues.core.comparison import COMPARISON_NAME, Comparison, Contamination, Exposure
from tongues.core.digests import canonical_json
from tongues.core.errors import EvaluationError
from tongues.core.records import RECORD_SCHEMA, Message, Record, Source
from tongues.core.scores import Measurement, Scores
from tongues.core.shards import write_shards
from tongues.core.standard_suites import standard_suite
from tongues.evaluation.cross import read_cross
from tongues.stages.contamination import contamination, read_contamination
from tongues.stages.evaluate import Evaluation
from tongues.stages.given import Given
from tongues.stages.register import decision
from tongues.stages.workspace import Output, Report, Workspace

QUESTION = "¿Cuál de estas letras es la primera de todas en el alfabeto?"


def dataset(given: Given, workspace: Workspace, asked: str, **facts: object) -> Output:
    """Training data of one record."""
    source = Source("d", "1", "f:1", "CC0-1.0")
    turns = (Message("user", asked, "es"), Message("assistant", "La a.", "es"))
    record = Record.create(messages=turns, group="g", method="direct", source=source)

    def work(folder: Path) -> Report:
        write_shards(folder / "train", RECORD_SCHEMA, [record.to_row()])
        write_shards(folder / "validation", RECORD_SCHEMA, [])
        return Report(facts={"licence": "CC0-1.0", **facts})

    return workspace.finish("assemble", recipe=given.recipe, inputs={}, params=[asked, facts], work=work)


def tuned(
    given: Given,
    workspace: Workspace,
    data: Output | None,
    parity: float | None = 1.0,
    vllm: float | None = None,
) -> Output:
    """A model that says what it was trained on, and how it was held against it."""
    served = {} if vllm is None else {"vllm": {"merged": {"agreement": vllm}}}

    def work(folder: Path) -> Report:
        (folder / "weights.txt").write_text("w", encoding="utf-8")
        facts = {} if data is None else {"dataset_uri": data.uri}
        return Report(
            facts=facts, observed={} if parity is None else {"parity": {"agreement": parity, **served}}
        )

    inputs: dict[str, Output | str] = {} if data is None else {"dataset": data}
    return workspace.finish("finetune", recipe=given.recipe, inputs=inputs, params=[parity, vllm], work=work)


def clean(*tasks: str) -> tuple[Exposure, ...]:
    """Sets of which nothing was met, in every language."""
    return tuple(
        Exposure(task=task, lang=lang, items=60, direct=0, translated=0)
        for task in tasks
        for lang in ("en", "es", "ca")
    )


NOTHING_MET = Contamination(
    dataset_sha256="7" * 64, records=1, rule="r", exposures=clean("choices", "open", "translation")
)


def evaluated(given: Given, workspace: Workspace, searched: Contamination | None = NOTHING_MET) -> Output:
    """A comparison of two models that are alike, and what was searched for in the training data."""
    values = {f"choices/{lang}/accuracy": 0.5 for lang in ("en", "es", "ca")}
    values |= {f"open/{lang}/target_language_rate": 0.9 for lang in ("es", "ca")}
    values |= {f"translation/{lang}/chrf": 40.0 for lang in ("es", "ca")}
    base, candidate = (
        Scores(
            role=role,
            model=role,
            model_sha256="0" * 64,
            suite="s",
            suite_sha256="1" * 64,
            source_lang="en",
            languages=("es", "ca"),
            measurements={name: Measurement(value=value, n=60) for name, value in values.items()},
        )
        for role in ("base", "candidate")
    )
    comparison = Comparison(
        recipe="tiny", models=(base, candidate), against={"base": ()}, contamination=searched
    )

    def work(folder: Path) -> Report:
        (folder / COMPARISON_NAME).write_bytes(canonical_json(comparison.model_dump(mode="json")))
        return Report()

    return workspace.finish("evaluate", recipe=given.recipe, inputs={}, params={}, work=work)


@pytest.fixture
def measured(given: Given) -> Given:
    """The recipe with bounds held against measured values."""
    gate = given.recipe.gate.model_copy(update={"confidence": 0.5})
    recipe = given.recipe.model_copy(update={"gate": gate})
    return Given(recipe, given.located, given.origin)


def test_contamination_is_found_in_what_was_trained_on_and_is_looked_for_once(
    given: Given, workspace: Workspace
) -> None:
    model = tuned(given, workspace, dataset(given, workspace, f"Dime: {QUESTION}"))
    found = read_contamination(contamination(given, workspace, model))
    assert found is not None and found.records == 1
    met = {one.lang: (one.direct, one.translated) for one in found.exposures}
    assert met == {"en": (0, 1), "es": (1, 0), "ca": (0, 1)}
    again = contamination(given, workspace, model)
    assert again is not None and read_contamination(again) == found


def test_contamination_of_a_model_without_known_data_is_not_known(given: Given, workspace: Workspace) -> None:
    output = contamination(given, workspace, tuned(given, workspace, None))
    assert output is None and read_contamination(output) is None


def test_decision_takes_parity_lineage_and_licences_from_the_manifests(
    measured: Given, workspace: Workspace
) -> None:
    model = tuned(
        measured, workspace, dataset(measured, workspace, "Hola", licences=["CC-BY-4.0", "CC0-1.0"])
    )
    said = decision(measured, workspace, model, evaluated(measured, workspace))
    assert said.passed, said.reasons
    sentences = {clause.name: clause.sentence for clause in said.clauses if clause.lang == "all"}
    assert sentences["licences"] == "base model and training data stand under CC-BY-4.0, CC0-1.0, MIT"
    assert sentences["lineage"].startswith("everything that the weights were made from is as it was")


def test_decision_on_data_that_was_changed_since_refuses_and_names_the_file(
    measured: Given, workspace: Workspace
) -> None:
    data = dataset(measured, workspace, "Hola")
    model = tuned(measured, workspace, data)
    next((data.folder / "train").iterdir()).write_bytes(b"other")
    said = decision(measured, workspace, model, evaluated(measured, workspace))
    (reason,) = said.reasons
    assert "is not as it was" in reason and "part-00000.parquet" in reason


@pytest.mark.parametrize("gap", ["parity", "data"])
def test_decision_on_a_model_of_unknown_origin_refuses(
    measured: Given, workspace: Workspace, gap: str
) -> None:
    data = None if gap == "data" else dataset(measured, workspace, "Hola")
    model = tuned(measured, workspace, data, parity=None if gap == "parity" else 1.0)
    searched = read_contamination(contamination(measured, workspace, model))
    known = NOTHING_MET if searched else None  # the test's suite has choices only
    said = decision(measured, workspace, model, evaluated(measured, workspace, known))
    assert [c.name for c in said.clauses if not c.passed] == {
        "parity": ["min_parity"], "data": ["licences", "max_contamination"]
    }[gap]  # fmt: skip


def test_decision_on_a_model_that_was_trained_on_the_questions_refuses(
    measured: Given, workspace: Workspace
) -> None:
    model = tuned(measured, workspace, dataset(measured, workspace, f"Dime: {QUESTION}"))
    found = read_contamination(contamination(measured, workspace, model))
    assert found is not None
    both = found.model_copy(update={"exposures": (*found.exposures, *clean("open", "translation"))})
    said = decision(measured, workspace, model, evaluated(measured, workspace, both))
    refused = [(c.name, c.lang, c.measured) for c in said.clauses if not c.passed]
    assert refused == [("max_contamination", lang, 1.0) for lang in ("en", "ca", "es")]
    assert "1 of 1 items of choices; a share of at most 0.01" in said.reasons[2]


def test_contamination_of_a_standard_set_is_searched_for_and_named(
    given: Given, workspace: Workspace
) -> None:
    """A Cross set whose Spanish question was trained on: met in Spanish, known as translated elsewhere."""
    about = standard_suite("crossin").get("cross_mmlu")
    choices = {"choices": ["(A) a", "(B) b"], "answer": "(A) a"}
    records = [
        {"id": "1", "English": {"question": "Which letter is first?", **choices},
         "Spanish": {"question": QUESTION, **choices}},
        {"id": "2", "English": {"question": "What is seen at night above us all?", **choices},
         "Spanish": {"question": "¿Qué se ve de noche en lo alto, sobre todos?", **choices}},
    ]  # fmt: skip
    one = read_cross(records, about, ["en", "es"])
    model = tuned(given, workspace, dataset(given, workspace, f"Dime: {QUESTION}"))
    found = read_contamination(contamination(given, workspace, model, [one]))
    assert found is not None
    met = {(e.task, e.lang): (e.items, e.direct, e.translated) for e in found.exposures}
    assert met["cross_mmlu", "es"] == (2, 1, 0) and met["cross_mmlu", "en"] == (2, 0, 1)
    assert (
        read_contamination(contamination(given, workspace, model)) != found
    )  # another suite, another search


@pytest.mark.parametrize(("vllm", "passes"), [(None, False), (0.9, False), (0.99, True)])
def test_decision_on_a_model_that_vllm_had_to_answer_like_takes_its_word(
    measured: Given, workspace: Workspace, vllm: float | None, passes: bool
) -> None:
    safety = measured.recipe.tuning.safety.model_copy(update={"parity": "vllm"})
    tuning = measured.recipe.tuning.model_copy(update={"safety": safety})
    given = dataclasses.replace(measured, recipe=measured.recipe.model_copy(update={"tuning": tuning}))
    model = tuned(given, workspace, dataset(given, workspace, "Hola"), vllm=vllm)
    said = decision(given, workspace, model, evaluated(given, workspace))
    assert [c.name for c in said.clauses if not c.passed] == ([] if passes else ["min_parity"])


def test_evaluation_without_a_comparison_says_what_to_run(given: Given, workspace: Workspace) -> None:
    def work(folder: Path) -> Report:
        (folder / "changes.json").write_text(json.dumps({}), encoding="utf-8")
        return Report()

    output = workspace.finish("evaluate", recipe=given.recipe, inputs={}, params="old", work=work)
    with pytest.raises(EvaluationError, match=r"no comparison\.json"):
        Evaluation.of(output)
