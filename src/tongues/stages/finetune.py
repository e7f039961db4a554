"""Finetune: from the dataset and the base model to an adapter and merged weights."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_files, digest_value
from tongues.core.drops import Drop
from tongues.core.errors import TuningError
from tongues.core.progress import Say
from tongues.core.recipe_file import dump_recipe
from tongues.core.records import Record
from tongues.core.shards import read_shards
from tongues.data.dataset_overview import CARD_NAME as DATA_CARD_NAME
from tongues.platform import storage
from tongues.stages.given import Given
from tongues.stages.rows import Sorter
from tongues.stages.weights import ADAPTER, MERGED
from tongues.stages.workspace import Output, Report, Workspace
from tongues.tuning.autotune import Tuned
from tongues.tuning.autotune import autotune as search_batch
from tongues.tuning.checkpoints import LOG_NAME
from tongues.tuning.curriculum import Job, Stage, check_stages, plan_stages
from tongues.tuning.eviction import Eviction
from tongues.tuning.launch import launch, must_launch, planned_ranks
from tongues.tuning.loss_plot import LOSS_PLOT, loss_plot
from tongues.tuning.masks import preview
from tongues.tuning.memory import find_device
from tongues.tuning.merge import Parity, merge, parity, parity_of_full
from tongues.tuning.model_card import CARD_NAME, CardFacts, model_card
from tongues.tuning.models import load_tokenizer
from tongues.tuning.preflight import prepare
from tongues.tuning.ranks import Ranks
from tongues.tuning.result import TuningResult
from tongues.tuning.stage_runs import (
    CHECKPOINTS,
    StageResult,
    run_stages,
    scratch,
    unused,
    whole_course,
)

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
    """
    if must_launch(given.recipe.tuning):
        return _in_processes(given, workspace, dataset, base)
    ranks = Ranks.here()
    with ranks.joined():
        lead = _lead if ranks.leads else _follow
        output = lead(given, workspace, dataset, base, ranks)
        ranks.wait()
    return output or _shared(given, workspace, dataset, base)


def _lead(given: Given, workspace: Workspace, dataset: Output, base: Output, ranks: Ranks) -> Output:
    """Do the work, or find it done, in the process that writes; the others train beside it."""
    stages = plan_stages(records_of(dataset, "train"), given.recipe.tuning)
    working = False

    def work(folder: Path) -> Report:
        nonlocal working
        working = ranks.agreed(True)
        results = _train(given, workspace, dataset, base, stages, folder)
        alike = _written(results[-1], base, folder, _prompts(dataset), workspace.say)
        result = whole_course(results)
        _write_cards(given, dataset, folder, results, result)
        plot = loss_plot((folder / LOG_NAME).read_text("utf-8"), given.recipe.name)
        (folder / LOSS_PLOT).write_text(plot, encoding="utf-8")
        return _report(dataset, base, folder, results, result, alike)

    output = workspace.finish("finetune", **identity(given, dataset, base), work=work)
    if not working:
        ranks.agreed(False)
    _remove_remote_checkpoints(output)
    return output


def _follow(given: Given, workspace: Workspace, dataset: Output, base: Output, ranks: Ranks) -> None:
    """Train beside the leading process, if it does."""
    if ranks.agreed(False):
        stages = plan_stages(records_of(dataset, "train"), given.recipe.tuning)
        folder, _ = workspace.find("finetune", **identity(given, dataset, base))
        _train(given, workspace, dataset, base, stages, folder)


def _train(
    given: Given,
    workspace: Workspace,
    dataset: Output,
    base: Output,
    stages: Sequence[Stage],
    folder: Path,
) -> list[StageResult]:
    with Eviction(given.recipe.tuning.safety.grace_s, workspace.say) as eviction:
        job = Job(
            base.folder,
            given.recipe.base_model.name,
            folder,
            records_of(dataset, "validation"),
            given.recipe.seed,
            workspace.say,
            eviction,
            mirror_uri=workspace.uri_of(folder) if storage.local_path(workspace.uri) is None else None,
            tokenised=workspace.local / TOKENISED,
        )
        return run_stages(stages, job)


