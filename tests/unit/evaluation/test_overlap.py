import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from tongues.evaluation.intervals import resampled
from tongues.evaluation.overlap import Overlap

REFERENCES = [
    "El sol es una estrella.",
    "Veo la luna desde mi casa.",
    "La puerta está abierta.",
    "Hace frío.",
]
GOOD = ["El sol es una estrella.", "Veo la luna desde casa.", "La puerta está abierta.", "Hace mucho frío."]
BAD = ["The sun is a star.", "Veo.", "La puerta.", ""]


def test_overlap_corpus_scores_equal_sacrebleu() -> None:
    chrf, bleu = (Overlap.of(name, "es", GOOD, REFERENCES) for name in ("chrf", "bleu"))
    assert chrf.score() == pytest.approx(CHRF(word_order=2).corpus_score(GOOD, [REFERENCES]).score)
    assert bleu.score() == pytest.approx(BLEU().corpus_score(GOOD, [REFERENCES]).score)
    assert "nw:2" in chrf.signature and "tok:13a" in bleu.signature


def test_overlap_resample_equals_sacrebleu_on_those_sentences() -> None:
    rows = np.array([0, 0, 3, 1])
    texts, references = [GOOD[i] for i in rows], [REFERENCES[i] for i in rows]
    expected = CHRF(word_order=2).corpus_score(texts, [references]).score
    assert Overlap.of("chrf", "es", GOOD, REFERENCES).score(rows) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("lang", "tokenizer"), [("zh-Hans", "zh"), ("ja", "char"), ("th", "char"), ("ar", "13a")]
)
def test_overlap_bleu_tokenizer_follows_the_script(lang: str, tokenizer: str) -> None:
    assert f"tok:{tokenizer}|" in Overlap.of("bleu", lang, ["一二三"], ["一二三"]).signature


def test_overlap_perfect_translation_scores_100_with_an_interval_around_it() -> None:
    found = Overlap.of("chrf", "es", REFERENCES, REFERENCES).measure()
    assert found.value == pytest.approx(100)
    assert found.n == 4
    assert found.low is not None and found.low <= found.value


def test_overlap_change_between_systems_is_paired_and_signed() -> None:
    bad, good = (Overlap.of("chrf", "es", texts, REFERENCES) for texts in (BAD, GOOD))
    rise, fall, none = (
        resampled(*one.resampled_change(other), len(REFERENCES))
        for one, other in ((bad, good), (good, bad), (bad, bad))
    )
    assert rise.value == pytest.approx(good.score() - bad.score())
    assert rise.low is not None and rise.low > 0
    assert fall.high is not None and fall.high < 0
    assert none.high == 0


def test_overlap_empty_answers_score_zero_and_do_not_fail() -> None:
    found = Overlap.of("bleu", "es", ["", ""], REFERENCES[:2]).measure()
    assert found.value == 0
