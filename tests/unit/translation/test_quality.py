import pytest
from openai_faults import FaultyEndpoint

from tongues.data.spans import SpanProtector
from tongues.translation.quality import measure_quality, sample_sentences
from tongues.translation.scores import score_pairs

PROTECTOR = SpanProtector()
REFERENCES = ["The cat sat on the mat.", "A dog barked at the old tree by the river."]


def measure(rows, engine, ledger, sentences=10, reference=None, source="en", target="es"):
    return measure_quality(
        rows,
        engine=engine,
        source_lang=source,
        target_lang=target,
        ledger=ledger,
        protector=PROTECTOR,
        sentences=sentences,
        reference=reference,
    )


def test_scores_of_equal_texts_are_perfect_and_of_different_ones_zero():
    same = score_pairs(REFERENCES, REFERENCES, "en")
    assert (round(same.bleu, 6), round(same.chrf, 6), same.ter) == (100, 100, 0)
    other = score_pairs(["xyz", "uvw"], REFERENCES, "en")
    assert other.bleu < 0.5
    assert other.chrf < 5
    assert other.ter >= 100


def test_scores_with_one_word_changed_have_the_edit_rate_counted_by_hand():
    changed = [REFERENCES[0], "A dog barked at the old house by the river."]
    assert score_pairs(changed, REFERENCES, "en").ter == pytest.approx(100 * 1 / 16)


def test_scores_carry_signatures_that_say_how_words_were_told_apart():
    english = score_pairs(REFERENCES, REFERENCES, "en").signatures
    assert set(english) == {"BLEU", "chrF++", "TER"}
    assert "tok:13a" in english["BLEU"]
    assert "nw:2" in english["chrF++"]
    chinese = score_pairs(["我有一只猫。"], ["我有一只狗。"], "zh-Hans")
    assert "tok:zh" in chinese.signatures["BLEU"]
    assert "asian:yes" in chinese.signatures["TER"]
    assert "tok:char" in score_pairs(["แมวนอน"], ["แมวนอน"], "th").signatures["BLEU"]


@pytest.mark.timeout(20)
def test_scores_leave_long_texts_out_of_the_edit_rate_and_say_so():
    long = " ".join(f"word{n}" for n in range(3000))
    scores = score_pairs([REFERENCES[0], long], [REFERENCES[0], long[::-1]], "en")
    assert scores.ter == 0
    assert "without 1 texts" in scores.signatures["TER"]
    assert score_pairs([long], [long], "en").ter is None


@pytest.mark.parametrize(("hypotheses", "references"), [([], []), (["a"], [])])
def test_scores_of_nothing_are_refused(hypotheses, references):
    with pytest.raises(ValueError, match="translations for"):
        score_pairs(hypotheses, references, "en")


def test_sample_is_the_same_from_the_same_rows_in_any_order(make_row):
    rows = [
        make_row(f"Tell me about the house number {n}. It is the one by the river {n}!") for n in range(900)
    ]
    drawn = sample_sentences(rows, "en", 50)
    assert drawn == sample_sentences(rows[::-1], "en", 50)
    assert drawn == sample_sentences(rows * 2, "en", 50)
    assert len(set(drawn)) == 50
    assert all(sentence.endswith((".", "!")) for sentence in drawn)
    assert set(drawn[:10]) == set(sample_sentences(rows, "en", 10))


def test_sample_passes_over_short_long_and_wordless_sentences(make_row):
    rows = [
        make_row("Short.", "x" * 401),
        make_row("1 + 2 = 3, " * 20),
        make_row("This one has enough letters in it."),
    ]
    assert sample_sentences(rows, "en", 10) == ["This one has enough letters in it."]


def test_round_trip_scores_what_comes_back_and_counts_what_does_not(connect, ledger, make_row):
    rows = [
        make_row(f"Tell me about the {name} by the river.") for name in ("house", "stone", "lamp", "table")
    ]
    with FaultyEndpoint(lambda n, text: "truncated" if "stone" in text else "ok") as endpoint:
        (quality,) = measure(rows, connect(endpoint), ledger)
        asked = len(endpoint.requests)
        assert measure(rows, connect(endpoint), ledger) == [quality]
        assert len(endpoint.requests) == asked
    assert (quality.lang, quality.kind, quality.sentences, quality.failed) == ("es", "round-trip", 3, 1)
    # Every word comes back with two letters more, so no word of more than one letter is right.
    assert quality.bleu < 10 < quality.chrf < 90
    assert quality.ter > 80
    assert quality.note == ""


def test_round_trip_from_which_nothing_comes_back_says_so(connect, ledger, make_row):
    with FaultyEndpoint(lambda n, text: "truncated") as endpoint:
        (quality,) = measure([make_row("Tell me about the house by the river.")], connect(endpoint), ledger)
    assert (quality.sentences, quality.failed, quality.bleu, quality.note) == (
        0,
        1,
        None,
        "nothing came back",
    )


def test_reference_scores_translations_against_those_by_people(connect, ledger):
    reference = [("the old house", "theo oldo houseo"), ("a red tree", "ao redo treeo")]
    with FaultyEndpoint() as endpoint:
        (quality,) = measure([], connect(endpoint), ledger, sentences=0, reference=reference)
    assert (quality.kind, quality.sentences, quality.failed) == ("reference", 2, 0)
    assert quality.chrf == pytest.approx(100)


def test_round_trip_of_an_engine_without_the_way_back_is_not_measured(ledger, make_row, tmp_path):
    from tongues.core.recipe import ApertiumEngine
    from tongues.translation.apertium import Apertium

    engine = Apertium(ApertiumEngine(kind="apertium"), folder=tmp_path)
    (quality,) = measure([make_row("Tell me about the house by the river.")], engine, ledger)
    assert (quality.sentences, quality.bleu) == (0, None)
    assert "does not translate es to en" in quality.note
