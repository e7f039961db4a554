"""Finetune: from the dataset and the base model to an adapter and merged weights."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_files
from tongues.core.errors import PreflightError, TuningError
from tongues.core.manifest import NOT_NAMED
from tongues.core.recipe_file import dump_recipe
from tongues.platform import storage
from tongues.stages.finetune_parity import write_and_compare
from tongues.stages.finetune_report import records_of, report, write_cards
from tongues.stages.finetune_served import served_sides
from tongues.stages.given import Given
from tongues.stages.workspace import Output, Report, Workspace
from tongues.tuning.autotune import Tuned
from tongues.tuning.autotune import autotune as search_batch
from tongues.tuning.checkpoints import LOG_NAME
from tongues.tuning.curriculum import Job, check_stages, plan_stages
from tongues.tuning.eviction import Eviction
from tongues.tuning.launch import launch, must_launch, planned_ranks
from tongues.tuning.loss_plot import LOSS_PLOT, loss_plot
from tongues.tuning.masks import preview
from tongues.tuning.memory import find_device
from tongues.tuning.models import load_tokenizer
from tongues.tuning.preflight import prepare
from tongues.tuning.ranks import Ranks
from tongues.tuning.stage_runs import CHECKPOINTS, StageResult, run_stages

LEAST_PROMPTS = 4
"""Trained and written weights are compared on so many prompts or more, from each language as many."""

TOKENISED = "tokenised"
"""Folder of the workspace's local side with rows that were tokenised once."""


def finetune(given: Given, workspace: Workspace, dataset: Output, base: Output) -> Output:
    """Train an adapter and fold it into the base, or train all weights; check what was written.

    An interrupted run goes on from its last complete checkpoint, also on another machine where the
    workspace is an object store. Where the recipe or the machine's GPUs ask for several processes, they
    are started first; in those that torchrun has started this is called in each of them.

    Returns:
        A folder with ``merged/``, ``training-log.jsonl`` and ``mask-preview.txt``, with ``adapter/`` where
        one was trained, and with ``stages/`` where there were several.

    Raises:
        PreflightError: data, model, machine or masks are not sound, or a stage has nothing to learn from.
        TrainingInterruptedError: evicted, or stalled; progress is kept.
        TuningError: the loss diverged, or the weights written answer differently from those trained.
        ServingError: vLLM is to be asked, and is not installed, or does not serve what was written.
    """
    served_sides(given.recipe)
    if must_launch(given.recipe.tuning):
        return _in_processes(given, workspace, dataset, base)
    ranks = Ranks.here()
    with ranks.joined():
        work = _Work(given, workspace, dataset, base, ranks)
        output = work.lead() if ranks.leads else None
        if output is None:
            work.follow()
        ranks.wait()
    return output or _shared(given, workspace, dataset, base)


@dataclass(frozen=True, slots=True)
class _Work:
    """What one process has at hand."""

    given: Given
    workspace: Workspace
    dataset: Output
    base: Output
    ranks: Ranks

    def lead(self) -> Output:
        """Do the work, or find it done, in the process that writes; the others train beside it."""
        working = False

        def work(folder: Path) -> Report:
            nonlocal working
            require_unchanged(self.dataset, self.base)
            working = self.ranks.agreed(True)
            return self._done(self._trained(folder, eviction), folder)

        name = identity(self.given, self.dataset, self.base)
        with self._eviction() as eviction:  # also while weights are written and compared
            output = self.workspace.finish("finetune", **name, work=work)
        if not working:
            self.ranks.agreed(False)
        _remove_remote_checkpoints(output)
        return output

    def follow(self) -> None:
        """Train beside the leading process, if it does."""
        if self.ranks.agreed(False):
            name = identity(self.given, self.dataset, self.base)
            with self._eviction() as eviction:
                self._trained(self.workspace.find("finetune", **name)[0], eviction)

    def _eviction(self) -> Eviction:
        return Eviction(self.given.recipe.tuning.safety.grace_s, self.workspace.say)

    def _trained(self, folder: Path, eviction: Eviction) -> list[StageResult]:
        stages = plan_stages(records_of(self.dataset, "train"), self.given.recipe.tuning)
        local = storage.local_path(self.workspace.uri) is not None
        job = Job(
            self.base.folder,
            self.given.recipe.base_model.name,
            folder,
            records_of(self.dataset, "validation"),
            self.given.recipe.seed,
            self.workspace.say,
            eviction,
            mirror_uri=None if local else self.workspace.uri_of(folder),
            tokenised=self.workspace.local / TOKENISED,
        )
        return run_stages(stages, job)

    def _done(self, results: Sequence[StageResult], folder: Path) -> Report:
        """Write what is served, hold it against what was trained, and tell all of it."""
        recipe = self.given.recipe
        alike = write_and_compare(recipe, self.workspace, results[-1], self.base, folder, self._prompts())
        write_cards(recipe, self.dataset, folder, results)
        plot = loss_plot((folder / LOG_NAME).read_text("utf-8"), recipe.name)
        (folder / LOSS_PLOT).write_text(plot, encoding="utf-8")
        return report(self.dataset, self.base, folder, results, alike)

    def _prompts(self) -> list[str]:
        """The first user turns of each language, to compare trained and written weights on."""
        turns: dict[str, dict[str, None]] = {}
        for record in records_of(self.dataset, "train"):
            turns.setdefault(record.lang, {})[record.messages[-2].content] = None
        each = math.ceil(LEAST_PROMPTS / len(turns))
        return [turn for of_language in turns.values() for turn in list(of_language)[:each]]


