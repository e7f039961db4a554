"""Line-level language confusion: in which language each line of an answer is.

An answer may begin in the language asked for and go on in another; the language of the whole hides that.
Lines with too few letters to tell (bullets, numbers, names) count for nothing, unless there is no other.

Source: language confusion per line, arXiv 2406.20052.
"""

from collections import Counter
from collections.abc import Sequence

from tongues.core.languages import UNDETERMINED
from tongues.core.ports import Identify
from tongues.core.scores import Measurement
from tongues.evaluation.intervals import draws, resampled
from tongues.evaluation.samples import Sample

_FEWEST_LETTERS = 12
_WIDE_FROM, _WIDE_LETTERS = "\u2e80", 3
"""From here on a character is about a syllable or a word, and counts for as many letters."""


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
