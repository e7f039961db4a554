"""Register and promote: the run in MLflow, the model version, the gate's decision, the alias."""

import json
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from tongues.core.comparison import COMPARISON_NAME
from tongues.core.digests import digest_value
from tongues.core.errors import EvaluationError, RegistryError
from tongues.core.scores import Scores
from tongues.evaluation.score import SCORES_NAME
from tongues.platform import storage
from tongues.platform.tracking import DatasetInput, StepMetrics, Tracking
from tongues.promotion import registry
from tongues.promotion.evidence import Evidence
from tongues.promotion.gate import Decision, decide
from tongues.stages.evaluate import REPORT_NAME, SUMMARY_NAME, Evaluation
from tongues.stages.finetune_parity import least_agreement
from tongues.stages.given import Given
from tongues.stages.lineage import chain_of_output, log_picture
from tongues.stages.signatures import sign_registered
from tongues.stages.weights import MERGED, weights_sha256, weights_uri
from tongues.stages.workspace import RECIPE_NAME, Output, Workspace
from tongues.tuning.loss_plot import LOSS_PLOT
from tongues.tuning.model_card import CARD_NAME, with_results
from tongues.tuning.speed import SYSTEM_MEASURES

_RUN_FILES = ("training-log.jsonl", LOSS_PLOT, "mask-preview.txt", RECIPE_NAME)


