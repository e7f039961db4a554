"""Translate a dataset: from an English instruction set to training data, and no further."""

from typing import Any

from kfp import dsl

from components.data_steps import data_steps
from components.placement import Pools, light
from components.report.component import report


def build(pools: Pools) -> Any:
    """The pipeline; see `multilingual_tuning.build`."""
    make_data = data_steps(pools)

    @dsl.pipeline(
        name="translate-dataset",
        description="Translate an instruction set and assemble training data, with a report per language",
    )
    def translate_dataset(recipe: str, workspace: str) -> None:
        """Data only.

        Args:
            recipe: recipe as an s3:// URI, a path, or the YAML itself.
            workspace: s3:// prefix (or folder) that keeps every output by digest.
        """
        where = {"recipe": recipe, "workspace": workspace}
        with dsl.ExitHandler(light(report(**where), pools.get("report")), name="road"):
            make_data(**where)

    return translate_dataset
