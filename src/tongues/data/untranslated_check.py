"""Whether parts of a translation were left in the source language."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tongues.core.languages import language
from tongues.core.ports import Verdict
from tongues.data.language_id import CONFIDENT, RestrictedIdentifier
from tongues.data.letter_ratios import english_letters
from tongues.data.verdicts import hint, judged

_WORDS, _LETTERS = 5, 14
"""Words, or letters of a script without spaces, in a row that no two languages share by chance."""
_PLAIN_WORDS = 4
_MIN_LETTERS = 25


@dataclass(frozen=True, slots=True)
class UntranslatedCheck:
    """Fail a translation with five words in a row, or more, that were copied from the source.

    Copied runs must hold 25 letters and, in a row of five, four words that do not begin with a
    capital, for titles and names stay. A quotation in the target or a third language is right as it
    stands: what was copied must look like the source language, else it is the hint "partly-kept".

    Args:
        identify: language identification, asked only where something was copied.
    """

    identify: RestrictedIdentifier

    def __call__(self, source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
        """Judge."""
        if source_lang == target_lang:
            return judged("untranslated", "")
        copied = " ".join(_copied(source, translated, has_spaces=language(source_lang).has_spaces))
        if english_letters(copied, source_lang) < _MIN_LETTERS:
            return judged("untranslated", "")
        seen = self.identify(copied, sorted({source_lang, target_lang}))
        detail = f"as in the source: {copied[:80]!r}"
        if seen.lang == source_lang and seen.confidence >= CONFIDENT:
            return judged("untranslated", "partly-untranslated", detail)
        return hint("untranslated", "partly-kept", detail)


def _copied(source: str, translated: str, *, has_spaces: bool) -> Iterator[str]:
    """The words (letters) of the translation that stand in a long run which the source has too."""
    unit, length = (r"\w+", _WORDS) if has_spaces else (r"\w", _LETTERS)
    words: list[str] = re.findall(unit, translated)
    known = set(_runs(re.findall(unit, source), length))
    end = 0
    for at, run in enumerate(_runs(words, length)):
        if run in known and (not has_spaces or sum(word[:1].islower() for word in run) >= _PLAIN_WORDS):
            yield from words[max(at, end) : at + length]
            end = at + length


def _runs(words: list[str], length: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(length)), strict=False)
