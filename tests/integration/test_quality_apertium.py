"""Round trips through the Apertium pairs of this machine."""

import pytest

from tongues.core.recipe import ApertiumEngine
from tongues.core.records import Source, SourceRow
from tongues.data.spans import SpanProtector
from tongues.inference.ledger import Ledger
from tongues.translation import apertium_modes
from tongues.translation.apertium import Apertium
from tongues.translation.quality import measure_quality

pytestmark = pytest.mark.integration
NOUNS = ("house", "river", "garden", "door", "book", "tree", "friend")
VERBS = ("saw", "found", "wanted", "opened", "lost", "liked", "remembered")
SENTENCES = 49


@pytest.fixture(scope="module")
def rows():
    origin = Source("tests", "1", "tests:1", "Apache-2.0")
    return [
        SourceRow.create(
            instruction=f"Yesterday my brother {verb} the old {noun} of our neighbour.",
            input="",
            output="Yes.",
            source=origin,
        )
        for noun in NOUNS
        for verb in VERBS
    ]


@pytest.fixture(params=["es", "ca", "gl", "eo"])
def target(request):
    folder = apertium_modes.data_folder()
    pairs = apertium_modes.installed_pairs(folder) if folder else {}
    if not {("en", request.param), (request.param, "en")} <= set(pairs):
        pytest.skip(f"needs the Apertium pairs en-{request.param} and {request.param}-en")
    return request.param


def test_round_trip_scores_real_translations_sanely_and_pays_once(rows, target, tmp_path):
    engine = Apertium(ApertiumEngine(kind="apertium"))
    reference = [
        ("The house is red.", "The house is red.")
    ]  # an untranslated one, to be told from a translation

    def measured():
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            return measure_quality(
                rows,
                engine=engine,
                source_lang="en",
                target_lang=target,
                ledger=ledger,
                protector=SpanProtector(),
                sentences=SENTENCES,
                reference=reference,
            )

    trip, against = measured()
    assert (trip.sentences, trip.failed) == (SENTENCES, 0)
    assert 25 < trip.bleu < 99
    assert 45 < trip.chrf < 99
    assert 1 < trip.ter < 60
    assert against.chrf < 60
    sent = engine.requests_sent
    assert measured() == [trip, against]
    assert engine.requests_sent == sent
