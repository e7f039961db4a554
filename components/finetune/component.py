"""Fine-tune the base model."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.CUDA, install_kfp_package=False)
def finetune(
    recipe: str,
    workspace: str,
    dataset: str,
    base: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Fine-tune the base model, an adapter or all of it; goes on from the last checkpoint if there is one.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
        dataset: URI of the dataset.
        base: URI of the base model.
    """
    from tongues.stages import steps

    shown = {"model": model, "log_metric": metrics.log_metric}
    return steps.finetune(recipe, workspace, dataset, base, **shown)
