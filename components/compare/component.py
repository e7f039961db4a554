"""Compare the variants of an ablation."""

from typing import List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def compare(
    recipe: str,
    workspace: str,
    evaluations: List[str],  # noqa: UP006
    table: dsl.Output[dsl.Markdown],
) -> str:
    """Put the variants side by side in one table; nothing is promoted.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself; it has an ablation.
        workspace: folder or s3:// prefix for all outputs.
        evaluations: URIs of the variants' evaluations.
        table: the methods side by side, on the same base and the same number of tokens.
    """
    from tongues.stages import steps

    return steps.compare(recipe, workspace, evaluations, table_path=table.path)
