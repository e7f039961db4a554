"""The evaluation files of a recipe on local disk, and the suite they make.

A set in its published format has one file per language; it becomes one file of the suite's own format, so
that everything behind it (decontamination, too) reads one format.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from tongues.core.digests import digest_value
from tongues.core.errors import PreflightError
from tongues.core.manifest import write_atomically
from tongues.core.recipe.evaluation import LANG, SuiteSection
from tongues.evaluation.published import FILE_CODES, read_published
from tongues.evaluation.suite import Suite, load_suite
from tongues.platform import storage
from tongues.stages.given import Given
from tongues.stages.workspace import Workspace


def fetch_suite_files(given: Given, workspace: Workspace) -> dict[str, Path]:
    """Fetch the files the suite names.

    Returns:
        Task (those the recipe has) to a local file in the suite's own format.

    Raises:
        PreflightError: a published set has a file for none of the languages, or is not what it should be.
    """
    section, downloads = given.located.evaluation.suite, workspace.local / "downloads"
    return {
        task: _published(given, task, uri, downloads / task)
        if section.format_of(task) != "tongues"
        else storage.fetch_file(uri, downloads / task / Path(uri).name)
        for task, uri in section.uris.items()
    }


def suite_places(given: Given) -> dict[str, str]:
    """Where lineage finds the evaluation files again, by their names as inputs; not those made of others."""
    section = given.located.evaluation.suite
    own = {task: uri for task, uri in section.uris.items() if section.format_of(task) == "tongues"}
    return {f"suite-{task}": uri for task, uri in own.items()}


def _published(given: Given, task: str, uri: str, folder: Path) -> Path:
    section = given.located.evaluation.suite
    there = published_uris(uri, (given.recipe.source.lang, *given.recipe.languages))
    if not there:
        raise PreflightError([f"evaluation.suite.{task}_uri: no file for any language: {uri}"])
    files = {lang: storage.fetch_file(one, folder / Path(one).name) for lang, one in there.items()}
    rows = read_published(section.format_of(task), files)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path = folder / f"{section.format_of(task)}-{digest_value(lines)[:12]}.jsonl"
    write_atomically(path, lines.encode())
    return path


def published_uris(uri: str, languages: Sequence[str]) -> dict[str, str]:
    """The files that a published set has for these languages: BCP-47 code to URI."""
    named = {lang: uri.replace(LANG, FILE_CODES.get(lang, lang)) for lang in languages}
    return {lang: one for lang, one in named.items() if storage.exists(one)}


def partial_tasks(section: SuiteSection) -> list[str]:
    """Tasks that may lack languages: those of published sets."""
    return [task for task in section.uris if section.format_of(task) != "tongues"]


def open_suite(given: Given, workspace: Workspace) -> Suite:
    """The recipe's suite, read, checked, and cut down to the items that the recipe wants.

    Raises:
        PreflightError: lists everything that is wrong with its files.
    """
    recipe = given.recipe
    files = fetch_suite_files(given, workspace)
    suite = load_suite(
        recipe.evaluation.suite.name,
        languages=recipe.languages,
        source_lang=recipe.source.lang,
        choices=files.get("choices"),
        translation=files.get("translation"),
        open=files.get("open"),
        qa=files.get("qa"),
        math=files.get("math"),
        partial=partial_tasks(recipe.evaluation.suite),
    )
    return suite.limited(recipe.evaluation.max_items)
