"""How good an engine's translations are: there and back again, and against parallel text.

Round trip (TaCo's protocol, arXiv 2311.10797): a sample of source sentences is translated and
translated back, and what comes back is scored against what went out. It needs no reference, but both
directions count into it, and an engine that leaves words as they are looks better than it is.
"""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tongues.core.ports import Protector
from tongues.core.records import AlignedRow, Source, SourceRow
from tongues.core.sentences import split_sentences
from tongues.inference.engine import Engine
from tongues.inference.ledger import Ledger
from tongues.translation.scores import score_pairs
from tongues.translation.segments import FIELDS
from tongues.translation.translate import translate_rows

_FEWEST_LETTERS, _MOST_CHARACTERS = 20, 400


class Quality(BaseModel):
    """What was measured for one language.

    Scores are over the sentences that came back; those that did not are counted in `failed`. For a judge,
    sentences are rows.
    """

    model_config = ConfigDict(frozen=True)

    lang: str
    kind: Literal["round-trip", "reference", "judge"]
    sentences: int
    bleu: float | None = None
    chrf: float | None = None
    ter: float | None = None
    adequacy: float | None = None
    fluency: float | None = None
    signatures: dict[str, str] = {}
    failed: int = 0
    note: str = ""


def measure_quality(
    rows: Iterable[SourceRow],
    *,
    engine: Engine,
    source_lang: str,
    target_lang: str,
    ledger: Ledger,
    protector: Protector,
    sentences: int,
    reference: Sequence[tuple[str, str]] | None = None,
) -> list[Quality]:
    """Measure one engine into one language; nothing that the ledger holds is asked again.

    Args:
        rows: where sentences are drawn from; read once.
        engine: translates, and back where it can.
        source_lang: BCP-47 code of the rows.
        target_lang: BCP-47 code.
        ledger: open.
        protector: hides and restores protected spans, as in the rows themselves.
        sentences: size of the sample for the round trip; 0 for none.
        reference: pairs of source text and its translation by people, if there are any.

    Returns:
        What was measured; a round trip that the engine cannot make is in it with a note.

    Raises:
        EngineError: the engine is out of order.
    """
    trip = _Trip(engine, ledger, protector)
    found = []
    if sentences:
        found.append(
            trip.round_trip(sample_sentences(rows, source_lang, sentences), source_lang, target_lang)
        )
    if reference:
        found.append(trip.against(reference, source_lang, target_lang))
    return found


def sample_sentences(rows: Iterable[SourceRow], lang: str, size: int) -> list[str]:
    """Draw different sentences by the digest of their text: the same from the same rows in any order.

    Sentences of fewer than 20 letters or more than 400 characters are passed over.
    """
    # A set that is cut down now and then: its size stays bounded, however many rows there are.
    drawn: set[tuple[bytes, str]] = set()
    for sentence in _sentences(rows, lang):
        drawn.add((hashlib.sha256(sentence.encode("utf-8", "replace")).digest(), sentence))
        if len(drawn) >= 4 * size + 1000:
            drawn = set(heapq.nsmallest(size, drawn))
    return [sentence for _, sentence in heapq.nsmallest(size, drawn)]


def _sentences(rows: Iterable[SourceRow], lang: str) -> Iterator[str]:
    for row in rows:
        for name in FIELDS:
            for sentence in map(str.strip, split_sentences(getattr(row, name), lang)):
                if len(sentence) <= _MOST_CHARACTERS and sum(map(str.isalpha, sentence)) >= _FEWEST_LETTERS:
                    yield sentence


class _Trip:
    """An engine with what it needs on the way."""

    def __init__(self, engine: Engine, ledger: Ledger, protector: Protector) -> None:
        self._engine, self._ledger, self._protector = engine, ledger, protector

    def round_trip(self, sentences: list[str], source: str, target: str) -> Quality:
        """There and back again."""
        if not self._engine.supports(target, source):
            note = f"{self._engine.name} does not translate {target} to {source}"
            return Quality(lang=target, kind="round-trip", sentences=0, note=note)
        there = self._translated(sentences, source, target)
        arrived = [number for number, text in enumerate(there) if text is not None]
        back = self._translated([there[number] or "" for number in arrived], target, source)
        pairs = [(text, sentences[n]) for n, text in zip(arrived, back, strict=True) if text is not None]
        return _quality(pairs, "round-trip", target, source, len(sentences))

    def against(self, reference: Sequence[tuple[str, str]], source: str, target: str) -> Quality:
        """Against translations by people."""
        texts = self._translated([text for text, _ in reference], source, target)
        pairs = [(text, human) for text, (_, human) in zip(texts, reference, strict=True) if text is not None]
        return _quality(pairs, "reference", target, target, len(reference))

    def _translated(self, texts: Sequence[str], source: str, target: str) -> list[str | None]:
        """One translation per text; None where there is none."""
        items = translate_rows(
            map(_row, texts),
            engine=self._engine,
            source_lang=source,
            target_lang=target,
            ledger=self._ledger,
            protector=self._protector,
        )
        return [item.instruction if isinstance(item, AlignedRow) else None for item in items]


def _row(text: str) -> SourceRow:
    origin = Source(dataset="quality", revision="", row="", licence="")
    return SourceRow.create(instruction=text, input="", output="", source=origin)


def _quality(
    pairs: list[tuple[str, str]], kind: Literal["round-trip", "reference"], lang: str, scored: str, asked: int
) -> Quality:
    """Scores of pairs of translation and reference, both in the language `scored`."""
    failed = asked - len(pairs)
    if not pairs:
        return Quality(lang=lang, kind=kind, sentences=0, failed=failed, note="nothing came back")
    scores = score_pairs([text for text, _ in pairs], [reference for _, reference in pairs], scored)
    return Quality(
        lang=lang,
        kind=kind,
        sentences=len(pairs),
        bleu=scores.bleu,
        chrf=scores.chrf,
        ter=scores.ter,
        signatures=scores.signatures,
        failed=failed,
    )
