"""Put the promoted version on KServe."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def serve(
    recipe: str, workspace: str, model: str, with_runtime: bool, state: dsl.Output[dsl.Markdown]
) -> str:
    """Put a registered version on KServe, in the namespace of the run, and wait until it is ready.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: s3:// prefix for all outputs; pods fetch the weights from there.
        model: models:/NAME@ALIAS or models:/NAME/VERSION.
        with_runtime: add the ServingRuntime, for a namespace without the chart.
        state: what serves it, and in what state.
    """
    from tongues.stages import steps

    return steps.serve(recipe, workspace, model, with_runtime, state_path=state.path)
