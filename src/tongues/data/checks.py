"""Checks after every translation; a text that fails one must not become training data.

Each check is a callable of (source, translated, source language, target language) that gives a
`Verdict`. Texts come without their protected spans. Where a check cannot tell, it says so
("unsure", "too-short-to-tell") and lets the text pass: the hint is stored with the row.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tongues.core.languages import language
from tongues.core.ports import Check, Verdict
from tongues.core.recipe import TranslationSection
from tongues.data.language_id import RestrictedIdentifier, count_letters, has_letters
from tongues.data.meta_comments import find_meta_comment

CONFIDENT = 0.9
"""Probability, among the candidates, from which on a wrong language counts as seen."""
_ECHO_WORDS = 3
_ECHO_LETTERS = 12
_RATIO_LETTERS = 20
_LOOP_REPEATS = 4
_LOOP_LETTERS = 24
_LOOP_PERIOD = 40
_LOOP_WINDOW = 20_000


def standard_checks(
    section: TranslationSection, identify: RestrictedIdentifier, languages: Sequence[str]
) -> list[Check]:
    """The checks that every translation goes through, cheap ones first.

    Args:
        section: limits for length ratio and language identification.
        identify: language identification.
        languages: the recipe's languages (BCP-47); with source and target they are the candidates.
    """
    return [
        check_empty,
        check_echo,
        LengthRatioCheck(section.min_length_ratio, section.max_length_ratio),
        check_numbers,
        check_balance,
        check_loop,
        check_meta_comment,
        LanguageCheck(identify, tuple(languages), section.min_lid_letters),
    ]


def check_empty(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation with nothing visible in it, unless the source has nothing either."""
    lost = _is_visible(source) and not _is_visible(translated)
    return _verdict("empty", "empty" if lost else "", "no visible character")


