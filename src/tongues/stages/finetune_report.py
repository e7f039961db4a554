"""What a finished training tells of itself: cards beside the weights, and the manifest's facts."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_files, digest_value
from tongues.core.drops import Drop
from tongues.core.recipe import Recipe
from tongues.core.records import Record
from tongues.core.shards import read_shards
from tongues.data.dataset_overview import CARD_NAME as DATA_CARD_NAME
from tongues.platform import storage
from tongues.stages.finetune_parity import Alike
from tongues.stages.rows import Sorter
from tongues.stages.weights import ADAPTER, MERGED
from tongues.stages.workspace import Output, Report
from tongues.tuning.model_card import CARD_NAME, CardFacts, model_card
from tongues.tuning.stage_runs import StageResult, scratch, unused, whole_course


def records_of(dataset: Output, split: str) -> list[Record]:
    """The records of one split."""
    return [Record.from_row(row) for row in read_shards(dataset.folder / split)]


def write_cards(recipe: Recipe, dataset: Output, folder: Path, results: Sequence[StageResult]) -> None:
    """A model card beside adapter and merged weights."""
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
            stages = [_stage_facts(one) for one in results]
            card = model_card(facts, recipe.tuning, stages, whole_course(results))
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


def report(
    dataset: Output, base: Output, folder: Path, results: Sequence[StageResult], alike: Alike
) -> Report:
    """What the manifest says of a finished training.

    Args:
        dataset: what was trained on.
        base: what was trained.
        folder: with the weights; gets ``dropped/``.
        results: of all stages.
        alike: how alike what is served answers.
    """
    result = whole_course(results)
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
        "parity": alike.measured(),
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
