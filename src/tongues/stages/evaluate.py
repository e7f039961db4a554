"""Evaluate: the base model, others, the champion and the tuned one on one suite, and the report."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tongues.core.comparison import COMPARISON_NAME, Comparison
from tongues.core.digests import canonical_json, digest_value
from tongues.core.errors import EvaluationError
from tongues.core.manifest import write_atomically
from tongues.core.progress import LineProgress
from tongues.core.recipe_file import load_recipe
from tongues.core.scores import Role, Scores
from tongues.data.language_id import RestrictedIdentifier
from tongues.evaluation.chains import PLAIN, AnswerFormat
from tongues.evaluation.compare import Answers
from tongues.evaluation.comparison import AllCompared, Compared, compare_all
from tongues.evaluation.metrics import FORMULAS
from tongues.evaluation.report import write_report
from tongues.evaluation.samples import read_samples
from tongues.evaluation.score import SAMPLES_FOLDER, SCORES_NAME, score_model, settings
from tongues.evaluation.suite import Suite
from tongues.evaluation.summary import markdown_summary
from tongues.evaluation.verdicts import read_ratings
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.stages.answer_format import answer_format
from tongues.stages.contamination import contamination, read_contamination
from tongues.stages.given import Given
from tongues.stages.judge import VERDICTS_FOLDER, judge, with_judgements
from tongues.stages.model_reference import open_model
from tongues.stages.recorded import write_recorded
from tongues.stages.runners import ASKED, vllm_runner
from tongues.stages.signatures import require_whole
from tongues.stages.suite_files import open_suite
from tongues.stages.weights import model_of_weights, weights_folder, weights_sha256
from tongues.stages.workspace import RECIPE_NAME, Output, Report, Workspace, fresh

REPORT_NAME, SUMMARY_NAME, QUESTIONS_NAME = "report.html", "summary.md", "questions.json"


@dataclass(frozen=True)
class Evaluation:
    """The finished comparison.

    Args:
        output: folder with the report, the summary and the comparison.
        comparison: scores of every model, and what changed.
    """

    output: Output
    comparison: Comparison

    @classmethod
    def of(cls, output: Output) -> "Evaluation":
        """Read a finished comparison.

        Raises:
            EvaluationError: another version of tongues wrote it.
        """
        path = output.folder / COMPARISON_NAME
        if not path.is_file():
            raise EvaluationError(
                f"there is no {COMPARISON_NAME} here", where=output.uri, fix="run `tongues evaluate` again"
            )
        return cls(output, Comparison.model_validate_json(path.read_bytes()))

    @property
    def scores(self) -> tuple[Scores, ...]:
        """Of every model: base, others, champion if there is another one, candidate."""
        return self.comparison.models

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.output.folder / REPORT_NAME

    @property
    def candidate(self) -> Scores:
        """Scores of the tuned model."""
        return self.scores[-1]

    def role(self, role: Role) -> Scores | None:
        """Scores of one role, or None where it was not part of the comparison."""
        return next((s for s in self.scores if s.role == role), None)


def evaluate(given: Given, workspace: Workspace, tuned: Output, base: Output) -> Evaluation:
    """Score every model of the comparison, each once and for all, and write the report.

    Returns:
        The comparison; its folder holds ``report.html``, ``summary.md``, ``comparison.json`` and
        ``questions.json``.
    """
    suite = open_suite(given, workspace)
    models = _models(given, workspace, tuned, base)
    searched = contamination(given, workspace, tuned, suite.sets)
    scored = {role: score(given, workspace, model, suite, role) for role, model in models.items()}
    judged = judge(given, workspace, suite, scored)

    def work(folder: Path) -> Report:
        fresh(folder)
        found = [_model(role, output, judged.get(role, ())) for role, output in scored.items()]
        compared = compare_all(found, recipe=given.recipe.name, contamination=read_contamination(searched))
        _write_pages(folder, given, compared)
        questions = {lang: items[0].prompt for lang, items in suite.open.items()}
        (folder / QUESTIONS_NAME).write_text(json.dumps(questions, ensure_ascii=False), encoding="utf-8")
        samples = read_samples(scored["candidate"].folder / SAMPLES_FOLDER)
        taught, chain_tokens = _answers(given, tuned, "candidate"), given.recipe.evaluation.chain_tokens
        write_recorded(folder, samples, taught, chain_tokens=chain_tokens)
        first = found[0].scores
        facts = {"measurements": len(first.measurements), "suite_sha256": first.suite_sha256}
        # The report names the day it was written on, so the comparison alone is the content.
        return Report(facts=facts, content_sha256=digest_value(compared.comparison.model_dump(mode="json")))

    params = {"name": given.recipe.name, "models": {role: _name(given, role) for role in models}}
    params |= {"format": Comparison.model_fields["schema_version"].default}
    inputs: dict[str, Output | str] = {role: output for role, output in scored.items()}  # noqa: C416
    inputs |= {
        f"{output.manifest.stage}-{role}": output for role, found in judged.items() for output in found
    }
    inputs |= {"contamination": searched} if searched else {}
    output = workspace.finish("evaluate", recipe=given.recipe, inputs=inputs, params=params, work=work)
    return Evaluation.of(output)


def score(
    given: Given, workspace: Workspace, model: Output, suite: Suite, role: Role, name: str = ""
) -> Output:
    """Score one model; the same weights on the same suite are scored once, whatever their role.

    Args:
        given: the recipe.
        workspace: where samples are kept.
        model: a base model or a finetune folder.
        suite: what it is asked.
        role: what it stands for.
        name: for people; the recipe's own for that role when empty.

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
                name=name or _name(given, role),
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
        "formulas": FORMULAS,  # what is measured otherwise, or in addition, is measured anew
        "answers": answers.worded("{prompt}", next(iter(suite.languages))),
        "chain_tokens": section.chain_tokens if answers.kind == "taco" else None,
    }
    return workspace.finish("score", recipe=given.recipe, inputs={"model": model}, params=params, work=work)


