"""Ablate: every variant of a recipe down to its evaluation, and one table of all of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongues.core.digests import canonical_json
from tongues.core.errors import PreflightError, ProblemsError
from tongues.core.manifest import write_atomically
from tongues.core.scores import Scores
from tongues.evaluation.ablation import BASE, Variant, ablation_values, markdown_ablation
from tongues.evaluation.score import SAMPLES_FOLDER, SCORES_NAME
from tongues.stages.evaluate import score
from tongues.stages.flow import Flow
from tongues.stages.given import Given
from tongues.stages.suite_files import open_suite
from tongues.stages.workspace import Output, Report, Workspace, fresh

TABLE_NAME, VALUES_NAME = "ablation.md", "ablation.json"


@dataclass(frozen=True)
class Ablation:
    """The finished comparison.

    Args:
        output: folder with the table as Markdown and all numbers as JSON.
        variants: the untuned base, the baseline, then the variants in the recipe's order.
        baseline: name of the one that the others are compared with.
    """

    output: Output
    variants: list[Variant]
    baseline: str


def ablate(given: Given, workspace: Workspace) -> Ablation:
    """Make, train and measure every variant on the same base, budget and suite; promote none.

    Work that variants share is done once: translation, the base model, its scores.

    Raises:
        PreflightError: what is wrong with any of the variants, before the first one begins.
    """
    flows = _flows(given, workspace)
    suite = open_suite(given, workspace)
    base = score(given, workspace, next(iter(flows.values())).base, suite, "base")
    scored: dict[str, Output] = {BASE: base}
    for name, flow in flows.items():
        workspace.say(f"ablation: {name}")
        scored[name] = score(
            flow.given, workspace, flow.tuned, open_suite(flow.given, workspace), "candidate"
        )
    training = {name: _training(flow.tuned) for name, flow in flows.items()}
    variants = [_variant(name, output, training.get(name, {})) for name, output in scored.items()]
    baseline = given.recipe.baseline

    def work(folder: Path) -> Report:
        fresh(folder)
        table = markdown_ablation(variants, baseline)
        write_atomically(folder / TABLE_NAME, table.encode())
        write_atomically(folder / VALUES_NAME, canonical_json(ablation_values(variants)))
        return Report(facts={"variants": list(scored)})

    params = {"baseline": baseline, "variants": list(scored)}
    output = workspace.finish("ablate", recipe=given.recipe, inputs=dict(scored), params=params, work=work)
    return Ablation(output, variants, baseline)


def _flows(given: Given, workspace: Workspace) -> dict[str, Flow]:
    """A flow for the baseline and each variant, all of them checked before anything is spent."""
    recipe = given.recipe
    names = [recipe.baseline, *(variant.name for variant in recipe.ablation)]
    flows, problems = dict[str, Flow](), dict[str, list[str]]()
    for name in names:
        try:
            flows[name] = Flow(given.part(name), workspace)
        except ProblemsError as error:
            for problem in error.problems:
                problems.setdefault(problem, []).append(name)
    if problems:
        raise PreflightError(list(_told(problems, len(names))), where=given.origin)
    return flows


def _told(problems: dict[str, list[str]], variants: int) -> Iterator[str]:
    """Each problem once, with the variants that have it where not all do."""
    for problem, names in problems.items():
        yield problem if len(names) == variants else f"{', '.join(names)}: {problem}"


def _training(tuned: Output) -> dict[str, float]:
    facts = tuned.manifest.facts
    return {
        "rows": facts["rows"]["train"],
        "tokens": facts["tokens"],
        "label_percent": round(100 * facts["label_share"], 1),
        "steps": facts["steps"],
    }


def _variant(name: str, output: Output, training: dict[str, Any]) -> Variant:
    scores = Scores.model_validate_json((output.folder / SCORES_NAME).read_bytes())
    return Variant(name, scores, output.folder / SAMPLES_FOLDER, training)
