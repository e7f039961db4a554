"""Say what became of a run, also when it failed."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def report(
    recipe: str,
    workspace: str,
    status: dsl.PipelineTaskFinalStatus,
    summary: dsl.Output[dsl.Markdown],
):
    """Gather what the steps left behind into one report, and free what the run still holds; runs last.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
        status: how the run ended, as Kubeflow Pipelines fills it in.
        summary: whatever became of the run: the steps with outcome and time, and what went wrong.
    """
    from tongues.stages import steps

    steps.report(recipe, workspace, status.state, status.error_message, report_path=summary.path)
