"""Bring the languages together in the aligned store."""

from typing import List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def gather(
    recipe: str,
    workspace: str,
    source: str,
    translations: List[str],  # noqa: UP006
    report: dsl.Output[dsl.HTML],
) -> str:
    """Merge the translations of all languages into one aligned store.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
        source: URI of the source rows.
        translations: URIs of the translated rows, one per language and shard.
        report: what was kept, dropped, escalated and measured, per language.
    """
    from tongues.stages import steps

    return steps.gather(recipe, workspace, source, translations, report_path=report.path)
