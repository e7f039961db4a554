"""Whether a translation is stuck in a loop."""

import re

from tongues.core.languages import language
from tongues.core.ports import Verdict
from tongues.data.verdicts import judged

_REPEATS = 4
_LETTERS = 24
_PERIOD = 40
_WINDOW = 20_000


def check_loop(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation that says the same again and again where the source does not.

    Something of at most 40 words (letters, in scripts without spaces) that stands four times
    in a row over 24 letters is a loop, if the source has none of the same number of repeats.
    """
    loop = _longest_loop(_units(translated, target_lang))
    if loop < _REPEATS or loop <= _longest_loop(_units(source, source_lang)):
        return judged("loop", "")
    return judged("loop", "repetition", f"the same {loop} times in a row")


def _units(text: str, lang: str) -> list[str]:
    """Words, or letters in scripts without spaces; the last 20,000, for a loop goes on to the end."""
    units = re.findall(r"\w+" if language(lang).has_spaces else r"\w", text.casefold())
    return units[-_WINDOW:]


def _longest_loop(units: list[str]) -> int:
    """Largest number of times that some sequence of units stands in a row; 1 if none repeats."""
    most = 1
    for period in range(1, min(_PERIOD, len(units) // 2) + 1):
        run = best = end = 0
        for at in range(period, len(units)):
            run = run + 1 if units[at] == units[at - period] else 0
            if run > best:
                best, end = run, at
        if sum(map(len, units[end - best - period + 1 : end + 1])) >= _LETTERS:
            most = max(most, best // period + 1)
    return most
