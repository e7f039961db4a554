"""chrF++ and BLEU through sacrebleu, with signatures and bootstrap intervals over sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tongues.core.languages import language
from tongues.core.scores import Measurement
from tongues.evaluation.intervals import draws, resampled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METRICS = ("chrf", "bleu")


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
            name: "chrf" (chrF++: character n-grams up to 6, word n-grams up to 2; W17-4770) or
                "bleu".
            lang: BCP-47 code of the translation: BLEU takes sacrebleu's tokeniser for Chinese,
                characters for the other scripts without spaces, else "13a".
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
        """Corpus score of the chosen sentences, 0..100."""
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
    from sacrebleu.metrics import BLEU, CHRF

    if name == "chrf":
        return CHRF(word_order=2)
    tokenizer = "zh" if lang.startswith("zh") else "13a" if language(lang).has_spaces else "char"
    return BLEU(tokenize=tokenizer)
