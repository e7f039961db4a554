"""chrF++, BLEU and TER through sacrebleu, with signatures and bootstrap intervals over sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tongues.core.languages import language
from tongues.core.scores import Measurement
from tongues.evaluation.intervals import draws, resampled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METRICS = ("chrf", "bleu", "ter")
_SPLIT_BY_TERCOM = ("Hans", "Hant", "Jpan")
"""Scripts without spaces whose text TER's own tokeniser takes apart."""


def metrics_of(lang: str) -> tuple[str, ...]:
    """The metrics that say something about translations into a language.

    TER counts edits of words (Snover et al., AMTA 2006). In scripts without spaces that its tokeniser does
    not take apart, such as Thai, a sentence would be one word, so there is no TER.
    """
    target = language(lang)
    return METRICS if target.has_spaces or target.script in _SPLIT_BY_TERCOM else METRICS[:2]


@dataclass(frozen=True, slots=True)
class Overlap:
    """A corpus score that can be taken again on any resample of its sentences.

    Args:
        metric: the sacrebleu metric.
        per_sentence: sufficient statistics, shape (sentences, statistics); they add up.
    """

    metric: Any
    per_sentence: "NDArray[np.int64]"

    @classmethod
    def of(cls, name: str, lang: str, hypotheses: Sequence[str], references: Sequence[str]) -> Self:
        """Count the n-grams once.

        Args:
            name: "chrf" (chrF++: character n-grams up to 6, word n-grams up to 2; W17-4770), "bleu", or
                "ter" (edits per word of the reference; less is better).
            lang: BCP-47 code of the translation: BLEU takes sacrebleu's tokeniser for Chinese,
                characters for the other scripts without spaces, else "13a"; TER takes Chinese and Japanese
                apart.
            hypotheses: the model's translations, at least one.
            references: one for each.
        """
        import numpy as np

        metric = _metric(name, lang)
        # The sum of these rows is what sacrebleu's own bootstrap resamples (arXiv 2210.14302).
        rows = metric._extract_corpus_statistics(list(hypotheses), [list(references)])
        return cls(metric, np.array(rows, dtype=np.int64))

    @property
    def signature(self) -> str:
        """Sacrebleu's signature: how to repeat the score."""
        return str(self.metric.get_signature())

    def score(self, rows: "NDArray[np.int64] | slice" = slice(None)) -> float:
        """Corpus score of the chosen sentences, 0..100; TER may be larger."""
        total = self.per_sentence[rows].sum(axis=0).tolist()
        return float(self.metric._compute_score_from_stats(total).score)

    def measure(self) -> Measurement:
        """The corpus score with its bootstrap interval."""
        import numpy as np

        n = len(self.per_sentence)
        return resampled(self.score(), np.array([self.score(rows) for rows in draws(n)]), n)

    def resampled_change(self, after: "Overlap") -> "tuple[float, NDArray[np.float64]]":
        """Change of the corpus score to another system's, and the same on every resample of the sentences.

        Args:
            after: of the same sentences.

        Source: paired bootstrap, Koehn, EMNLP 2004 (W04-3250).
        """
        import numpy as np

        changes = np.array([after.score(rows) - self.score(rows) for rows in draws(len(self.per_sentence))])
        return after.score() - self.score(), changes


def _metric(name: str, lang: str) -> Any:
    from sacrebleu.metrics import BLEU, CHRF, TER

    if name == "chrf":
        return CHRF(word_order=2)
    if name == "ter":
        split = not language(lang).has_spaces
        return TER(normalized=split, asian_support=split)
    tokenizer = "zh" if lang.startswith("zh") else "13a" if language(lang).has_spaces else "char"
    return BLEU(tokenize=tokenizer)
