"""From a recipe's engine section to an engine, and everything that can be wrong before it starts."""

from collections.abc import Sequence

from tongues.core.errors import EngineUnavailableError, PreflightError
from tongues.core.languages import language
from tongues.core.recipe import (
    ApertiumEngine,
    EngineSection,
    GoogleEngine,
    LibreTranslateEngine,
    OpenAIEngine,
)
from tongues.inference.chat import chat_problems
from tongues.inference.engine import Engine
from tongues.translation.apertium import Apertium, installed_modes
from tongues.translation.apertium_modes import INSTALL
from tongues.translation.google import GoogleTranslate, google_problems
from tongues.translation.libretranslate import LibreTranslate, libretranslate_problems
from tongues.translation.openai_chat import OpenAIChat


def build_engine(section: EngineSection) -> Engine:
    """Build the engine of a recipe; nothing is started or sent yet.

    Raises:
        EngineUnavailableError: it cannot work on this machine at all.
    """
    if isinstance(section, ApertiumEngine):
        installed_modes()
        return Apertium(section)
    if isinstance(section, OpenAIEngine):
        return OpenAIChat(section)
    if isinstance(section, GoogleEngine):
        return GoogleTranslate(section)
    if isinstance(section, LibreTranslateEngine):
        return LibreTranslate(section)
    from tongues.translation.seq2seq import Seq2Seq

    return Seq2Seq(section)


def check_engine(section: EngineSection, source: str, targets: Sequence[str]) -> None:
    """Check that an engine is there and can translate into all the languages; sends no text.

    Args:
        section: the recipe's settings.
        source: BCP-47 code.
        targets: BCP-47 codes.

    Raises:
        PreflightError: lists all that is missing, what there is instead, and how to get the rest.
    """
    if problems := _problems(section, source, targets):
        raise PreflightError(problems, where="translation.engine")


def _problems(section: EngineSection, source: str, targets: Sequence[str]) -> list[str]:
    if isinstance(section, ApertiumEngine):
        return _apertium_problems(source, targets)
    if isinstance(section, OpenAIEngine):
        return chat_problems(section)
    if isinstance(section, GoogleEngine):
        return google_problems(section, source, targets)
    if isinstance(section, LibreTranslateEngine):
        return libretranslate_problems(section, source, targets)
    from tongues.translation.seq2seq import seq2seq_problems

    return seq2seq_problems(section, source, targets)


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
