"""Build the training data."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def assemble(
    recipe: str,
    workspace: str,
    store: str,
    written: str,
    dataset: dsl.Output[dsl.Dataset],
    card: dsl.Output[dsl.Markdown],
) -> str:
    """Build, deduplicate, decontaminate and split the training data.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
        store: URI of the aligned store.
        written: URI of the records that a chat model wrote; empty where there are none.
    """
    from tongues.stages import steps

    return steps.assemble(recipe, workspace, store, written, card_path=card.path, dataset=dataset)