def identity(given: Given, dataset: Output, base: Output) -> dict[str, Any]:
    """What finished tuning is found by.

    Not how the machine was used or on how many nodes it was done, nor when a run stops by itself.
    """
    tuning = given.recipe.tuning
    learnt = tuning.model_dump(mode="json", exclude={"safety", "hardware"})
    # What vLLM was asked for need not be in a result that was finished without.
    asked = {"parity": tuning.safety.parity} if tuning.safety.parity == "vllm" else {}
    return {
        "recipe": given.recipe,
        "inputs": {"dataset": dataset, "base": base},
        "params": {"tuning": learnt, "seed": given.recipe.seed, **asked},
    }


def _in_processes(given: Given, workspace: Workspace, dataset: Output, base: Output) -> Output:
    """Start this node's processes, each of which comes here again."""
    _, done = workspace.find("finetune", **identity(given, dataset, base))
    if done:
        workspace.say(f"finetune: found finished ({done.manifest.key})")
        return done
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(dump_recipe(given.recipe), encoding="utf-8")
        arguments = [str(recipe), workspace.uri, str(workspace.scratch), dataset.uri, base.uri]
        launch("tongues.stages.rank", arguments, given.recipe.tuning)
    return _shared(given, workspace, dataset, base)


def _shared(given: Given, workspace: Workspace, dataset: Output, base: Output) -> Output:
    """What the leading process has finished.

    Raises:
        TuningError: it did so on a disk that is not seen from here.
    """
    _, done = workspace.find("finetune", **identity(given, dataset, base))
    if done is None:
        raise TuningError(
            "the training is done, but its result is on another node's disk",
            where=workspace.uri,
            fix="keep the workspace of several nodes in an object store, or on a disk that they share",
        )
    return done


def figures(output: Output) -> dict[str, float]:
    """Losses, speed and size of a finished training, to show beside the step."""
    observed, facts = output.manifest.observed, output.manifest.facts
    shown = {"train_loss": observed["train_loss"], "tokens_per_s": observed["tokens_per_s"]}
    shown |= {"steps": facts["steps"], "tokens": facts["tokens"]}
    for name in ("validation_loss_before", "validation_loss"):
        shown |= {f"{name}/{lang}": loss for lang, loss in (observed[name] or {}).items()}
    return {name: float(value) for name, value in shown.items()}


def require_unchanged(*inputs: Output) -> None:
    """See that data and base are what their manifests, and so the result's lineage, say they are.

    Raises:
        PreflightError: a file is missing, or has been changed since; names all of them.
    """
    problems = []
    for given in inputs:
        found = digest_files(given.folder, leave_out=NOT_NAMED)
        differing = (name for name, sha256 in given.manifest.files.items() if found.get(name) != sha256)
        problems += [
            f"{given.folder / name}: not as it was when {given.manifest.stage} finished; delete "
            f"{given.folder} and run {given.manifest.stage} again"
            for name in sorted(differing)
        ]
    if problems:
        raise PreflightError(problems)


def _remove_remote_checkpoints(output: Output) -> None:
    """What another machine would have gone on from; the work is published, so nobody will."""
    if storage.local_path(output.uri) is not None:
        return
    for name in storage.list_names(output.uri):
        if CHECKPOINTS in name.split("/"):
            storage.remove_file(storage.join(output.uri, name))


def check(given: Given, workspace: Workspace, dataset: Output, base: Output) -> str:
    """Show what would be trained on, in colour: the loss falls on the marked tokens only.

    Rows that it tokenises are kept for the training.

    Raises:
        PreflightError: data, model, machine or masks are not sound.
        ServingError: the recipe has vLLM asked, and it is not installed.
    """
    tuning = given.recipe.tuning
    served_sides(given.recipe)
    require_unchanged(dataset, base)
    stages = plan_stages(records_of(dataset, "train"), tuning)
    validation = records_of(dataset, "validation")
    with tempfile.TemporaryDirectory() as out:
        job = Job(
            base.folder,
            given.recipe.base_model.name,
            Path(out),
            validation,
            given.recipe.seed,
            lambda _: None,
            Eviction(tuning.safety.grace_s, lambda _: None),
            tokenised=workspace.local / TOKENISED,
            ranks=planned_ranks(tuning),
        )
        check_stages(stages, job)
    return preview(records_of(dataset, "train"), load_tokenizer(base.folder), colour=True, limit=6)


def autotune(given: Given, workspace: Workspace, dataset: Output, base: Output) -> Tuned:
    """Find the largest `tuning.batch_tokens` that fits this machine, by passes of the first stage.

    Raises:
        PreflightError: data, model, machine or masks are not sound.
        TuningError: not even one row fits, or weights would have to be divided.
    """
    [first, *_] = plan_stages(records_of(dataset, "train"), given.recipe.tuning)
    smallest = first.section.model_copy(update={"batch_tokens": 1})
    ranks = planned_ranks(given.recipe.tuning)
    with tempfile.TemporaryDirectory() as out:
        prepared = prepare(
            train_records=first.records,
            validation_records=[],
            base=base.folder,
            out=Path(out),
            section=smallest,
            tokenised=workspace.local / TOKENISED,
            ranks=ranks,
        )
    if prepared.memory.shares > 1:
        raise TuningError(
            "weights would be divided among several processes, and one pass is tried in one",
            fix="write tuning.hardware.sharding: none, or set tuning.batch_tokens by the estimate of --check",
        )
    device = find_device(ranks.local_count)
    return search_batch(base.folder, prepared, first.section, device, given.recipe.seed, workspace.say)