def check_echo(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation that repeats the source.

    Names, brands and single words may well be the same in both languages: it takes three words
    that do not begin with a capital letter, or twelve letters of a script without spaces.
    """
    same = source_lang != target_lang and _wording(source) == _wording(translated)
    if not same or not has_letters(source):
        return _verdict("echo", "")
    told = _is_echo_telling(source, language(source_lang).has_spaces)
    return _verdict("echo", "echo", "same text as the source") if told else _hint("echo", "too-short-to-tell")


def _wording(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def _is_echo_telling(source: str, has_spaces: bool) -> bool:
    if not has_spaces:
        return count_letters(source) >= _ECHO_LETTERS
    plain = [word for word in re.findall(r"\w+", source) if word.isalpha() and word[0] == word[0].lower()]
    return len(plain) >= _ECHO_WORDS and sum(map(len, plain)) >= _ECHO_LETTERS


@dataclass(frozen=True, slots=True)
class LengthRatioCheck:
    """Fail a translation with far fewer or far more letters than its source would give.

    Letters are compared as a Latin script would need them: a Chinese letter stands for about
    three. Sources below 20 letters say nothing.

    Args:
        low: smallest ratio of translated to source letters, above 0.
        high: largest ratio.
    """

    low: float
    high: float

    def __call__(self, source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
        """Judge."""
        letters = count_letters(source) * _letter_weight(source_lang)
        if letters < _RATIO_LETTERS:
            return _verdict("length", "")
        ratio = count_letters(translated) * _letter_weight(target_lang) / letters
        reason = "too-short" if ratio < self.low else "too-long" if ratio > self.high else ""
        return _verdict("length", reason, f"letter ratio {ratio:.2f}, allowed {self.low:g} to {self.high:g}")


_LETTER_WEIGHTS = {"Hans": 3.0, "Hant": 3.0, "Jpan": 2.2, "Kore": 2.2}
"""Letters of English that one letter of the script stands for; other scripts: 1."""


def _letter_weight(lang: str) -> float:
    return _LETTER_WEIGHTS.get(language(lang).script, 1.0)


def check_numbers(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation whose numbers are not the source's.

    Digits of all scripts are compared by value; separators may change ("1,000.5" and "1.000,5")
    and the order too; a Roman numeral may stand for digits ("21st century", "siglo XXI").
    Numbers written as words are not seen.
    """
    before, after = _digit_runs(source), _digit_runs(translated)
    if Counter(before) == Counter(after) or "".join(before) == "".join(after):
        return _verdict("numbers", "")
    lost = Counter(before) - Counter(after) - _roman_numbers(translated)
    added = Counter(after) - Counter(before) - _roman_numbers(source)
    detail = f"lost {' '.join(lost.elements()) or 'none'}, added {' '.join(added.elements()) or 'none'}"
    return _verdict("numbers", "changed-numbers" if lost or added else "", detail)


def _roman_numbers(text: str) -> Counter[str]:
    """Values of Roman numerals up to 39, as centuries and rulers have them ("siglo XXI", "segle xv")."""
    words: list[str] = re.findall(r"\bX{0,3}(?:IX|IV|V?I{0,3})\b|\bx{0,3}(?:ix|iv|v?i{0,3})\b", text)
    return Counter(str(_roman_value(word.upper())) for word in words if word)


def _roman_value(word: str) -> int:
    values = [{"X": 10, "V": 5, "I": 1}[sign] for sign in word]
    return sum(-v if v < following else v for v, following in zip(values, [*values[1:], 0], strict=True))


def _digit_runs(text: str) -> list[str]:
    return ["".join(str(unicodedata.decimal(c)) for c in run) for run in re.findall(r"\d+", text)]


_BRACKETS = ("()", "[]", "{}")
_PARITY = ("```", "**", "`", "$$")


def check_balance(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation that leaves open what the source closed: brackets, bold, code."""
    before, after = unicodedata.normalize("NFKC", source), unicodedata.normalize("NFKC", translated)
    broken = [pair for pair in _BRACKETS if _is_balanced(before, pair) and not _is_balanced(after, pair)]
    broken += [sign for sign in _PARITY if before.count(sign) % 2 == 0 and after.count(sign) % 2]
    return _verdict("balance", "unbalanced-markup" if broken else "", f"left open: {' '.join(broken)}")


def _is_balanced(text: str, pair: str) -> bool:
    depth = 0
    for sign in text:
        depth += (sign == pair[0]) - (sign == pair[1])
        if depth < 0:
            return False
    return depth == 0


def check_loop(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation that says the same again and again where the source does not.

    Something of at most 40 words (letters, in scripts without spaces) that stands four times
    in a row over 24 letters is a loop, if the source has none of the same number of repeats.
    """
    loop = _longest_loop(_units(translated, target_lang))
    if loop < _LOOP_REPEATS or loop <= _longest_loop(_units(source, source_lang)):
        return _verdict("loop", "")
    return _verdict("loop", "repetition", f"the same {loop} times in a row")


def _units(text: str, lang: str) -> list[str]:
    """Words, or letters in scripts without spaces; the last 20,000, for a loop goes on to the end."""
    units = re.findall(r"\w+" if language(lang).has_spaces else r"\w", text.casefold())
    return units[-_LOOP_WINDOW:]


def _longest_loop(units: list[str]) -> int:
    """Largest number of times that some sequence of units stands in a row; 1 if none repeats."""
    most = 1
    for period in range(1, min(_LOOP_PERIOD, len(units) // 2) + 1):
        run = best = end = 0
        for at in range(period, len(units)):
            run = run + 1 if units[at] == units[at - period] else 0
            if run > best:
                best, end = run, at
        if sum(map(len, units[end - best - period + 1 : end + 1])) >= _LOOP_LETTERS:
            most = max(most, best // period + 1)
    return most


def check_meta_comment(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation that refuses, or talks about translating, where the source does not."""
    comment = find_meta_comment(source, translated)
    return _verdict("meta-comment", comment[0] if comment else "", comment[1] if comment else "")


@dataclass(frozen=True, slots=True)
class LanguageCheck:
    """Fail a translation that is in another language of those in play.

    Hard only on texts with enough letters and when the identifier is at least 90 % sure; of a
    target that it does not know it can only say that a text is still in the source language.
    Otherwise the answer is the hint "unsure".

    Args:
        identify: language identification.
        languages: BCP-47 codes in play beside source and target.
        min_letters: letters below which the check is only a hint.
    """

    identify: RestrictedIdentifier
    languages: tuple[str, ...]
    min_letters: int

    def __call__(self, source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
        """Judge."""
        candidates = sorted({source_lang, target_lang, *self.languages})
        seen = self.identify(translated, candidates)
        detail = f"looks like {seen.lang} ({seen.confidence:.2f}), expected {target_lang}"
        if seen.lang == target_lang or not has_letters(translated):
            return _verdict("language", "")
        letters = count_letters(translated) * _letter_weight(target_lang)
        telling = self.identify.supports(target_lang) or seen.lang == source_lang
        hard = letters >= self.min_letters and seen.confidence >= CONFIDENT and telling
        return _verdict("language", "wrong-language", detail) if hard else _hint("language", "unsure", detail)


def _is_visible(text: str) -> bool:
    return any(unicodedata.category(c)[0] not in "CZ" for c in text)


def _verdict(check: str, failure: str, detail: str = "") -> Verdict:
    return Verdict(check, False, failure, detail) if failure else Verdict(check, True, "ok")


def _hint(check: str, reason: str, detail: str = "") -> Verdict:
    return Verdict(check, True, reason, detail)