def identity(given: Given, dataset: Output, base: Output) -> dict[str, Any]:
    """What finished tuning is found by.

    Not how the machine was used or on how many nodes it was done, nor when a run stops by itself.
    """
    tuning = given.recipe.tuning.model_dump(mode="json", exclude={"safety", "hardware"})
    return {
        "recipe": given.recipe,
        "inputs": {"dataset": dataset, "base": base},
        "params": {"tuning": tuning, "seed": given.recipe.seed},
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


def _written(last: StageResult, base: Output, folder: Path, prompts: Sequence[str], say: Say) -> Parity:
    """Write the full weights where an adapter was trained, and hold them against what was trained."""
    if last.stage.section.mode == "full":
        trained = last.folder / CHECKPOINTS / f"checkpoint-{last.training.steps_total}"
        alike, what = parity_of_full(base.folder, trained, folder / MERGED, prompts), "the trained ones"
    else:
        merge(base.folder, folder / ADAPTER, folder / MERGED)
        alike, what = parity(base.folder, folder / ADAPTER, folder / MERGED, prompts), "the adapter"
    say(f"finetune: merged weights answer like {what} ({alike.agreement:.1%} of {alike.tokens} tokens)")
    return alike


def _remove_remote_checkpoints(output: Output) -> None:
    """What another machine would have gone on from; the work is published, so nobody will."""
    if storage.local_path(output.uri) is not None:
        return
    for name in storage.list_names(output.uri):
        if CHECKPOINTS in name.split("/"):
            storage.remove_file(storage.join(output.uri, name))


def records_of(dataset: Output, split: str) -> list[Record]:
    """The records of one split."""
    return [Record.from_row(row) for row in read_shards(dataset.folder / split)]


def check(given: Given, workspace: Workspace, dataset: Output, base: Output) -> str:
    """Show what would be trained on, in colour: the loss falls on the marked tokens only.

    Rows that it tokenises are kept for the training.

    Raises:
        PreflightError: data, model, machine or masks are not sound.
    """
    tuning = given.recipe.tuning
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


def _prompts(dataset: Output) -> list[str]:
    """The first user turn of each language, to compare trained and written weights on."""
    first = {record.lang: record.messages[-2].content for record in records_of(dataset, "train")}
    return list(first.values())


def _write_cards(
    given: Given, dataset: Output, folder: Path, results: Sequence[StageResult], result: TuningResult
) -> None:
    recipe = given.recipe
    rows = Counter(record.lang for record in records_of(dataset, "train"))
    for name in (ADAPTER, MERGED):
        if (folder / name).is_dir():
            facts = CardFacts(
                base_name=recipe.base_model.name,
                base_licence=recipe.base_model.licence,
                data_licence=dataset.manifest.facts["licence"],
                data_card=storage.join(dataset.uri, DATA_CARD_NAME),
                data_sha256=dataset.manifest.content_sha256,
                rows=dict(sorted(rows.items())),
                is_adapter=name == ADAPTER,
            )
            card = model_card(facts, recipe.tuning, [_stage_facts(one) for one in results], result)
            (folder / name / CARD_NAME).write_text(card, encoding="utf-8")


def _stage_facts(result: StageResult) -> dict[str, Any]:
    stage = result.stage
    return {
        "name": stage.name,
        "kind": stage.kind,
        "records": len(stage.records),
        "adapter": stage.adapter,
        "learning_rate": stage.section.learning_rate,
        "steps": result.training.steps_total,
        "tokens": result.training.tokens,
        "weights_sha256": result.weights_sha256,
    }


def _stage_observed(result: StageResult) -> dict[str, Any]:
    training = result.training
    return {
        "train_loss": training.train_loss,
        "validation_loss_before": training.validation_loss_before,
        "validation_loss": training.validation_loss,
        "tokens_per_s": round(training.tokens_per_s, 1),
        "resumed_from": training.resumed_from,
    }


def _report(
    dataset: Output,
    base: Output,
    folder: Path,
    results: Sequence[StageResult],
    result: TuningResult,
    alike: Parity,
) -> Report:
    training, validation = records_of(dataset, "train"), records_of(dataset, "validation")
    sorter = _tallied([*training, *validation], unused(training, validation, results), folder / "dropped")
    facts = {
        "base_uri": base.uri,
        "base_content_sha256": base.manifest.content_sha256,
        "dataset_uri": dataset.uri,
        "dataset_content_sha256": dataset.manifest.content_sha256,
        "rows": {"train": len(training), "validation": len(validation)},
        "mode": results[-1].stage.section.mode,
        "stages": {one.stage.name: _stage_facts(one) for one in results},
        "steps": result.steps_total,
        "tokens": result.tokens,
        "label_share": round(result.label_share, 4),
        "trainable_parameters": result.trainable_parameters,
        "precision": result.precision,
    }
    observed = {
        "steps_run": result.steps_run,
        "resumed_from": result.resumed_from,
        "train_loss": result.train_loss,
        "validation_loss_before": result.validation_loss_before,
        "validation_loss": result.validation_loss,
        "tokens_per_s": round(result.tokens_per_s, 1),
        "padding_share": round(result.padding_share, 4),
        "layout": result.layout,
        "pass_fill": round(result.pass_fill, 4),
        "parity": asdict(alike),
        "stages": {one.stage.name: _stage_observed(one) for one in results},
    }
    leave = scratch([one.stage for one in results])
    return Report(sorter.tallies, facts, observed, content_sha256=_weights(folder), leave=leave)


def _weights(folder: Path) -> str:
    """Digest of what was learnt; the log beside it has times in it, and the card losses."""
    digests = {
        name: digest_files(folder / name, leave_out=frozenset({CARD_NAME}))
        for name in (ADAPTER, MERGED)
        if (folder / name).is_dir()
    }
    return digest_value(digests)


def _tallied(records: Sequence[Record], drops: Sequence[Drop], folder: Path) -> Sorter:
    with Sorter(folder) as sorter:
        for drop in drops:
            sorter.drop(drop)
    for lang, rows in Counter(record.lang for record in records).items():
        tally = sorter.tally(lang)
        tally.rows_in, tally.rows_out = rows, rows - sum(tally.dropped.values())
    return sorter
