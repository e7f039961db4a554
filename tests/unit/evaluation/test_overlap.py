import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER

from tongues.evaluation.intervals import resampled
from tongues.evaluation.overlap import Overlap, metrics_of

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
    ter = Overlap.of("ter", "es", GOOD, REFERENCES)
    assert ter.score() == pytest.approx(TER().corpus_score(GOOD, [REFERENCES]).score)
    assert "tok:tercom|norm:no|punct:yes|asian:no" in ter.signature
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


def test_overlap_ter_counts_edits_per_word_of_the_reference() -> None:
    """One word left out of six, none, none, one put in beside two: 2 edits over 5 + 6 + 4 + 2 words."""
    found = Overlap.of("ter", "es", GOOD, REFERENCES).measure()
    assert found.value == pytest.approx(100 * 2 / (5 + 6 + 4 + 2))
    assert Overlap.of("ter", "es", ["uno dos"], ["dos uno"]).score() == pytest.approx(50)  # one shift
    assert Overlap.of("ter", "es", ["x " * 9], ["uno dos"]).score() > 100
    assert Overlap.of("ter", "es", [""], ["uno dos"]).score() == 100
    assert Overlap.of("ter", "es", REFERENCES, REFERENCES).score() == 0


def test_overlap_ter_of_an_unspaced_script_is_by_character_or_not_at_all() -> None:
    assert Overlap.of("ter", "zh-Hans", ["我喜欢猫"], ["我喜欢狗"]).score() == pytest.approx(25)
    assert "norm:yes|punct:yes|asian:yes" in Overlap.of("ter", "ja", ["猫"], ["犬"]).signature
    assert metrics_of("ja") == metrics_of("ar") == ("chrf", "bleu", "ter")
    assert metrics_of("th") == metrics_of("my") == ("chrf", "bleu")
