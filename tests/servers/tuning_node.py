"""The stage on one node: ``tuning_node.py WORKSPACE SCRATCH BASE TUNING``, the last as JSON.

It starts its processes itself; which node it is stands in torchrun's variables, as in a pod of a TrainJob.
"""

import dataclasses
import shutil
import sys
from pathlib import Path

from tests.servers.tuning_job import record
from tongues.core.errors import TonguesError
from tongues.core.manifest import Tally
from tongues.core.recipe import TuningSection
from tongues.core.recipe_file import load_recipe
from tongues.core.records import RECORD_SCHEMA
from tongues.core.shards import write_shards
from tongues.stages.finetune import finetune
from tongues.stages.given import Given
from tongues.stages.workspace import Output, Report, Workspace

QUICKSTART = Path(__file__).resolve().parents[2] / "recipes" / "quickstart.yaml"


def given_with(tuning: TuningSection) -> Given:
    """The quickstart's recipe with another tuning section; of "auto" engines transformers alone is asked.

    vLLM serves no heads as small as those of the tiny models that are trained here.
    """
    if tuning.safety.parity == "auto":
        safety = tuning.safety.model_copy(update={"parity": "transformers"})
        tuning = tuning.model_copy(update={"safety": safety})
    recipe = load_recipe(QUICKSTART).model_copy(update={"tuning": tuning})
    return Given(recipe, recipe, "inline")


def dataset_and_base(place: Workspace, given: Given, base: Path) -> tuple[Output, Output]:
    """A published dataset of two stages with some pairs, and a published base."""
    records = [
        dataclasses.replace(
            record(i), meta={"stage": "1" if i < 8 else "2"} | ({"rejected": "no"} if i % 4 == 0 else {})
        )
        for i in range(24)
    ]

    def assembled(folder: Path) -> Report:
        write_shards(folder / "train", RECORD_SCHEMA, [r.to_row() for r in records[:20]])
        write_shards(folder / "validation", RECORD_SCHEMA, [r.to_row() for r in records[20:]])
        return Report({"es": Tally(rows_in=24, rows_out=24)}, {"licence": "CC0-1.0"})

    def fetched(folder: Path) -> Report:
        shutil.copytree(base, folder, dirs_exist_ok=True)
        return Report()

    return tuple(
        place.finish(stage, recipe=given.recipe, inputs={}, params=None, work=work)
        for stage, work in (("assemble", assembled), ("base", fetched))
    )  # type: ignore[return-value]


def main(workspace: str, scratch: str, base: str, tuning: str) -> None:
    """Run the stage and say where its result stands."""
    given = given_with(TuningSection.model_validate_json(tuning))
    place = Workspace(workspace, scratch=Path(scratch))
    dataset, published = dataset_and_base(place, given, Path(base))
    try:
        print("finished", finetune(given, place, dataset, published).uri, flush=True)
    except TonguesError as error:
        print("error", error.line(), flush=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
