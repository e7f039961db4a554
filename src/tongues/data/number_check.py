"""Whether a translation has the numbers of its source."""

import re
import unicodedata
from collections import Counter

from tongues.core.ports import Verdict
from tongues.data.verdicts import judged

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
_TENS = "ten twenty thirty forty fifty sixty seventy eighty ninety hundred"
_ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth"
_ENGLISH = (
    {word: str(10 * number) for number, word in enumerate(_TENS.split(), 1)}
    | {word: str(number) for number, word in enumerate(_ONES.split())}
    | {word: str(number) for number, word in enumerate(_ORDINALS.split())}
)


def check_numbers(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation whose numbers are not the source's.

    Digits of all scripts are compared by value; separators may change ("1,000.5" and "1.000,5")
    and the order too; a Roman numeral may stand for digits ("21st century", "siglo XXI"), and
    digits for an English number word ("three", "3"). Other numbers written as words are not seen.
    """
    before, after = _digit_runs(source), _digit_runs(translated)
    if Counter(before) == Counter(after) or "".join(before) == "".join(after):
        return judged("numbers", "")
    lost = Counter(before) - Counter(after) - _roman_numbers(translated)
    added = Counter(after) - Counter(before) - _roman_numbers(source) - _english_numbers(source)
    detail = f"lost {' '.join(lost.elements()) or 'none'}, added {' '.join(added.elements()) or 'none'}"
    return judged("numbers", "changed-numbers" if lost or added else "", detail)


def _roman_numbers(text: str) -> Counter[str]:
    """Values of Roman numerals up to 39, as centuries and rulers have them ("siglo XXI", "segle xv")."""
    words: list[str] = re.findall(r"\bX{0,3}(?:IX|IV|V?I{0,3})\b|\bx{0,3}(?:ix|iv|v?i{0,3})\b", text)
    return Counter(str(_roman_value(word.upper())) for word in words if word)


def _english_numbers(text: str) -> Counter[str]:
    return Counter(_ENGLISH[word] for word in re.findall(r"[a-z]+", text.casefold()) if word in _ENGLISH)


def _roman_value(word: str) -> int:
    values = [{"X": 10, "V": 5, "I": 1}[sign] for sign in word]
    return sum(-v if v < following else v for v, following in zip(values, [*values[1:], 0], strict=True))


def _digit_runs(text: str) -> list[str]:
    return ["".join(str(unicodedata.decimal(c)) for c in run) for run in re.findall(r"\d+", text)]
