"""The sets of a standard suite: fetched and loaded one by one, and named where they cannot be."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tongues.core.errors import DataError, EvaluationError, TonguesError
from tongues.core.recipe.evaluation import LANG, SetSection
from tongues.core.standard_suites import StandardSet, standard_suite
from tongues.evaluation.cross import read_cross
from tongues.evaluation.harness import open_harness_set
from tongues.evaluation.set_rows import read_rows
from tongues.evaluation.sets import MeasuredSet
from tongues.platform import storage
from tongues.platform.hub_datasets import is_hub, revision_of
from tongues.stages.given import Given

NO_PLACE = "no place is named for it under evaluation.suite.sets"
"""Why a set is not measured whose place the recipe leaves out."""


def open_standard_sets(given: Given, folder: Path) -> tuple[tuple[MeasuredSet, ...], dict[str, str]]:
    """Load the sets of the recipe's standard suite that have tasks of their own.

    Args:
        given: the recipe.
        folder: receives what is fetched.

    Returns:
        The sets in the languages that they and the recipe have, and set, or set/language, to the reason why
        it cannot be asked.
    """
    section, loaded, unmeasured = given.located.evaluation.suite, list[MeasuredSet](), dict[str, str]()
    for one in standard_suite(section.standard).sets if section.standard else ():
        langs = [
            lang for lang in (given.recipe.source.lang, *given.recipe.languages) if lang in one.languages
        ]
        if one.fills or not langs:
            continue
        try:
            if one.name not in section.sets:
                raise EvaluationError(NO_PLACE)
            loaded.append(_open(one, section.sets[one.name], langs, folder / one.name, unmeasured))
        except TonguesError as error:
            unmeasured[one.name] = error.line()
        except Exception as error:  # the harness and its templates raise whatever a broken row leads to
            unmeasured[one.name] = f"cannot be loaded ({type(error).__name__}: {str(error)[:200]})"
    return tuple(loaded), unmeasured


def _open(
    one: StandardSet, section: SetSection, langs: list[str], folder: Path, unmeasured: dict[str, str]
) -> MeasuredSet:
    if one.cross:
        return read_cross(
            _records(storage.fetch_file(section.uri, folder / Path(section.uri).name)), one, langs
        )
    one = one.with_shots(section.shots)
    if is_hub(section.uri):
        hub = revision_of(section.uri)
        return open_harness_set(one.model_copy(update={"languages": tuple(langs)}), hub=hub)
    files = _files(one, section.uri, langs, folder, unmeasured)
    rows = {la: read_rows(path, one.task.rows) for la, path in files.items()}
    return open_harness_set(one, rows, examples=_examples(one, section.shots_uri, list(rows), folder))


def _examples(
    one: StandardSet, uri: str | None, langs: list[str], folder: Path
) -> dict[str, list[dict[str, Any]]] | None:
    """Rows that the shots are drawn from; a language without any has no shots, and is an error."""
    if uri is None:
        return None
    files = _files(one, uri, langs, folder / "shots", {})
    return {lang: read_rows(path, one.task.rows) for lang, path in files.items()}


def _files(
    one: StandardSet, uri: str, langs: list[str], folder: Path, unmeasured: dict[str, str]
) -> Mapping[str, Path]:
    """The set's files of these languages; a language without one is named, a set without any is an error."""
    if LANG not in uri and len(langs) > 1:
        raise EvaluationError(f"{uri} is one file for {len(langs)} languages", fix="put {lang} into its name")
    uris = {lang: uri.replace(LANG, one.code(lang)) for lang in langs}
    there = {lang: place for lang, place in uris.items() if storage.exists(place)}
    if not there:
        raise EvaluationError(f"no such file: {uri}", fix="correct its place under evaluation.suite.sets")
    missing = {f"{one.name}/{lang}": f"no such file: {uris[lang]}" for lang in langs if lang not in there}
    unmeasured.update(missing)
    return {lang: storage.fetch_file(place, folder / Path(place).name) for lang, place in there.items()}


def _records(path: Path) -> list[dict[str, object]]:
    try:
        records = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot be read as JSON ({error})", where=str(path)) from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError("not a list of records", where=str(path))
    return records
