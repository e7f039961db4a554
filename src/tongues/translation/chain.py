"""The engines of a recipe in the order in which a row meets them, and what is wrong before it starts."""

from collections.abc import Sequence

from tongues.core.errors import EngineUnavailableError, PreflightError, ProblemsError
from tongues.core.recipe import EngineSection, OpenAIEngine, TranslationSection
from tongues.inference.engine import Engine
from tongues.translation.engines import build_engine, check_engine
from tongues.translation.selective_chat import SelectiveChat


def build_chain(section: TranslationSection, source: str, target: str) -> list[Engine]:
    """Build the engines that can translate one pair, cheapest first as the recipe lists them.

    Nothing is started or sent yet.

    Args:
        section: the recipe's settings.
        source: BCP-47 code.
        target: BCP-47 code.

    Returns:
        At least one engine.

    Raises:
        EngineUnavailableError: an engine cannot work on this machine at all.
        PreflightError: none of them knows the pair.
    """
    engines = [engine for engine in _all(section) if engine.supports(source, target)]
    if not engines:
        check_chain(section, source, [target])
        raise PreflightError([f"no engine translates {source} to {target}"], where="translation.engine")
    return engines


def check_chain(section: TranslationSection, source: str, targets: Sequence[str]) -> None:
    """Check that all engines are there and that each language has one; sends no text.

    Args:
        section: the recipe's settings.
        source: BCP-47 code.
        targets: BCP-47 codes.

    Raises:
        PreflightError: lists all that is missing and how to get it.
    """
    sections = _sections(section)
    problems: list[str] = []
    open_targets = set(targets)
    for one in sections:
        # A later engine may do what an earlier one lacks: only its own languages are asked of each.
        try:
            engine = build_engine(one)
            its = [target for target in targets if engine.supports(source, target)]
            check_engine(one, source, its)
            open_targets -= set(its)
        except ProblemsError as error:
            problems += error.problems
        except EngineUnavailableError as error:
            problems.append(error.line())
    problems += _without_engine(sections[0], source, [t for t in targets if t in open_targets], problems)
    if problems:
        raise PreflightError(list(dict.fromkeys(problems)), where="translation.engine")


def _without_engine(
    first: EngineSection, source: str, targets: list[str], problems: list[str]
) -> tuple[str, ...]:
    """Why the first engine does not do these languages; nothing where another problem says it all."""
    if not targets or problems:
        return ()
    try:
        check_engine(first, source, targets)
    except ProblemsError as error:
        return error.problems
    return tuple(f"no engine translates {source} to {target}" for target in targets)


def _sections(section: TranslationSection) -> tuple[EngineSection, ...]:
    return (section.engine, *section.escalate_to)


def _all(section: TranslationSection) -> list[Engine]:
    return [_build(one, section.selection.decider == "model") for one in _sections(section)]


def _build(section: EngineSection, decides: bool) -> Engine:
    if decides and isinstance(section, OpenAIEngine):
        return SelectiveChat(section)
    return build_engine(section)
