"""Whether a translation is the source again."""

import re
import unicodedata
from dataclasses import dataclass

from tongues.core.languages import language
from tongues.core.ports import Verdict
from tongues.data.language_id import CONFIDENT, RestrictedIdentifier, has_letters
from tongues.data.letter_ratios import count_letters, english_letters
from tongues.data.verdicts import hint, judged

_WORDS = 3
_LETTERS = 12
_HEAD, _HEAD_WORDS = 400, 5
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True, slots=True)
class EchoCheck:
    """Fail a translation that repeats the source.

    Names, brands and single words may well be the same in both languages: it takes three words
    that do not begin with a capital letter, or twelve letters of a script without spaces. A source
    that was in the target language to begin with is right as it is: the hint "already-in-target".

    Args:
        identify: language identification, asked only where there is an echo.
        languages: BCP-47 codes in play beside source and target.
        min_letters: letters from which on the identifier is believed.
    """

    identify: RestrictedIdentifier
    languages: tuple[str, ...]
    min_letters: int

    def __call__(self, source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
        """Judge."""
        if source_lang == target_lang or not has_letters(source) or not _is_same(source, translated):
            return judged("echo", "")
        if self._is_in_target(source, source_lang, target_lang):
            return hint("echo", "already-in-target", f"the source is {target_lang} already")
        if _is_telling(source, language(source_lang).has_spaces):
            return judged("echo", "echo", "same text as the source")
        return hint("echo", "too-short-to-tell")

    def _is_in_target(self, source: str, source_lang: str, target_lang: str) -> bool:
        if english_letters(source, target_lang) < self.min_letters:
            return False
        seen = self.identify(source, sorted({source_lang, target_lang, *self.languages}))
        return seen.lang == target_lang and seen.confidence >= CONFIDENT


def _is_same(source: str, translated: str) -> bool:
    before, after = _wording(source[:_HEAD])[:_HEAD_WORDS], _wording(translated[:_HEAD])[:_HEAD_WORDS]
    if before != after and len(before) == len(after) == _HEAD_WORDS:
        return False  # settles it for nearly all texts, however long
    return _wording(source) == _wording(translated)


def _wording(text: str) -> list[str]:
    """Words without case, width, joiners and marks of direction: what is left is the same text."""
    return re.findall(r"\w+", unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).casefold())


def _is_telling(source: str, has_spaces: bool) -> bool:
    if not has_spaces:
        return count_letters(source) >= _LETTERS
    plain = [word for word in re.findall(r"\w+", source) if word.isalpha() and word[0] == word[0].lower()]
    return len(plain) >= _WORDS and sum(map(len, plain)) >= _LETTERS
