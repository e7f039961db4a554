"""Language confusion per line and per word: in which language each line of an answer is, and foreign words.

An answer may begin in the language asked for and go on in another; the language of the whole hides that.
Lines with too few letters to tell (bullets, numbers, names) count for nothing, unless there is no other.
Words can be told only where the language is not written in Latin letters: a word in letters of another script
is foreign, but for names and abbreviations (Latin with a capital), short ones, addresses, and code. The paper
looks English words up in a list instead, which this package does not have.

Source: language confusion per line and word, arXiv 2406.20052.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from tongues.core.languages import UNDETERMINED, language
from tongues.core.ports import Identify
from tongues.core.scores import Measurement
from tongues.evaluation.intervals import draws, resampled
from tongues.evaluation.metrics import share
from tongues.evaluation.samples import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEWEST_LETTERS = 12
_WIDE_FROM, _WIDE_LETTERS = "\u2e80", 3
"""From here on a character is about a syllable or a word, and counts for as many letters."""
_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|\bwww\.\S+|\S+@\S+", re.DOTALL)
_LATIN = "LATIN"
_FEWEST_FOREIGN = 4
"""Letters of a Latin word that counts as foreign: shorter ones are units and abbreviations ("km", "pH")."""
_ALPHABETS = {
    "Arab": "ARABIC", "Armn": "ARMENIAN", "Beng": "BENGALI", "Cyrl": "CYRILLIC", "Deva": "DEVANAGARI",
    "Ethi": "ETHIOPIC", "Geor": "GEORGIAN", "Grek": "GREEK", "Gujr": "GUJARATI", "Guru": "GURMUKHI",
    "Hans": "CJK", "Hant": "CJK BOPOMOFO", "Hebr": "HEBREW", "Jpan": "CJK HIRAGANA KATAKANA", "Khmr": "KHMER",
    "Knda": "KANNADA", "Kore": "HANGUL CJK", "Laoo": "LAO", "Mlym": "MALAYALAM", "Mtei": "MEETEI",
    "Mymr": "MYANMAR", "Orya": "ORIYA", "Sinh": "SINHALA", "Taml": "TAMIL", "Telu": "TELUGU",
    "Thaa": "THAANA", "Thai": "THAI", "Tibt": "TIBETAN",
}  # fmt: skip
"""Script to the first words of the Unicode names of its letters; Latin is not among them."""
_KNOWN = {_LATIN, *(name for names in _ALPHABETS.values() for name in names.split())}


def line_languages(answer: str, candidates: Sequence[str], identify: Identify) -> tuple[str, ...]:
    """The language of each line that has enough letters; of the whole where no line has.

    Args:
        answer: any text.
        candidates: BCP-47 codes in play.
        identify: guesses among them.

    Returns:
        One code per such line; empty for an answer without letters.
    """
    lines = [line for line in answer.splitlines() if _letters(line) >= _FEWEST_LETTERS]
    lines = lines or ([answer] if _letters(answer) else [])
    return tuple(identify(line, candidates).lang for line in lines)


def _letters(line: str) -> int:
    return sum(_WIDE_LETTERS if char >= _WIDE_FROM else 1 for char in line if char.isalpha())


def line_language_rate(samples: Sequence[Sample]) -> Measurement:
    """Share of answer lines in the language asked for; resampled over answers, n is their number.

    Lines of one answer are right and wrong together, so answers are what the interval is over. An answer
    without any line to tell (an empty one, too) is one line that is not in the language.

    Args:
        samples: of one task and language, at least one.
    """
    import numpy as np

    right = np.array([sample.line_langs.count(sample.lang) for sample in samples], dtype=float)
    lines = np.array([max(len(sample.line_langs), 1) for sample in samples], dtype=float)
    picked = draws(len(samples))
    rates = right[picked].sum(axis=1) / lines[picked].sum(axis=1)
    return resampled(float(right.sum() / lines.sum()), rates, len(samples))


def found_in_lines(samples: Sequence[Sample]) -> dict[str, Measurement]:
    """One row of the confusion matrix: language found to its share of the lines; n is the lines."""
    counts = Counter(lang for s in samples for lang in s.line_langs or (UNDETERMINED,))
    total = counts.total()
    return {lang: Measurement(value=count / total, n=total) for lang, count in sorted(counts.items())}


def passes_by_line(sample: Sample) -> bool:
    """Whether every line of an answer that can be told is in the language asked for, and there is one."""
    return bool(sample.line_langs) and set(sample.line_langs) == {sample.lang}


def foreign_words(answer: str, lang: str) -> list[str]:
    """The words of an answer that are written in another script than its language.

    Args:
        answer: any text.
        lang: BCP-47 code of a language not written in Latin letters; in any other, nothing is foreign.
    """
    own = _ALPHABETS.get(language(lang).script, "").split()
    prose = unicodedata.normalize("NFKC", _NOT_PROSE.sub(" ", answer)) if own else ""
    runs = ((name, "".join(letters)) for name, letters in groupby(prose, _alphabet))
    return [word for name, word in runs if name in _KNOWN and name not in own and _is_word(name, word)]


def _is_word(alphabet: str, run: str) -> bool:
    """Latin letters stand for names, units and abbreviations, too."""
    return alphabet != _LATIN or (len(run) >= _FEWEST_FOREIGN and run[0].islower())


def _alphabet(char: str) -> str:
    return unicodedata.name(char, "").split(" ", 1)[0] if unicodedata.category(char)[0] == "L" else ""


def pass_rates(samples: Sequence[Sample]) -> dict[str, Measurement]:
    """Shares of answers that are wholly in the language asked for: by lines, by words, and both together.

    ``line_pass_rate`` is over all answers, ``word_pass_rate`` over those that pass by line, and
    ``language_pass_rate`` is ``2lw / (l + w)``. Where words cannot be told, or no answer passes by line, only
    the first is there.

    Args:
        samples: open answers of one language, at least one.

    Source: LPR, WPR and LCPR of arXiv 2406.20052.
    """
    passed = [passes_by_line(sample) for sample in samples]
    found = {"line_pass_rate": share(passed)}
    if language(samples[0].lang).script not in _ALPHABETS or not any(passed):
        return found
    clean = [
        p and not foreign_words(sample.got, sample.lang) for p, sample in zip(passed, samples, strict=True)
    ]
    found["word_pass_rate"] = share([c for c, p in zip(clean, passed, strict=True) if p])
    return found | {"language_pass_rate": _both(passed, clean)}


def _both(passed: Sequence[bool], clean: Sequence[bool]) -> Measurement:
    """The harmonic mean of both rates, resampled over answers; 0 where none is clean."""
    import numpy as np

    flags = np.array([passed, clean], dtype=float)
    picked = draws(len(passed))
    value = _harmonic(flags.mean(axis=1, keepdims=True))
    return resampled(float(value[0]), _harmonic(flags[:, picked].mean(axis=2)), len(passed))


def _harmonic(rates: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """``2lw / (l + w)`` with ``w = clean / passed``; without any that passes it is 0.

    Args:
        rates: shares of answers that pass by line, and of those that are clean, too; shape (2, resamples).
    """
    import numpy as np

    by_line, both = rates
    by_word = np.divide(both, by_line, out=np.zeros_like(both), where=by_line > 0)
    mean: NDArray[np.float64] = 2 * by_line * by_word / np.maximum(by_line + by_word, 1e-10)
    return mean
