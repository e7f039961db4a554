"""Name the variants of an ablation."""

from typing import List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def vary(recipe: str, workspace: str) -> List[str]:  # noqa: UP006
    """Check every variant of the recipe's ablation, and give each as a recipe of its own.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself; it has an ablation.
        workspace: folder or s3:// prefix for all outputs.
    """
    from tongues.stages import steps

    return steps.vary(recipe, workspace)
