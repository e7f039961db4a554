"""The evaluation files of a recipe on local disk, and the suite they make.

A set in its published format has one file per language; it becomes one file of the suite's own format, so
that everything behind it (decontamination, too) reads one format.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tongues.core.digests import digest_value
from tongues.core.errors import PreflightError, TonguesError
from tongues.core.languages import language
from tongues.core.manifest import write_atomically
from tongues.core.recipe.evaluation import LANG, SuiteSection
from tongues.evaluation.published import FILE_CODES, read_published
from tongues.evaluation.sets import MeasuredSet
from tongues.evaluation.suite import Suite, load_suite
from tongues.platform import storage
from tongues.stages.given import Given
from tongues.stages.standard_sets import NO_PLACE, open_standard_sets
from tongues.stages.workspace import Workspace

_NOT_RUN = "its programs are run only where evaluation.generated_code.run is true"


def fetch_suite_files(given: Given, workspace: Workspace) -> dict[str, Path]:
    """Fetch the files the suite names; those of a standard suite only where they are there.

    Returns:
        Task (those the recipe has) to a local file in the suite's own format.

    Raises:
        PreflightError: a published set has a file for none of the languages, or is not what it should be.
    """
    return _fetch(given, workspace)[0]


def fetch_all_sets(
    given: Given, workspace: Workspace
) -> tuple[dict[str, Path], tuple[MeasuredSet, ...], dict[str, str]]:
    """Everything the suite asks of a model.

    Returns:
        Files by task, sets with tasks of their own, and set to the reason why one that the recipe wants asked
        cannot be read. A set without a place is not wanted, nor is a language without a file.

    Raises:
        PreflightError: see `fetch_suite_files`.
    """
    files, lacking_files = _fetch(given, workspace)
    sets, lacking_sets = open_standard_sets(given, workspace.local / "downloads")
    lacking = lacking_files | lacking_sets
    unread = {
        n: reason for n, reason in lacking.items() if reason not in (NO_PLACE, _NOT_RUN) and "/" not in n
    }
    return files, sets, unread


def _fetch(given: Given, workspace: Workspace) -> tuple[dict[str, Path], dict[str, str]]:
    """The files, and sets of the standard suite to the reason why theirs cannot be had."""
    section = given.located.evaluation.suite
    files, unmeasured = dict[str, Path](), dict[str, str]()
    for task, uri in section.uris.items():
        try:
            files[task] = _file(given, task, uri, workspace.local / "downloads" / task)
        except TonguesError as error:
            if task not in section.filled:
                raise
            unmeasured[section.filled[task].name] = error.line()
    for task, one in section.filled.items():
        if task == "code" and not given.recipe.evaluation.generated_code.run:
            files.pop(task, None)
            unmeasured[one.name] = _NOT_RUN
        elif task not in section.uris:
            unmeasured[one.name] = NO_PLACE
    return files, unmeasured


def _file(given: Given, task: str, uri: str, folder: Path) -> Path:
    if given.located.evaluation.suite.format_of(task) != "tongues":
        return _published(given, task, uri, folder)
    return storage.fetch_file(uri, folder / Path(uri).name)


def suite_places(given: Given) -> dict[str, str]:
    """Where lineage finds the evaluation files again, by their names as inputs; not those made of others."""
    section = given.located.evaluation.suite
    own = {task: uri for task, uri in section.uris.items() if section.format_of(task) == "tongues"}
    return {f"suite-{task}": uri for task, uri in own.items()}


def _published(given: Given, task: str, uri: str, folder: Path) -> Path:
    section = given.located.evaluation.suite
    format = section.format_of(task)
    there = published_uris(uri, (given.recipe.source.lang, *given.recipe.languages), format)
    if not there:
        raise PreflightError([f"evaluation.suite.{task}_uri: no file for any language: {uri}"])
    files = {lang: storage.fetch_file(one, folder / Path(one).name) for lang, one in there.items()}
    rows = read_published(format, files)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path = folder / f"{format}-{digest_value(lines)[:12]}.jsonl"
    write_atomically(path, lines.encode())
    return path


def published_uris(uri: str, languages: Sequence[str], format: str) -> dict[str, str]:
    """The files that a published set has for these languages: BCP-47 code to URI."""
    named = {lang: uri.replace(LANG, _code(lang, format)) for lang in languages}
    return {lang: one for lang, one in named.items() if storage.exists(one)}


def _code(lang: str, format: str) -> str:
    return language(lang).flores if format == "flores" else FILE_CODES.get(lang, lang)


def partial_tasks(section: SuiteSection) -> list[str]:
    """Tasks that may lack languages: those of published sets and of standard suites."""
    return [t for t in section.uris if section.format_of(t) != "tongues" or t in section.filled]


def open_suite(given: Given, workspace: Workspace) -> Suite:
    """The recipe's suite, read, checked, and cut down to the items that the recipe wants.

    A set of a standard suite that cannot be loaded is named, and the rest goes on.

    Raises:
        PreflightError: lists everything that is wrong with the recipe's own files; or nothing is left to ask.
    """
    recipe = given.recipe
    files, unmeasured = _fetch(given, workspace)
    for task, one in recipe.evaluation.suite.filled.items():
        if task in files:
            try:
                _load(given, {task: files[task]})
            except PreflightError as error:
                files.pop(task)
                unmeasured[one.name] = error.problems[0]
    sets, lacking = open_standard_sets(given, workspace.local / "downloads")
    for name, reason in (unmeasured | lacking).items():
        workspace.say(f"not measured: {name}: {reason}")
    suite = replace(_load(given, files), sets=sets, unmeasured=unmeasured | lacking)
    if not suite.work_items:
        problems = [f"{name}: {reason}" for name, reason in suite.unmeasured.items()]
        raise PreflightError(problems or ["no set has an item"], where="evaluation.suite")
    return suite.limited(recipe.evaluation.max_items)


def _load(given: Given, files: Mapping[str, Path]) -> Suite:
    recipe = given.recipe
    return load_suite(
        recipe.evaluation.suite.name,
        languages=recipe.languages,
        source_lang=recipe.source.lang,
        choices=files.get("choices"),
        translation=files.get("translation"),
        open=files.get("open"),
        qa=files.get("qa"),
        math=files.get("math"),
        code=files.get("code"),
        partial=partial_tasks(recipe.evaluation.suite),
    )
