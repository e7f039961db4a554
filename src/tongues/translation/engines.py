"""From a recipe's engine section to an engine, and everything that can be wrong before it starts."""

from collections.abc import Sequence

from tongues.core.errors import EngineUnavailableError, PreflightError
from tongues.core.languages import language
from tongues.core.recipe import ApertiumEngine, OpenAIEngine
from tongues.translation.apertium import Apertium, installed_modes
from tongues.translation.apertium_modes import INSTALL
from tongues.translation.engine import Engine
from tongues.translation.openai_chat import OpenAIChat, api_key

_PROBE_TIMEOUT_S = 10.0


def build_engine(section: ApertiumEngine | OpenAIEngine) -> Engine:
    """Build the engine of a recipe; nothing is started or sent yet.

    Raises:
        EngineUnavailableError: it cannot work on this machine at all.
    """
    if isinstance(section, ApertiumEngine):
        installed_modes()
        return Apertium(section)
    return OpenAIChat(section)


def check_engine(section: ApertiumEngine | OpenAIEngine, source: str, targets: Sequence[str]) -> None:
    """Check that an engine is there and can translate into all the languages; sends no text.

    Args:
        section: the recipe's settings.
        source: BCP-47 code.
        targets: BCP-47 codes.

    Raises:
        PreflightError: lists all that is missing, what there is instead, and how to get the rest.
    """
    if isinstance(section, ApertiumEngine):
        problems = _apertium_problems(source, targets)
    else:
        problems = _openai_problems(section)
    if problems:
        raise PreflightError(problems, where="translation.engine")


def _apertium_problems(source: str, targets: Sequence[str]) -> list[str]:
    try:
        pairs = installed_modes()
    except EngineUnavailableError as error:
        return [error.line()]
    there = ", ".join(f"{s}-{t}" for s, t in sorted(pairs)) or "none"
    return [
        f"Apertium has no pair {source}-{target} ({language(source).name} to {language(target).name}) here; "
        f"installed pairs: {there}. Fix: {INSTALL}, or another engine for this language"
        for target in targets
        if (source, target) not in pairs
    ]


def _openai_problems(section: OpenAIEngine) -> list[str]:
    try:
        key = api_key(section)
        return _model_problems(section, _served_models(section, key))
    except EngineUnavailableError as error:
        return [error.line()]


def _model_problems(section: OpenAIEngine, served: list[str]) -> list[str]:
    if section.model in served:
        return []
    there = ", ".join(map(repr, served[:10])) or "none"
    return [
        f"{section.base_url}: no model {section.model!r}; it serves {there}. "
        "Fix: set translation.engine.model to one of these"
    ]


def _served_models(section: OpenAIEngine, key: str) -> list[str]:
    import openai

    try:
        with openai.OpenAI(
            base_url=section.base_url, api_key=key, timeout=_PROBE_TIMEOUT_S, max_retries=1
        ) as client:
            return sorted(model.id for model in client.models.list())
    except openai.OpenAIError as error:
        raise EngineUnavailableError(
            f"the endpoint does not list its models ({error})",
            where=section.base_url,
            fix="start it, or check base_url and the variable that api_key_env names",
        ) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise EngineUnavailableError(
            "what answers there is no OpenAI-compatible endpoint",
            where=section.base_url,
            fix="base_url goes up to and with /v1",
        ) from error
