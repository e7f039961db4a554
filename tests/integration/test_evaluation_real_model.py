"""A real small model on the quickstart's own suite: signal where there must be some, and stable."""

import os
from pathlib import Path

import pytest

from tongues.core.progress import LineProgress
from tongues.core.recipe import EvaluationSection, SuiteSection
from tongues.data.language_id import RestrictedIdentifier
from tongues.evaluation.model import LocalModel
from tongues.evaluation.score import score_model
from tongues.evaluation.suite import Suite, load_suite
from tongues.evaluation.tasks import choice_prompt

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def folder() -> Path:
    path = os.environ.get("TONGUES_TEST_MODEL")
    if not path:
        pytest.skip("TONGUES_TEST_MODEL names no model folder; `make demo` makes one to point it at")
    return Path(path)


@pytest.fixture
def suite(repository: Path) -> Suite:
    files = repository / "recipes" / "quickstart" / "evaluation"
    paths = {name: files / f"{name}.jsonl" for name in ("choices", "translation", "open")}
    return load_suite("quick", languages=("es",), source_lang="en", **paths)


def test_score_model_real_model_knows_english_endings(folder: Path, suite: Suite, tmp_path: Path) -> None:
    english = Suite("quick", "en", (), choices={"en": suite.choices["en"]})
    scores = score_model(
        folder,
        role="base",
        name="real",
        model_sha256="0" * 64,
        suite=english,
        section=EvaluationSection(suite=SuiteSection(choices_uri="-"), batch_rows=64),
        identify=RestrictedIdentifier(),
        out=tmp_path,
        progress=LineProgress("score", english.work_items, "items"),
    )
    accuracy = scores.get("choices", "en", "accuracy")
    assert accuracy is not None and accuracy.low is not None
    assert accuracy.low > 0.5  # chance is 0.25


def test_local_model_real_answers_do_not_depend_on_the_batch(folder: Path, suite: Suite) -> None:
    alone, together = (LocalModel(folder, batch_rows=rows) for rows in (1, 8))
    questions = [item.prompt for item in suite.open["es"][:8]]
    assert alone.generate(questions, max_new_tokens=8) == together.generate(questions, max_new_tokens=8)
    prompts = [choice_prompt(item.question) for item in suite.choices["es"][:8]]
    options = [[f" {option}" for option in item.choices] for item in suite.choices["es"][:8]]
    for one, many in zip(
        alone.choice_loglikelihoods(prompts, options),
        together.choice_loglikelihoods(prompts, options),
        strict=True,
    ):
        assert [s.loglikelihood for s in one] == pytest.approx([s.loglikelihood for s in many], abs=1e-3)
