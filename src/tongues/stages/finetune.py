"""Finetune: from the dataset and the base model to an adapter and merged weights."""

import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tongues.core.digests import digest_files, digest_value
from tongues.core.records import Record
from tongues.core.shards import read_shards
from tongues.stages.given import Given
from tongues.stages.rows import Sorter
from tongues.stages.weights import ADAPTER, MERGED
from tongues.stages.workspace import Output, Report, Workspace
from tongues.tuning.masks import preview
from tongues.tuning.merge import Parity, merge, parity
from tongues.tuning.models import load_tokenizer
from tongues.tuning.preflight import prepare
from tongues.tuning.sft import TuningResult, train

CHECKPOINTS = "checkpoints"


def finetune(given: Given, workspace: Workspace, dataset: Output, base: Output) -> Output:
    """Train a LoRA adapter, fold it into the base, and check that both answer alike.

    An interrupted run goes on from its last complete checkpoint.

    Returns:
        A folder with ``adapter/``, ``merged/``, ``training-log.jsonl`` and ``mask-preview.txt``.

    Raises:
        PreflightError: data, model, machine or masks are not sound.
        TuningError: the loss diverged, or the merged model answers differently from the adapter.
    """

    def work(folder: Path) -> Report:
        result = train(
            train_records=records_of(dataset, "train"),
            validation_records=records_of(dataset, "validation"),
            base=base.folder,
            out=folder,
            section=given.recipe.tuning,
            seed=given.recipe.seed,
            say=workspace.say,
            base_name=given.recipe.base_model.name,
        )
        merge(base.folder, folder / ADAPTER, folder / MERGED)
        alike = parity(base.folder, folder / ADAPTER, folder / MERGED, _prompts(given, dataset))
        agreed = f"{alike.agreement:.1%} of {alike.tokens} tokens"
        workspace.say(f"finetune: merged weights answer like the adapter ({agreed})")
        return _report(dataset, base, folder, result, alike)

    params = {"tuning": given.recipe.tuning.model_dump(mode="json"), "seed": given.recipe.seed}
    inputs = {"dataset": dataset, "base": base}
    return workspace.finish("finetune", recipe=given.recipe, inputs=inputs, params=params, work=work)


def records_of(dataset: Output, split: str) -> list[Record]:
    """The records of one split."""
    return [Record.from_row(row) for row in read_shards(dataset.folder / split)]


def check(given: Given, dataset: Output, base: Output) -> str:
    """Show what would be trained on, in colour: the loss falls on the marked tokens only.

    Raises:
        PreflightError: data, model, machine or masks are not sound.
    """
    with tempfile.TemporaryDirectory() as out:
        prepare(
            train_records=records_of(dataset, "train"),
            validation_records=records_of(dataset, "validation"),
            base=base.folder,
            out=Path(out),
            section=given.recipe.tuning,
        )
    return preview(records_of(dataset, "train"), load_tokenizer(base.folder), colour=True, limit=6)


def _prompts(given: Given, dataset: Output) -> list[str]:
    """The first user turn of each language, to compare adapter and merged weights on."""
    first = {record.lang: record.messages[-2].content for record in records_of(dataset, "train")}
    return list(first.values())


def _report(dataset: Output, base: Output, folder: Path, result: TuningResult, alike: Parity) -> Report:
    sorter = _tallied(dataset, result, folder / "dropped")
    facts = {
        "base_uri": base.uri,
        "base_content_sha256": base.manifest.content_sha256,
        "dataset_uri": dataset.uri,
        "dataset_content_sha256": dataset.manifest.content_sha256,
        "rows": {split: len(records_of(dataset, split)) for split in ("train", "validation")},
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
        "parity": asdict(alike),
    }
    return Report(sorter.tallies, facts, observed, content_sha256=_weights(folder), leave=(CHECKPOINTS,))


def _weights(folder: Path) -> str:
    """Digest of what was learnt; the log beside it has times in it."""
    return digest_value({name: digest_files(folder / name) for name in (ADAPTER, MERGED)})


def _tallied(dataset: Output, result: TuningResult, folder: Path) -> Sorter:
    with Sorter(folder) as sorter:
        for drop in result.dropped:
            sorter.drop(drop)
    counts = Counter(r.lang for split in ("train", "validation") for r in records_of(dataset, split))
    for lang, rows in counts.items():
        tally = sorter.tally(lang)
        tally.rows_in, tally.rows_out = rows, rows - sum(tally.dropped.values())
    return sorter
