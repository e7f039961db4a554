"""Read the source rows and fetch the base model."""

from typing import NamedTuple

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def prepare(recipe: str, workspace: str, source_rows: dsl.Output[dsl.Dataset]) -> NamedTuple(
    "Prepared", [("source", str), ("base", str), ("jobs", list[str]), ("models", list[str])]
):
    """Check the recipe and this machine, read the source rows, fetch the base model.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
    """
    from collections import namedtuple

    from tongues.stages import steps

    done = steps.prepare(recipe, workspace, source_rows=source_rows)
    return namedtuple("Prepared", done)(**done)
