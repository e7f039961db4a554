"""Corpus scores of translations against references, by sacrebleu, each with its signature.

The signature says tokenisation, smoothing and version: scores are only comparable where it is the
same (Post, WMT 2018, arXiv 1804.08771).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tongues.core.languages import language

_TER_WORDS = 100
"""Longest text, in words, for which TER is computed: its time grows with the cube of the length."""
_BLEU_TOKENISERS = {
    "Hans": "zh",
    "Hant": "zh",
    **dict.fromkeys(("Jpan", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"), "char"),
}
_ASIAN = frozenset({"Hans", "Hant", "Jpan"})


@dataclass(frozen=True, slots=True)
class Scores:
    """Corpus-level scores.

    Args:
        bleu: 0 to 100, higher is better.
        chrf: chrF++, 0 to 100, higher is better.
        ter: edits per 100 words, lower is better; None where all texts are too long for it.
        signatures: metric to sacrebleu's signature.
    """

    bleu: float
    chrf: float
    ter: float | None
    signatures: dict[str, str]


def score_pairs(hypotheses: Sequence[str], references: Sequence[str], lang: str) -> Scores:
    """Score translations against one reference each.

    Args:
        hypotheses: at least one.
        references: as many.
        lang: BCP-47 code of both: it decides how words are told apart.

    Raises:
        ValueError: there are none, or not as many of the one as of the other.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} translations for {len(references)} references")
    from sacrebleu.metrics import BLEU, CHRF

    script = language(lang).script
    bleu, chrf = BLEU(tokenize=_BLEU_TOKENISERS.get(script, "13a")), CHRF(word_order=2)
    values = [float(metric.corpus_score(hypotheses, [references]).score) for metric in (bleu, chrf)]
    ter, ter_signature = _ter(hypotheses, references, script)
    signatures = {
        "BLEU": str(bleu.get_signature()),
        "chrF++": str(chrf.get_signature()),
        "TER": ter_signature,
    }
    return Scores(values[0], values[1], ter, signatures)


def _ter(hypotheses: Sequence[str], references: Sequence[str], script: str) -> tuple[float | None, str]:
    from sacrebleu.metrics import TER

    metric: Any = TER(normalized=script in _ASIAN, asian_support=script in _ASIAN)
    pairs = [
        pair for pair in zip(hypotheses, references, strict=True) if max(map(_words, pair)) <= _TER_WORDS
    ]
    if not pairs:
        return None, f"none of {len(hypotheses)} texts has at most {_TER_WORDS} words"
    short, expected = [hypothesis for hypothesis, _ in pairs], [reference for _, reference in pairs]
    score = float(metric.corpus_score(short, [expected]).score)
    left_out = len(hypotheses) - len(pairs)
    told = f", without {left_out} texts of more than {_TER_WORDS} words" if left_out else ""
    return score, f"{metric.get_signature()}{told}"


def _words(text: str) -> int:
    # Without spaces TER takes each letter of Chinese and Japanese for a word.
    return max(len(text.split()), 0 if text.isascii() else sum(map("\u2e80".__le__, text)))
