"""Evaluate: the base model, the tuned one and the champion on one suite, and the report."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tongues.core.digests import canonical_json, digest_value
from tongues.core.errors import EvaluationError
from tongues.core.manifest import write_atomically
from tongues.core.progress import LineProgress
from tongues.core.recipe_file import load_recipe
from tongues.core.scores import Scores
from tongues.data.language_id import RestrictedIdentifier
from tongues.evaluation.chains import PLAIN, AnswerFormat
from tongues.evaluation.compare import by_task, compare
from tongues.evaluation.report import write_report
from tongues.evaluation.samples import read_samples
from tongues.evaluation.score import SAMPLES_FOLDER, SCORES_NAME, score_model, settings
from tongues.evaluation.suite import Suite
from tongues.evaluation.summary import markdown_summary
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.stages.answer_format import answer_format
from tongues.stages.given import Given
from tongues.stages.judge import judge, with_judgements
from tongues.stages.recorded import write_recorded
from tongues.stages.runners import ASKED, vllm_runner
from tongues.stages.signatures import require_whole
from tongues.stages.suite_files import open_suite
from tongues.stages.weights import model_of_weights, weights_folder, weights_sha256
from tongues.stages.workspace import RECIPE_NAME, Output, Report, Workspace, fresh

Role = Literal["base", "candidate", "champion"]
ROLES: tuple[Role, ...] = ("base", "candidate", "champion")
REPORT_NAME, SUMMARY_NAME, QUESTIONS_NAME = "report.html", "summary.md", "questions.json"
CHANGES_NAME = "changes.json"


@dataclass(frozen=True)
class Evaluation:
    """The finished comparison.

    Args:
        output: folder with the report, the summary and the scores by role.
        scores: base, candidate and, if there is another one, champion.
    """

    output: Output
    scores: tuple[Scores, ...]

    @classmethod
    def of(cls, output: Output) -> "Evaluation":
        """Read a finished comparison."""
        files = [output.folder / f"{role}.json" for role in ROLES]
        scores = tuple(Scores.model_validate_json(f.read_bytes()) for f in files if f.exists())
        return cls(output, scores)

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.output.folder / REPORT_NAME

    @property
    def candidate(self) -> Scores:
        """Scores of the tuned model."""
        return next(s for s in self.scores if s.role == "candidate")

    def role(self, role: Role) -> Scores | None:
        """Scores of one role, or None where it was not part of the comparison."""
        return next((s for s in self.scores if s.role == role), None)


def evaluate(given: Given, workspace: Workspace, tuned: Output, base: Output) -> Evaluation:
    """Score every model of the comparison, each once and for all, and write the report.

    Returns:
        The comparison; its folder holds ``report.html``, ``summary.md`` and ``ROLE.json``.
    """
    suite = open_suite(given, workspace)
    models: dict[Role, Output] = {"base": base, "candidate": tuned}
    if (champion := _champion(given, workspace, tuned)) is not None:
        models["champion"] = champion
    scored = {role: score(given, workspace, model, suite, role) for role, model in models.items()}
    judged = judge(given, workspace, suite, scored)

    def work(folder: Path) -> Report:
        fresh(folder)
        scores = [with_judgements(_read(o).as_role(role), judged.get(role, ())) for role, o in scored.items()]
        for one in scores:
            write_atomically(folder / f"{one.role}.json", canonical_json(one.model_dump(mode="json")))
        _write_pages(folder, given, scores, scored)
        questions = {lang: items[0].prompt for lang, items in suite.open.items()}
        (folder / QUESTIONS_NAME).write_text(json.dumps(questions, ensure_ascii=False), encoding="utf-8")
        write_recorded(folder, read_samples(scored["candidate"].folder / SAMPLES_FOLDER))
        facts = {"measurements": len(scores[0].measurements), "suite_sha256": scores[0].suite_sha256}
        # The report names the day it was written on, so the scores alone are the content.
        content = digest_value([one.model_dump(mode="json") for one in scores])
        return Report(facts=facts, content_sha256=content)

    params = {"name": given.recipe.name, "models": {role: _name(given, role) for role in models}}
    inputs: dict[str, Output | str] = {role: output for role, output in scored.items()}  # noqa: C416
    inputs |= {
        f"{output.manifest.stage}-{role}": output for role, found in judged.items() for output in found
    }
    output = workspace.finish("evaluate", recipe=given.recipe, inputs=inputs, params=params, work=work)
    return Evaluation.of(output)


def score(given: Given, workspace: Workspace, model: Output, suite: Suite, role: Role) -> Output:
    """Score one model; the same weights on the same suite are scored once, whatever their role.

    Returns:
        A folder with ``scores.json`` and ``samples/``.
    """
    section = given.recipe.evaluation
    answers = _answers(given, model, role)

    def work(folder: Path) -> Report:
        progress = LineProgress(f"evaluate {role}", suite.work_items, "items", say=workspace.say)
        with ExitStack() as stack:
            vllm = stack.enter_context(vllm_runner(given, workspace, model, folder / ASKED))
            scores = score_model(
                weights_folder(model),
                role=role,
                name=_name(given, role),
                model_sha256=weights_sha256(model),
                suite=suite,
                section=section,
                identify=RestrictedIdentifier(),
                out=folder,
                progress=progress,
                answers=answers,
                served=vllm if section.runner == "vllm" else None,
            )
        return Report(facts={"measurements": len(scores.measurements)}, leave=(ASKED,))

    params = {
        "settings": settings(section),
        "suite_sha256": suite.sha256,
        "suite": suite.name,
        "runner": section.runner,
        "answers": answers.worded("{prompt}", next(iter(suite.languages))),
        "chain_tokens": section.chain_tokens if answers.kind == "taco" else None,
    }
    return workspace.finish("score", recipe=given.recipe, inputs={"model": model}, params=params, work=work)


def _answers(given: Given, model: Output, role: Role) -> AnswerFormat:
    """Each tuned model answers as its own recipe taught it; the base model was taught no chain."""
    if role == "base":
        return PLAIN
    return answer_format(given.recipe if role == "candidate" else load_recipe(model.folder / RECIPE_NAME))


def _champion(given: Given, workspace: Workspace, tuned: Output) -> Output | None:
    """The champion's folder; None where there is none, or where it is the candidate itself."""
    if given.recipe.gate.compare_to == "base":
        return None
    tracking = Tracking(given.recipe.registry, workspace.local)
    version = registry.champion(tracking, given.recipe.registry.model)
    if version is None or version.sha256 == weights_sha256(tuned):
        return None
    champion = workspace.open(model_of_weights(version.uri))
    require_whole(champion, signed=given.recipe.registry.require_signature)
    if weights_sha256(champion) != version.sha256:
        raise EvaluationError(
            f"the champion's weights are not those registered as version {version.version}",
            where=version.uri,
            fix="roll back to a version whose weights are whole, or set gate.compare_to to base",
        )
    return champion


