"""Have a chat model write what cannot be had by translation."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def generate(recipe: str, workspace: str, store: str) -> str:
    """Write dialogues, instructions and answers for the methods that need them.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
        store: URI of the aligned store.
    """
    from tongues.stages import steps

    return steps.generate(recipe, workspace, store)
