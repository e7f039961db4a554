"""Metrics as pure functions with their formulas; shares are 0..1, chrF++, BLEU and TER in points.

Every one comes with a 95 % interval: Wilson's for shares of independent items, a percentile
bootstrap over items for figures that combine languages, sentences or models.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import comb

from tongues.core.scores import Measurement
from tongues.evaluation.intervals import RESAMPLES, SEED, draws, resampled, wilson

FORMULAS = {
    "accuracy": "right / n; option with the largest sum of log-likelihoods; Wilson 95 %",
    "accuracy_norm": "right / n; option with the largest log-likelihood per character; Wilson 95 %",
    "consistency": "mean over all C(|L|,s) language subsets of mean_i 1[same letter]; arXiv 2404.11932",
    "ac3": "2*Acc*Cons_s/(Acc+Cons_s+1e-10) on aggregates; arXiv 2309.04766",
    "target_language_rate": "answers identified as the language asked / n; Wilson 95 %",
    "line_language_rate": "answer lines in the language asked / answer lines; bootstrap; arXiv 2406.20052",
    "line_pass_rate": "answers with every line in the language asked / n; arXiv 2406.20052; Wilson 95 %",
    "word_pass_rate": "of those, answers without a word in another script; not for Latin script; Wilson 95 %",
    "language_pass_rate": "harmonic mean of line_pass_rate and word_pass_rate; arXiv 2406.20052; bootstrap",
    "format_failure_rate": "chains without their last segment / n, which count as empty; Wilson 95 %",
    "exact_match": "answers equal to a known one after normalisation / n; arXiv 1606.05250; Wilson 95 %",
    "f1": "mean over items of 2pr/(p+r) of tokens, best known answer; arXiv 1606.05250; bootstrap",
    "pass_at_1": "programs that pass all tests of their task / n, one greedy program each; arXiv 2107.03374; "
    "Wilson 95 %",
    "chrf, bleu, ter": "corpus scores by sacrebleu, see the signatures; bootstrap",
    "bootstrap": f"percentile, {RESAMPLES} resamples over items, seed {SEED}",
}


def share(hits: Sequence[bool]) -> Measurement:
    """Share of hits with Wilson's interval: accuracy, target-language rate.

    Args:
        hits: one flag per item; none give value 0 with n 0, which no gate accepts.
    """
    right = sum(hits)
    low, high = wilson(right, len(hits))
    return Measurement(value=right / len(hits) if hits else 0.0, n=len(hits), low=low, high=high)


def mean(values: Sequence[float]) -> Measurement:
    """Mean with a percentile bootstrap interval over items.

    Args:
        values: one per item; none give value 0 with n 0, which no gate accepts.
    """
    import numpy as np

    if not values:
        return Measurement(value=0.0, n=0)
    found = np.array(values, dtype=float)
    return resampled(float(found.mean()), found[draws(len(found))].mean(axis=1), len(found))


def item_agreement(letters: Sequence[str], s: int) -> float:
    """Share of the s-subsets of languages that chose one same letter for one item.

    ``sum over letters x of C(count(x), s) / C(|L|, s)``, which equals going through the subsets.
    Agreement on a wrong letter counts; an item left blank agrees with nothing.

    Args:
        letters: the choice in each language; "" where there is none.
        s: subset size, 2..|L|.
    """
    counts = Counter(letter for letter in letters if letter)
    return sum(comb(count, s) for count in counts.values()) / comb(len(letters), s)


def consistency(answers: Mapping[str, Sequence[str]], s: int) -> float:
    """Consistency_s: mean over all C(|L|,s) subsets S of mean_i 1[a_il is the same for all l in S].

    Args:
        answers: language to letters, aligned by item.
        s: subset size, 2..|L|.

    Returns:
        0..1; for 4 options chance is 4^(1-s): 6.25 % for s = 3.

    Raises:
        ValueError: s is out of range, or the languages differ in items.

    Source: arXiv 2404.11932 (CrossIn) and 2309.04766 (SeaEval).
    """
    per_item = _agreements(answers, s)
    return sum(per_item) / len(per_item) if per_item else 0.0


def ac3(accuracy: float, consistent: float) -> float:
    """AC3: harmonic mean of accuracy and consistency, ``2ac / (a + c + 1e-10)``.

    Args:
        accuracy: mean over the languages, in the unit of `consistent`.
        consistent: Consistency_s.

    Source: arXiv 2309.04766 (SeaEval); taken on aggregates, never per item.
    """
    return 2 * accuracy * consistent / (accuracy + consistent + 1e-10)


def chance(options: int, s: int) -> tuple[float, float, float]:
    """What guessing gives: accuracy, Consistency_s and AC3_s, each 0..1.

    Args:
        options: number of choices; 4 with s = 3 gives 25 %, 6.25 % and 10 %.
        s: subset size.
    """
    accuracy, consistent = 1 / options, options ** (1 - s)
    return accuracy, consistent, ac3(accuracy, consistent)


def _agreements(answers: Mapping[str, Sequence[str]], s: int) -> list[float]:
    if not 2 <= s <= len(answers):
        raise ValueError(f"subset size {s} must lie in 2..{len(answers)}, the number of languages")
    return [item_agreement(letters, s) for letters in zip(*answers.values(), strict=True)]


def together(answers: Mapping[str, Sequence[str]], gold: Sequence[str]) -> dict[str, Measurement]:
    """Figures over all languages at once: accuracy, and consistency and AC3 for every s.

    Items are resampled as wholes, with all their languages: translations of one question are
    right and wrong together, so counting them as independent would make the intervals too narrow.

    Args:
        answers: language to letters, aligned by item; at least one language and one item.
        gold: the right letters.

    Returns:
        "accuracy", "consistency_2", "ac3_2" and so on up to the number of languages; n is the
        number of items.
    """
    import numpy as np

    right = np.array([[got == want for got, want in zip(a, gold, strict=True)] for a in answers.values()])
    right_per_item = right.mean(axis=0)
    picked = draws(len(gold))
    accuracies = right_per_item[picked].mean(axis=1)
    figures = {"accuracy": resampled(float(right_per_item.mean()), accuracies, len(gold))}
    for s in range(2, len(answers) + 1):
        agreement = np.array(_agreements(answers, s))
        agreements = agreement[picked].mean(axis=1)
        value = float(agreement.mean())
        harmonic = ac3(float(right_per_item.mean()), value)
        harmonics = 2 * accuracies * agreements / (accuracies + agreements + 1e-10)
        figures[f"consistency_{s}"] = resampled(value, agreements, len(gold))
        figures[f"ac3_{s}"] = resampled(harmonic, harmonics, len(gold))
    return figures
