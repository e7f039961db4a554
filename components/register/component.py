"""Record the run and register the model."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def register(
    recipe: str, workspace: str, tuned: str, evaluation: str, registered: dsl.Output[dsl.Model]
) -> str:
    """Record the run in MLflow and register the tuned model by URI and digest.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
        tuned: URI of the tuned model.
        evaluation: URI of the evaluation.
        registered: the version in MLflow, by address and digest.
    """
    from tongues.stages import steps

    return steps.register(recipe, workspace, tuned, evaluation, registered=registered)
