"""All that the card and the overview page say of a data set, in one place."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tongues.core.manifest import Tally
from tongues.core.records import Record
from tongues.data.licences import demand, strictest
from tongues.data.statistics import Histogram, Part, Statistics

CARD_NAME = "card.md"
PAGE_NAME = "overview.html"
_SHOWN_CLUSTERS = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """How the data set came to be.

    Args:
        name: of the recipe.
        languages: BCP-47 codes that it teaches.
        source_lang: BCP-47 code of the originals.
        engine: who translated.
        seed: of every draw.
    """

    name: str
    languages: tuple[str, ...]
    source_lang: str
    engine: str
    seed: int


@dataclass(frozen=True, slots=True)
class Licence:
    """One licence of one source: what it asks, and records that stand under it."""

    dataset: str
    name: str
    asks: str
    records: int


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The clusters of one language.

    Args:
        lang: BCP-47 code.
        clusters: how many there are, exact and near ones.
        records: in all of them, survivors included.
        largest: records of the largest.
        shown: largest ones with texts (rows of CLUSTER_SCHEMA).
    """

    lang: str
    clusters: Mapping[str, int]
    records: int
    largest: int
    shown: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """A data set as a reader sees it; all mappings are in order of language code.

    Args:
        origin: how it came to be.
        licence: the strictest of the mix.
        licences: all of them.
        parts: rows and lengths by language and method.
        drops: language to reason to records.
        histograms: language to lengths.
        duplicates: by language.
        examples: language to records.
        masked: kind of personal data to replacements.
    """

    origin: Origin
    licence: str
    licences: tuple[Licence, ...]
    parts: tuple[Part, ...]
    drops: Mapping[str, Mapping[str, int]]
    histograms: Mapping[str, Histogram]
    duplicates: tuple[Duplicates, ...]
    examples: Mapping[str, Sequence[Record]]
    masked: Mapping[str, int]

    @classmethod
    def of(
        cls,
        origin: Origin,
        statistics: Statistics,
        tallies: Mapping[str, Tally],
        clusters: Iterable[Mapping[str, Any]],
        masked: Mapping[str, int],
    ) -> Self:
        """Put together what the stage has gathered; there is at least one record."""
        langs = sorted(statistics.examples)
        return cls(
            origin=origin,
            licence=strictest(licence for _, _, licence in statistics.licences),
            licences=_licences(statistics),
            parts=tuple(statistics.parts()),
            drops={lang: dict(sorted(t.dropped.items())) for lang, t in sorted(tallies.items()) if t.dropped},
            histograms={lang: statistics.histogram(lang) for lang in langs},
            duplicates=_duplicates(clusters),
            examples={lang: statistics.examples[lang] for lang in langs},
            masked=dict(sorted(masked.items())),
        )

    @property
    def records(self) -> int:
        """Records in all splits together."""
        return sum(sum(part.rows.values()) for part in self.parts)

    @property
    def langs(self) -> list[str]:
        """Languages that have records."""
        return list(self.histograms)


def _licences(statistics: Statistics) -> tuple[Licence, ...]:
    found: Counter[tuple[str, str]] = Counter()
    for (_, dataset, licence), records in statistics.licences.items():
        found[dataset, licence] += records
    return tuple(Licence(d, name, demand(name), records) for (d, name), records in sorted(found.items()))


def _duplicates(clusters: Iterable[Mapping[str, Any]]) -> tuple[Duplicates, ...]:
    counts: dict[str, Counter[str]] = {}
    records: Counter[str] = Counter()
    shown: dict[str, list[Mapping[str, Any]]] = {}
    largest: Counter[str] = Counter()
    for row in clusters:
        lang = row["lang"]
        counts.setdefault(lang, Counter())[row["kind"]] += 1
        records[lang] += row["records"]
        largest[lang] = max(largest[lang], row["records"])
        if row["survivor_text"] is not None:
            shown.setdefault(lang, []).append(row)
    return tuple(
        Duplicates(lang, dict(counts[lang]), records[lang], largest[lang], _first(shown.get(lang, [])))
        for lang in sorted(counts)
    )


def _first(rows: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    return tuple(sorted(rows, key=lambda row: (-row["records"], row["survivor"]))[:_SHOWN_CLUSTERS])
