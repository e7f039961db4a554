"""Translate the source rows into one language."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.CPU, install_kfp_package=False)
def translate(recipe: str, workspace: str, source: str, language: str) -> str:
    """Translate the source rows into one language; paid requests are never paid twice.

    Args:
        recipe: recipe as a path, an s3:// URI, or the YAML itself.
        workspace: folder or s3:// prefix for all outputs.
        source: URI of the source rows.
        language: BCP-47 code.
    """
    from tongues.stages import steps

    return steps.translate(recipe, workspace, source, language)