def _name(given: Given, role: Role) -> str:
    base = given.recipe.base_model.name
    return {"base": base, "candidate": f"{base} + {given.recipe.name}", "champion": "champion"}[role]


def _read(output: Output) -> Scores:
    return Scores.model_validate_json((output.folder / SCORES_NAME).read_bytes())


def _write_pages(folder: Path, given: Given, scores: Sequence[Scores], scored: dict[Role, Output]) -> None:
    (folder / SUMMARY_NAME).write_text(markdown_summary(scores), encoding="utf-8")
    samples: dict[str, Path] = {role: output.folder / SAMPLES_FOLDER for role, output in scored.items()}
    write_atomically(folder / CHANGES_NAME, canonical_json(_changes(scores, samples)))
    write_report(
        scores, samples, recipe_name=given.recipe.name, facts=_facts(given), out=folder / REPORT_NAME
    )


def _changes(scores: Sequence[Scores], samples: Mapping[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """Role to every change of the candidate against it, with paired tests."""
    answers = {role: by_task(read_samples(path)) for role, path in samples.items()}
    (candidate,) = (one for one in scores if one.role == "candidate")
    return {
        one.role: [
            change.as_dict() for change in compare(one, candidate, answers[one.role], answers["candidate"])
        ]
        for one in scores
        if one.role != "candidate"
    }


def _facts(given: Given) -> dict[str, str]:
    recipe = given.recipe
    methods = ", ".join(section.method for section in recipe.dataset.methods)
    return {"recipe": recipe.digest(), "methods": methods, "engine": recipe.translation.engine.kind}
