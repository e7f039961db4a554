"""Contamination: how much of the evaluation sets stands in the data that the candidate was trained on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tongues.core.comparison import Contamination
from tongues.core.digests import canonical_json
from tongues.core.manifest import write_atomically
from tongues.core.records import Record
from tongues.core.shards import read_shards
from tongues.data.contamination import RULE, exposures
from tongues.evaluation.sets import MeasuredSet
from tongues.stages.given import Given
from tongues.stages.kept_out import KeptOut
from tongues.stages.suite_files import fetch_suite_files
from tongues.stages.workspace import Output, Report, Workspace

CONTAMINATION_NAME = "contamination.json"
_LEARNT = ("train", "validation")
"""Validation decides when training ends, so it is seen as well."""


def contamination(
    given: Given, workspace: Workspace, tuned: Output, sets: Sequence[MeasuredSet] = ()
) -> Output | None:
    """Search the candidate's training data for the items of every evaluation set.

    Args:
        given: the recipe, for the suite's files.
        workspace: holds the training data.
        tuned: the candidate.
        sets: of a standard suite, with tasks of their own.

    Returns:
        A folder with ``contamination.json``; None where the model does not say what it was trained on.

    Raises:
        DataError: an evaluation file cannot be compared.
        StorageError: the training data is gone.
    """
    uri = tuned.manifest.facts.get("dataset_uri")
    if uri is None:
        return None
    dataset = workspace.open(uri)
    known = KeptOut(fetch_suite_files(given, workspace), sets)

    def work(folder: Path) -> Report:
        searched, found = exposures(_learnt(dataset), known.prompts())
        content = Contamination(
            dataset_sha256=dataset.manifest.content_sha256, records=searched, rule=RULE, exposures=found
        )
        write_atomically(folder / CONTAMINATION_NAME, canonical_json(content.model_dump(mode="json")))
        met = sum(one.direct + one.translated for one in found)
        return Report(facts={"records": searched, "items_met": met})

    inputs = {"dataset": dataset, **known.inputs()}
    return workspace.finish(
        "contamination", recipe=given.recipe, inputs=inputs, params={"rule": RULE}, work=work
    )


def read_contamination(output: Output | None) -> Contamination | None:
    """What `contamination` found."""
    if output is None:
        return None
    return Contamination.model_validate_json((output.folder / CONTAMINATION_NAME).read_bytes())


def _learnt(dataset: Output) -> Iterator[Record]:
    for split in _LEARNT:
        yield from map(Record.from_row, read_shards(dataset.folder / split))
