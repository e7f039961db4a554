"""Let the gate decide."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def promote(
    recipe: str, workspace: str, version: str, evaluation: str, decision: dsl.Output[dsl.Markdown]
) -> str:
    """Let the gate decide; on a pass the alias `champion` moves, on a refusal the step fails.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
        version: registered version to decide on.
        evaluation: URI of the evaluation.
        decision: every clause with its numbers.
    """
    from tongues.stages import steps

    return steps.promote(recipe, workspace, version, evaluation, decision_path=decision.path)
