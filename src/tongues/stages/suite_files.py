"""The evaluation files of a recipe on local disk, and the suite they make."""

from pathlib import Path

from tongues.evaluation.suite import Suite, load_suite
from tongues.platform import storage
from tongues.stages.given import Given
from tongues.stages.workspace import Workspace


def fetch_suite_files(given: Given, workspace: Workspace) -> dict[str, Path]:
    """Fetch the files the suite names.

    Returns:
        "choices", "translation", "open" (those the recipe has) to a local file.
    """
    section = given.located.evaluation.suite
    uris = {"choices": section.choices_uri, "translation": section.translation_uri, "open": section.open_uri}
    downloads = workspace.local / "downloads"
    return {n: storage.fetch_file(uri, downloads / n / Path(uri).name) for n, uri in uris.items() if uri}


def open_suite(given: Given, workspace: Workspace) -> Suite:
    """The recipe's suite, read and checked.

    Raises:
        PreflightError: lists everything that is wrong with its files.
    """
    recipe = given.recipe
    return load_suite(
        recipe.evaluation.suite.name,
        languages=recipe.languages,
        source_lang=recipe.source.lang,
        **fetch_suite_files(given, workspace),
    )
