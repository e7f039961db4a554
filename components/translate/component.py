"""Translate one shard of the source rows into one language."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def translate(recipe: str, workspace: str, source: str, job: str, metrics: dsl.Output[dsl.Metrics]) -> str:
    """Translate one shard of the source rows into one language; paid requests are never paid twice.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
        source: URI of the source rows.
        job: language and shard, such as "es 2/4": BCP-47 code, then which of how many parts.
        metrics: rows kept and dropped by reason, requests, tokens, cost.
    """
    from tongues.stages import steps

    return steps.translate(recipe, workspace, source, job, log_metric=metrics.log_metric)
