"""Everything that can be checked before anything is spent, all problems at once."""

from collections.abc import Callable, Iterator
from functools import partial

from tongues.core.errors import PreflightError, ProblemsError, TonguesError
from tongues.evaluation.suite import load_suite
from tongues.inference.chat import chat_problems
from tongues.methods.registry import author
from tongues.platform import storage
from tongues.platform.mlflow_connection import reach, resolve_tracking_uri
from tongues.platform.model_versions import source_problem
from tongues.stages.given import Given
from tongues.stages.workspace import Workspace
from tongues.translation.chain import check_chain
from tongues.tuning.base_model import check_base


def preflight(given: Given, workspace: Workspace | None = None) -> None:
    """Check inputs, engine, base model and, where a workspace is given, the registry.

    Args:
        given: the recipe.
        workspace: where the run would keep its outputs; without it the registry is not looked at.

    Raises:
        PreflightError: lists everything that is wrong, each with what to do.
    """
    checks: list[Callable[[Given], None]] = [
        _source,
        _engine,
        _generation,
        _parallel,
        _base_model,
        _suite_files,
        _suite,
    ]
    if workspace is not None:
        checks.append(partial(_registry, workspace))
    _require(checks, given)


def preflight_translation(given: Given) -> None:
    """Check what translation alone needs: source, engines, parallel text.

    Raises:
        PreflightError: lists everything that is wrong, each with what to do.
    """
    _require([_source, _engine, _parallel], given)


def _require(checks: list[Callable[[Given], None]], given: Given) -> None:
    problems = [line for check in checks for line in _problems(check, given)]
    if problems:
        raise PreflightError(problems, where=given.origin)


def _problems(check: Callable[[Given], None], given: Given) -> Iterator[str]:
    try:
        check(given)
    except ProblemsError as error:
        yield from error.problems
    except TonguesError as error:
        yield error.line()


def _source(given: Given) -> None:
    uris = [section.uri for section in given.located.source.files]
    if missing := [f"source.uri: no such file: {uri}" for uri in uris if not storage.exists(uri)]:
        raise PreflightError(missing)


def _parallel(given: Given) -> None:
    uri = given.located.translation.quality.reference_uri
    if uri and not storage.exists(uri):
        raise PreflightError([f"translation.quality.reference_uri: no such file: {uri}"])


def _suite_files(given: Given) -> None:
    suite = given.located.evaluation.suite
    named = {
        "choices_uri": suite.choices_uri,
        "translation_uri": suite.translation_uri,
        "open_uri": suite.open_uri,
    }
    missing = [
        f"evaluation.suite.{k}: no such file: {uri}"
        for k, uri in named.items()
        if uri and not storage.exists(uri)
    ]
    if missing:
        raise PreflightError(missing)


def _suite(given: Given) -> None:
    """Read the suite itself where it lies on this disk; a remote one is read when it is needed."""
    section = given.located.evaluation.suite
    uris = (section.choices_uri, section.translation_uri, section.open_uri)
    paths = [storage.local_path(uri) if uri else None for uri in uris]
    if all(path is None or path.is_file() for path in paths) and any(paths):
        load_suite(
            section.name,
            languages=given.recipe.languages,
            source_lang=given.recipe.source.lang,
            choices=paths[0],
            translation=paths[1],
            open=paths[2],
        )


def _engine(given: Given) -> None:
    recipe = given.recipe
    check_chain(given.located.translation, recipe.source.lang, recipe.languages)


def _generation(given: Given) -> None:
    """Ask for the chat model where a method has something written."""
    recipe = given.located
    if not any(author(section) for section in recipe.dataset.methods):
        return
    if recipe.generation is None:
        raise PreflightError(["generation.engine is missing: name the chat model that writes"])
    if problems := chat_problems(recipe.generation.engine, "generation.engine"):
        raise PreflightError(problems)


def _base_model(given: Given) -> None:
    if problems := check_base(given.located.base_model):
        raise PreflightError(problems)


def _registry(workspace: Workspace, given: Given) -> None:
    """Training for an hour and then not being able to register is a poor hour."""
    uri = resolve_tracking_uri(given.recipe.registry.tracking_uri, workspace.local)
    if problem := source_problem(uri, workspace.uri):
        raise PreflightError([problem])
    if uri.startswith("http"):
        reach(uri)
