"""Score the base model, the tuned one and the champion."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def evaluate(
    recipe: str,
    workspace: str,
    tuned: str,
    base: str,
    report: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Score the tuned model against the base model and the champion, per language.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
        tuned: URI of the tuned model; or models:/NAME@ALIAS, models:/NAME/VERSION, or a version's number.
        base: URI of the base model; empty takes the recipe's.
    """
    from tongues.stages import steps

    pages = {"report_path": report.path, "summary_path": summary.path}
    return steps.evaluate(recipe, workspace, tuned, base, **pages, log_metric=metrics.log_metric)
