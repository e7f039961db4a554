"""How far a translation can be trusted, from 0 to 1, without a reference and without a model of quality.

    score = changed * language * length

    changed    1 - copied / 0.5, at least 0; `copied` is the share of the translation's letters in words
               that stand in the source too, such as words that a rule-based engine does not know; words
               that begin with a capital letter count neither way, for names stay; 1 for a source
               that is in the target language already
    language   probability of the target language among those in play; texts of fewer than 40
               letters count for what they are worth: 1 - (1 - p) * min(1, letters / 40)
    length     exp(-(ln r)^2 / (2 s^2)), r being the letters over those expected (see
               `letter_ratios`), s = 0.35 + 2 / sqrt(letters expected), for short texts scatter

It sees words left as they were, another language, and text lost or added. It does not see a
fluent sentence that says something else, nor words in a wrong order.
"""

import math
import re
from collections.abc import Sequence

from tongues.data.language_id import CONFIDENT, RestrictedIdentifier, has_letters, tellable
from tongues.data.letter_ratios import english_letters

_COPIED_LIMIT = 0.5
_DOUBTFUL = 0.5
_TELLING_LETTERS = 40
_SPREAD, _SHORT_SPREAD = 0.35, 2.0
_WORD = re.compile(r"[^\W\d_]+")
_MIN_WORD = 3


class RowScorer:
    """Scores single fields of a row.

    Args:
        identify: language identification.
        languages: BCP-47 codes in play beside source and target.
    """

    def __init__(self, identify: RestrictedIdentifier, languages: Sequence[str]) -> None:
        self._identify, self._languages = identify, tuple(languages)

    def __call__(self, source: str, translated: str, source_lang: str, target_lang: str) -> float:
        """Score a translation; see the module's text for the formula.

        Returns:
            0 to 1, rounded to 4 digits; 1 for a source without letters, 0 for a translation without.
        """
        if not has_letters(source):
            return 1.0
        if not has_letters(translated):
            return 0.0
        candidates = tellable({source_lang, target_lang, *self._languages}, target_lang)
        changed = _changed(source, translated)
        if changed < _DOUBTFUL and self._is_in(target_lang, source, candidates):
            changed = 1.0
        expected, found = english_letters(source, source_lang), english_letters(translated, target_lang)
        return round(
            changed * self._language(translated, candidates, target_lang) * _length(expected, found), 4
        )

    def _is_in(self, lang: str, text: str, candidates: list[str]) -> bool:
        seen = self._identify(text, candidates)
        telling = english_letters(text, lang) >= _TELLING_LETTERS
        return telling and seen.lang == lang and seen.confidence >= CONFIDENT

    def _language(self, translated: str, candidates: list[str], target: str) -> float:
        if not self._identify.supports(target):
            return 1.0
        seen = self._identify(translated, candidates)
        probability = seen.confidence if seen.lang == target else 1 - seen.confidence
        weight = min(1.0, english_letters(translated, target) / _TELLING_LETTERS)
        return 1 - (1 - probability) * weight


def _changed(source: str, translated: str) -> float:
    known = {word.casefold() for word in _WORD.findall(source)}
    words = [word for word in _plain_words(translated) if len(word) >= _MIN_WORD]
    letters = sum(map(len, words))
    copied = sum(len(word) for word in words if word.casefold() in known)
    return max(0.0, 1 - copied / letters / _COPIED_LIMIT) if letters else 1.0


def _plain_words(text: str) -> list[str]:
    """Words that are no names, as far as capitals tell; all of them if every one has a capital."""
    words = _WORD.findall(text)
    return [word for word in words if not word[0].isupper()] or words


def _length(expected: float, found: float) -> float:
    spread = _SPREAD + _SHORT_SPREAD / math.sqrt(expected)
    return math.exp(-(math.log(found / expected) ** 2) / (2 * spread**2))
