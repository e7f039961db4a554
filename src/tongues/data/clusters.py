"""Clusters of duplicates: the one record that stays, how many it stands for, and what they look like."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.core.drops import Drop
from tongues.data.record_batches import texts
from tongues.data.ruling import CROSSING, NEAR_DUPLICATE, REASONS, Ruling

CLUSTER_SCHEMA = pa.schema(
    [
        pa.field("lang", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("survivor", pa.string(), nullable=False),
        pa.field("records", pa.int64(), nullable=False),
        pa.field("least_similarity", pa.float64(), nullable=False),
        pa.field("survivor_text", pa.string()),
        pa.field("removed_text", pa.string()),
    ]
)
"""One row per cluster: "exact" or "near" (some of it is), the id that stays, records with the survivor,
smallest similarity to it; texts of the largest clusters of each language only."""
Places = npt.NDArray[np.int64]
_SHOWN = 20
"""Clusters per language whose texts are kept."""
_EXCERPT_CHARS = 500


class Clusters:
    """Follows the records in order; survivors always come before the duplicates they stand for.

    Args:
        ruling: what was decided on all records.
    """

    def __init__(self, ruling: Ruling) -> None:
        self._ruling = ruling
        removals = ruling.removals
        self._survivors, cluster, counts = np.unique(
            removals.survivors, return_inverse=True, return_counts=True
        )
        self._records = counts + 1
        self._near = np.zeros(len(counts), np.bool_)
        self._near[cluster[ruling.fate[removals.places] == NEAR_DUPLICATE]] = True
        self._least = np.ones(len(counts), np.float32)
        np.minimum.at(self._least, cluster, removals.similarity)
        self._names = np.empty(len(counts), "S1")
        self._noted = 0
        self._texts: dict[int, list[str]] = {place: [] for place in self._largest()}

    def note(self, batch: pa.RecordBatch, start: int) -> None:
        """Note the survivors of a batch whose first record has this place."""
        first, last = self._noted, int(np.searchsorted(self._survivors, start + batch.num_rows))
        here = self._survivors[first:last].astype(np.int64) - start
        names = np.array(_column(batch, "id", here), dtype="S")
        self._names = self._names.astype(np.promote_types(self._names.dtype, names.dtype), copy=False)
        self._names[first:last], self._noted = names, last
        shown = [place for place in here.tolist() if place + start in self._texts]
        for place, text in zip(shown, _texts(batch, np.array(shown, np.int64)), strict=True):
            self._texts[place + start].append(text[:_EXCERPT_CHARS])

    def drops(self, batch: pa.RecordBatch, start: int, places: Places) -> Iterator[Drop]:
        """The drops of some records of the batch that was noted last."""
        columns = [_column(batch, name, places) for name in ("lang", "method", "group")]
        rows = zip((places + start).tolist(), *columns, _texts(batch, places), strict=True)
        for place, lang, method, group, text in rows:
            detail = f"{method}; {self._detail(place, text)}"
            yield Drop(lang, REASONS[int(self._ruling.fate[place])], detail, group, text)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The report, once all records have passed: rows of CLUSTER_SCHEMA."""
        for number, place in enumerate(self._survivors.tolist()):
            shown = [*self._texts.get(place, []), None, None]
            yield {
                "lang": self._ruling.lang_names[self._ruling.langs[place]],
                "kind": "near" if self._near[number] else "exact",
                "survivor": self._names[number].decode(),
                "records": int(self._records[number]),
                "least_similarity": round(float(self._least[number]), 4),
                "survivor_text": shown[0],
                "removed_text": shown[1],
            }

    def _largest(self) -> list[int]:
        """Survivors of the largest clusters of each language; of equally large ones, the first."""
        langs, found = self._ruling.langs[self._survivors], []
        for lang in range(len(self._ruling.lang_names)):
            of_lang = np.flatnonzero(langs == lang)
            order = np.argsort(-self._records[of_lang], kind="stable")[:_SHOWN]
            found += self._survivors[of_lang[order]].tolist()
        return found

    def _detail(self, place: int, text: str) -> str:
        if self._ruling.fate[place] == CROSSING:
            return "an example in it belongs to another split"
        if (found := self._ruling.removals.survivor_of(place)) is None:
            return "not drawn for the mixture"
        survivor, similarity = found
        shown = self._texts.get(survivor, [])
        if len(shown) == 1:
            shown.append(text[:_EXCERPT_CHARS])
        alike = f", similarity {similarity:.2f}" if similarity < 1 else ""
        name = self._names[np.searchsorted(self._survivors, survivor)]
        return f"kept {name.decode()}{alike}"


def _column(batch: pa.RecordBatch, name: str, places: Places) -> list[Any]:
    found: list[Any] = batch.column(name).take(pa.array(places)).to_pylist()
    return found


def _texts(batch: pa.RecordBatch, places: Places) -> list[str]:
    return texts(batch.take(pa.array(places)))
