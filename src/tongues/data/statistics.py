"""What a data set is made of: rows, lengths, licences and examples, gathered while it is written."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.core.records import Record
from tongues.data.record_batches import Labels, characters
from tongues.data.splits import Split

CountTokens = Callable[[pa.RecordBatch], npt.NDArray[np.int64]]
"""Tokens of each record of a batch, as the base model counts them."""
EXAMPLES = 10
"""Records shown per language: those whose ids, which are digests, come first."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS = 24


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the records of one language and method are.

    Args:
        unit: "characters" or "tokens", all turns of a record together.
        total: of all records.
        mean: of one.
        quantiles: at `QUANTILES`.
        longest: of one.
    """

    unit: str
    total: int
    mean: float
    quantiles: tuple[float, ...]
    longest: int


@dataclass(frozen=True, slots=True)
class Part:
    """The records of one language and method.

    Args:
        lang: BCP-47 code.
        method: with its mode, such as "crossin/en2x".
        rows: split to number of records.
        lengths: in characters, and in tokens where they were counted.
    """

    lang: str
    method: str
    rows: dict[Split, int]
    lengths: tuple[Lengths, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Records of one language by length; bins grow by equal factors.

    Args:
        unit: of the edges.
        edges: one more than there are bins.
        rows: records in each bin.
    """

    unit: str
    edges: tuple[float, ...]
    rows: tuple[int, ...]


@dataclass
class Statistics:
    """Gathers; memory grows by 4 or 8 bytes per record.

    Args:
        count_tokens: the base model's tokenizer, where tokens are wanted.
    """

    count_tokens: CountTokens | None = None
    rows: Counter[tuple[str, str, Split]] = field(default_factory=Counter)
    licences: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Language, data set and licence to records."""
    examples: dict[str, list[Record]] = field(default_factory=dict)
    _lengths: dict[tuple[str, str, str], list[npt.NDArray[np.int32]]] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch, split: Split) -> None:
        """Count the records of a batch, all of one split."""
        langs, methods = batch.column("lang").to_pylist(), batch.column("method").to_pylist()
        self.rows.update(zip(langs, methods, [split] * len(langs), strict=True))
        source = batch.column("source")
        named = (source.field("dataset").to_pylist(), source.field("licence").to_pylist())
        self.licences.update(zip(langs, *named, strict=True))
        self._measure(langs, methods, "characters", characters(batch))
        if self.count_tokens is not None:
            self._measure(langs, methods, "tokens", self.count_tokens(batch))
        self._note_examples(batch, langs)

    def parts(self) -> list[Part]:
        """All languages and methods in order."""
        cells = sorted({(lang, method) for lang, method, _ in self.rows})
        return [self._part(lang, method) for lang, method in cells]

    def histogram(self, lang: str) -> Histogram:
        """The lengths of one language, in tokens where they were counted."""
        unit = "characters" if self.count_tokens is None else "tokens"
        found = [arrays for (of, _, kind), arrays in self._lengths.items() if (of, kind) == (lang, unit)]
        lengths = np.maximum(np.concatenate(list(chain.from_iterable(found))), 1)
        edges = np.geomspace(lengths.min(), lengths.max() + 1, _BINS + 1)
        rows, _ = np.histogram(lengths, edges)
        return Histogram(unit, tuple(edges.tolist()), tuple(rows.tolist()))

    def _part(self, lang: str, method: str) -> Part:
        splits: tuple[Split, ...] = ("train", "validation", "test")
        rows = {split: self.rows[lang, method, split] for split in splits}
        units = ("characters", "tokens")
        found = [(unit, self._lengths.get((lang, method, unit))) for unit in units]
        return Part(lang, method, rows, tuple(_lengths(unit, arrays) for unit, arrays in found if arrays))

    def _measure(
        self, langs: Sequence[str], methods: Sequence[str], unit: str, lengths: npt.NDArray[np.int64]
    ) -> None:
        labels = Labels[tuple[str, str]]()
        codes = labels.codes(list(zip(langs, methods, strict=True)))
        for code, (lang, method) in enumerate(labels.names):
            chosen = lengths[codes == code].astype(np.int32)
            self._lengths.setdefault((lang, method, unit), []).append(chosen)

    def _note_examples(self, batch: pa.RecordBatch, langs: Sequence[str]) -> None:
        for place, lang in enumerate(langs):
            noted = self.examples.setdefault(lang, [])
            if len(noted) < EXAMPLES:
                noted.append(Record.from_row(batch.slice(place, 1).to_pylist()[0]))


def _lengths(unit: str, arrays: Sequence[npt.NDArray[np.int32]]) -> Lengths:
    every = np.concatenate(arrays)
    quantiles = tuple(np.quantile(every, QUANTILES).round(1).tolist())
    return Lengths(unit, int(every.sum()), round(float(every.mean()), 1), quantiles, int(every.max()))