class Registered(BaseModel):
    """A model version in MLflow.

    Args:
        model: registered name.
        version: its number.
        run_id: the run with metrics, report and data.
        tracking_uri: the MLflow that holds them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    version: int
    run_id: str
    tracking_uri: str


def register(given: Given, workspace: Workspace, tuned: Output, evaluation: Output) -> Registered:
    """Record the run, sign the artefact where there is a key, and register it by URI and digest.

    Twice is as good as once.

    Args:
        given: the recipe.
        workspace: holds MLflow's SQLite file where no server is named.
        tuned: output of finetune.
        evaluation: output of evaluate.

    Raises:
        SignatureError: the recipe requires a signature and there is no key, or the artefact is not whole.
    """
    sign_registered(given.recipe.registry, tuned)
    tracking = Tracking(given.recipe.registry, workspace.local)
    compared = Evaluation.of(evaluation)
    run_id = _record(given, tracking, tuned, compared)
    version = registry.register(
        tracking,
        model=given.recipe.registry.model,
        uri=weights_uri(tuned),
        sha256=weights_sha256(tuned),
        run_id=run_id,
        tags=_tags(given, tuned, evaluation),
    )
    log_picture(workspace, tracking, version, None)
    return Registered(model=version.model, version=version.version, run_id=run_id, tracking_uri=tracking.uri)


def decision(given: Given, workspace: Workspace, tuned: Output, evaluation: Output) -> Decision:
    """What the gate says of the candidate: a pure function of scores, evidence and the recipe's policy.

    Args:
        given: the recipe; its gate section is the policy.
        workspace: everything that the candidate was made from is hashed again there.
        tuned: the candidate.
        evaluation: output of evaluate.

    Raises:
        EvaluationError: there is nothing to compare the candidate with.
    """
    compared = Evaluation.of(evaluation)
    reference = compared.role("champion") or compared.role("base")
    if reference is None:
        raise EvaluationError(
            "neither champion nor base was scored", where=evaluation.uri, fix="evaluate again"
        )
    evidence = Evidence(
        differences=compared.comparison.against[reference.role],
        contamination=compared.comparison.contamination,
        parity=_parity(given, tuned),
        lineage_faults=tuple(chain_of_output(workspace, tuned).verify()),
        base_licence=given.recipe.base_model.licence,
        data_licences=_data_licences(tuned),
    )
    return decide(compared.candidate, reference, given.recipe.gate, evidence)


def _parity(given: Given, tuned: Output) -> float | None:
    measured = tuned.manifest.observed.get("parity", {})
    return least_agreement(measured, vllm=given.recipe.tuning.safety.parity == "vllm")


def promote(
    given: Given, workspace: Workspace, version: int, evaluation: Output, said: Decision
) -> registry.Promotion:
    """Let the gate's decision be, and on a pass move the alias `champion`.

    Args:
        given: the recipe.
        workspace: holds MLflow's SQLite file where no server is named.
        version: the candidate.
        evaluation: output of evaluate.
        said: what `decision` found; it is stored with the version, whatever it says.

    Raises:
        GateRefusedError: the gate refused; nothing moved.
        RegistryError: the champion is not the one the candidate was compared with.
    """
    tracking = Tracking(given.recipe.registry, workspace.local)
    model = given.recipe.registry.model
    expected = _champion_compared_with(given, tracking, Evaluation.of(evaluation))
    done = registry.promote(tracking, model, version, said, expected_champion=expected)
    if done.moved:
        log_picture(workspace, tracking, registry.resolve(tracking, f"{model}/{version}"), registry.CHAMPION)
    return done


def _data_licences(tuned: Output) -> tuple[str, ...]:
    """Licences of the records that it was trained on; none where the model does not say what they were."""
    uri = tuned.manifest.facts.get("dataset_uri")
    manifest = storage.read_manifest_at(uri) if uri else None
    if manifest is None:
        return ()
    # Data that was assembled before all licences were recorded names the strictest one.
    return tuple(manifest.facts.get("licences") or [manifest.facts["licence"]])


def _champion_compared_with(given: Given, tracking: Tracking, compared: Evaluation) -> int | None:
    current = registry.champion(tracking, given.recipe.registry.model)
    if current is None or given.recipe.gate.compare_to == "base":
        return current.version if current else None
    champion: Scores | None = compared.role("champion")
    known = {compared.candidate.model_sha256, champion.model_sha256 if champion else ""}
    if current.sha256 not in known:
        raise RegistryError(
            f"version {current.version} became champion after the candidate was evaluated",
            where=given.recipe.registry.model,
            fix="run `tongues evaluate` and `tongues promote` again",
        )
    return current.version


def _record(given: Given, tracking: Tracking, tuned: Output, compared: Evaluation) -> str:
    recipe = given.recipe
    run_id = tracking.start_run(
        f"{tuned.manifest.digest()}-{compared.output.manifest.digest()}",
        name=f"{recipe.name} {tuned.manifest.key[:8]}",
        tags={"tongues.recipe_sha256": recipe.digest(), "tongues.code_version": tuned.manifest.code_version},
    )
    tracking.log_params(
        run_id, recipe.model_dump(mode="json", include={"name", "languages", "seed", "tuning"})
    )
    tracking.log_datasets(run_id, list(_datasets(given, tuned)))
    tracking.log_steps(run_id, list(_training_course(tuned)))
    tracking.log_scores(run_id, compared.candidate)
    for one in compared.scores[:-1]:
        tracking.log_scores(run_id, one, prefix=f"{one.role}/")
    for path in [
        # Work that an earlier version has finished has no plot.
        *(path for name in _RUN_FILES if (path := tuned.folder / name).is_file()),
        compared.report,
        compared.output.folder / SUMMARY_NAME,
        compared.output.folder / COMPARISON_NAME,
    ]:
        tracking.log_artifact(run_id, path)
    tracking.log_text(run_id, compared.candidate.model_dump_json(indent=1), SCORES_NAME)
    if (card := tuned.folder / MERGED / CARD_NAME).is_file():
        summary = (compared.output.folder / SUMMARY_NAME).read_text(encoding="utf-8")
        tracking.log_text(run_id, with_results(card.read_text(encoding="utf-8"), summary), "model-card.md")
    tracking.finish_run(run_id)
    return run_id


def _datasets(given: Given, tuned: Output) -> Iterator[DatasetInput]:
    facts = tuned.manifest.facts
    recipe = given.recipe
    for context in ("train", "validation"):
        yield DatasetInput(
            f"{'+'.join(section.dataset for section in recipe.source.files)}-{context}",
            facts["dataset_content_sha256"],
            facts["dataset_uri"],
            facts["rows"][context],
            "training" if context == "train" else context,
        )


def _training_course(tuned: Output) -> Iterator[StepMetrics]:
    for line in (tuned.folder / "training-log.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        values = {_metric(k): float(v) for k, v in entry.items() if k not in ("step", "elapsed_s")}
        yield StepMetrics(entry["step"], entry["elapsed_s"], values)
    yield from _validation(tuned, entry["step"], entry["elapsed_s"])


def _metric(name: str) -> str:
    """MLflow shows what is below "system/" on a page of its own."""
    return f"system/{name}" if name in SYSTEM_MEASURES else f"train/{name}"


def _validation(tuned: Output, last_step: int, elapsed_s: float) -> Iterator[StepMetrics]:
    """The validation loss per language, before the first step and after the last."""
    observed = tuned.manifest.observed
    for step, seconds, name in (
        (0, 0.0, "validation_loss_before"),
        (last_step, elapsed_s, "validation_loss"),
    ):
        losses = {f"validation/{lang}/loss": loss for lang, loss in observed[name].items()}
        yield StepMetrics(step, seconds, losses)


def _tags(given: Given, tuned: Output, evaluation: Output) -> dict[str, str]:
    recipe, facts = given.recipe, tuned.manifest.facts
    parity = tuned.manifest.observed.get("parity")
    return {
        "manifest_sha256": tuned.manifest.digest(),
        "model_uri": tuned.uri,
        "base_uri": facts["base_uri"],
        "base_model": recipe.base_model.name,
        "base_revision": recipe.base_model.uri,
        "base_sha256": facts["base_content_sha256"],
        "base_licence": recipe.base_model.licence,
        "languages": ",".join(recipe.languages),
        "data_licence": " AND ".join(_data_licences(tuned)),
        "recipe_sha256": recipe.digest(),
        "dataset_uri": facts["dataset_uri"],
        "dataset_sha256": facts["dataset_content_sha256"],
        "evaluation_uri": evaluation.uri,
        "evaluation_sha256": evaluation.manifest.digest(),
        "report": REPORT_NAME,
        "report_sha256": evaluation.manifest.files[REPORT_NAME],
    } | ({"parity_sha256": digest_value(parity)} if parity else {})
