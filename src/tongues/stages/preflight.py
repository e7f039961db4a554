"""Everything that can be checked before anything is spent, all problems at once."""

from collections.abc import Callable, Iterator
from functools import partial

from tongues.core.errors import PreflightError, ProblemsError, TonguesError
from tongues.core.recipe.evaluation import LANG
from tongues.evaluation.published import read_published
from tongues.evaluation.sandbox import open_sandbox
from tongues.evaluation.suite import load_suite
from tongues.inference.chat import chat_problems
from tongues.methods.registry import author
from tongues.platform import storage
from tongues.platform.mlflow_connection import reach, resolve_tracking_uri
from tongues.platform.model_versions import source_problem
from tongues.stages.given import Given
from tongues.stages.passages import passage_problems
from tongues.stages.suite_files import published_uris
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
        _judge,
        _generated_code,
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
    suite, languages = given.located.evaluation.suite, (given.recipe.source.lang, *given.recipe.languages)
    missing = [
        f"evaluation.suite.{task}_uri: no such file: {uri}"
        for task, uri in suite.uris.items()
        if task not in suite.filled
        and not (
            published_uris(uri, languages, suite.format_of(task)) if LANG in uri else storage.exists(uri)
        )
    ]
    if missing:
        raise PreflightError(missing)


def _suite(given: Given) -> None:
    """Read the suite itself where it lies on this disk; a remote one is read when it is needed."""
    section, source = given.located.evaluation.suite, given.recipe.source.lang
    uris = {task: uri for task, uri in section.uris.items() if task not in section.filled}
    own = {task: storage.local_path(uri) for task, uri in uris.items() if LANG not in uri}
    if own and all(path is not None and path.is_file() for path in own.values()):
        load_suite(
            section.name,
            languages=given.recipe.languages,
            source_lang=source,
            choices=own.get("choices"),
            translation=own.get("translation"),
            open=own.get("open"),
            qa=own.get("qa"),
            math=own.get("math"),
            code=own.get("code"),
        )
    for task in (task for task in uris if LANG in uris[task]):
        format = section.format_of(task)
        there = published_uris(uris[task], (source, *given.recipe.languages), format)
        paths = {lang: storage.local_path(uri) for lang, uri in there.items()}
        read_published(format, {lang: path for lang, path in paths.items() if path})


def _judge(given: Given) -> None:
    """Ask for the judges' models, where there are judges."""
    judges = {
        "evaluation.judge.engine": given.located.evaluation.judge,
        "translation.quality.judge.engine": given.located.translation.quality.judge,
    }
    problems = [
        line for where, judge in judges.items() if judge for line in chat_problems(judge.engine, where)
    ]
    if problems:
        raise PreflightError(problems)


def _generated_code(given: Given) -> None:
    """Programs have to be run somewhere: see now whether there is a place."""
    if given.recipe.evaluation.generated_code.run:
        open_sandbox()


def _engine(given: Given) -> None:
    recipe = given.recipe
    check_chain(given.located.translation, recipe.source.lang, recipe.languages)


def _generation(given: Given) -> None:
    """Ask for the chat model where a method has something written."""
    recipe = given.located
    if not any(author(section) for section in recipe.dataset.methods):
        return
    problems = passage_problems(recipe.dataset.methods)
    if recipe.generation is not None:
        problems += chat_problems(recipe.generation.engine, "generation.engine")
    if problems:
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
