"""Measure: one model alone on a recipe's suite, by its weights or where it is served."""

import shutil
from pathlib import Path

from tongues.core.digests import digest_value
from tongues.core.errors import EvaluationError
from tongues.core.progress import LineProgress
from tongues.core.scores import Scores
from tongues.data.language_id import RestrictedIdentifier
from tongues.evaluation.score import SCORES_NAME, score_model, settings
from tongues.inference.chat import chat_problems
from tongues.stages.answer_format import answer_format
from tongues.stages.evaluate import score
from tongues.stages.given import Given
from tongues.stages.model_reference import open_model
from tongues.stages.prepare import fetch_base_model
from tongues.stages.runners import ASKED, endpoint_section, served_model
from tongues.stages.suite_files import open_suite
from tongues.stages.workspace import Workspace

BASE, MEASURED = "base", "measured"


def measure_model(given: Given, workspace: Workspace, reference: str) -> tuple[Scores, Path]:
    """Ask one model everything in the recipe's suite, with the recipe's runner.

    A run that was stopped goes on behind the tasks and languages that it had finished.

    Args:
        given: the recipe, for its suite, settings and runner.
        workspace: where samples are kept.
        reference: "base", or a tuned model; see `open_model`.

    Returns:
        The scores, and the folder with its samples.

    Raises:
        RegistryError: nothing stands under that name.
        EvaluationError: the model cannot be loaded or asked.
    """
    is_base = reference == BASE
    model = fetch_base_model(given, workspace) if is_base else open_model(given, workspace, reference)
    suite, role = open_suite(given, workspace), BASE if is_base else MEASURED
    output = score(given, workspace, model, suite, role, name="" if is_base else reference)
    return Scores.model_validate_json((output.folder / SCORES_NAME).read_bytes()), output.folder


def measure_endpoint(
    given: Given, workspace: Workspace, base_url: str, model: str, *, tokenizer: Path | None = None
) -> tuple[Scores, Path]:
    """Ask a served model everything in the recipe's suite, and measure its answers.

    A run that was stopped goes on where it was. One that is finished is begun anew, since nobody knows
    whether the same weights still answer at that address.

    Args:
        given: the recipe, for its suite, settings and answer format.
        workspace: where samples are kept.
        base_url: address, up to and with /v1.
        model: its name there.
        tokenizer: folder with its tokenizer; the base model's when None.

    Returns:
        The scores, as of a candidate, and the folder with its samples.

    Raises:
        EvaluationError: no such model is served there, or it left something unanswered.
    """
    section = endpoint_section(base_url, model)
    if problems := chat_problems(section, "--served"):
        raise EvaluationError(problems[0].replace("--served.model", "--served"))
    suite, evaluation = open_suite(given, workspace), given.recipe.evaluation
    name = digest_value([base_url, model, suite.sha256, settings(evaluation)])
    folder = workspace.local / "measured" / name[:20]
    if (folder / SCORES_NAME).exists():
        shutil.rmtree(folder)
    if tokenizer is None and suite.choices:
        tokenizer = fetch_base_model(given, workspace).folder
    with served_model(section, tokenizer, folder / ASKED) as runner:
        scores = score_model(
            folder,
            role="candidate",
            name=runner.describe(),
            model_sha256=digest_value([base_url, model]),
            suite=suite,
            section=evaluation.model_copy(update={"runner": "vllm"}),
            identify=RestrictedIdentifier(),
            out=folder,
            progress=LineProgress(f"evaluate {model}", suite.work_items, "items", say=workspace.say),
            answers=answer_format(given.recipe),
            served=lambda: runner,
        )
    return scores, folder