def _answers(given: Given, model: Output, role: Role) -> AnswerFormat:
    """Each tuned model answers as its own recipe taught it; the base model was taught no chain."""
    if role == "base" or model.manifest.stage != "finetune":
        return PLAIN
    return answer_format(given.recipe if role == "candidate" else load_recipe(model.folder / RECIPE_NAME))


def _models(given: Given, workspace: Workspace, tuned: Output, base: Output) -> dict[Role, Output]:
    """Role to model, in the order of every table."""
    others = {
        role: open_model(given, workspace, reference)
        for role, reference in given.located.evaluation.compare_with.items()
    }
    champion = _champion(given, workspace, tuned)
    return {"base": base, **others, **({"champion": champion} if champion else {}), "candidate": tuned}


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
    named = {"base": base, "candidate": f"{base} + {given.recipe.name}", "champion": "champion"}
    return named.get(role) or given.recipe.evaluation.compare_with[role]


def _model(role: Role, scored: Output, judged: tuple[Output, ...]) -> Compared:
    """One model's scores with the judge's, and its answers with their ratings."""
    scores = Scores.model_validate_json((scored.folder / SCORES_NAME).read_bytes()).as_role(role)
    ratings = read_ratings(judged[0].folder / VERDICTS_FOLDER) if judged else {}
    answers = Answers.of(read_samples(scored.folder / SAMPLES_FOLDER), ratings)
    return Compared(with_judgements(scores, judged), answers)


def _write_pages(folder: Path, given: Given, compared: AllCompared) -> None:
    (folder / SUMMARY_NAME).write_text(markdown_summary(compared.comparison), encoding="utf-8")
    write_atomically(folder / COMPARISON_NAME, canonical_json(compared.comparison.model_dump(mode="json")))
    write_report(compared, facts=_facts(given), out=folder / REPORT_NAME)


def _facts(given: Given) -> dict[str, str]:
    recipe = given.recipe
    methods = ", ".join(section.method for section in recipe.dataset.methods)
    return {"recipe": recipe.digest(), "methods": methods, "engine": recipe.translation.engine.kind}
