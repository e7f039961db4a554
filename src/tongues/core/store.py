"""The aligned store: every item in every language, keyed by (group, lang)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tongues.core.errors import DataError
from tongues.core.records import AlignedRow
from tongues.core.shards import read_shards


class AlignedStore:
    """Random access to aligned rows, independent of the order they were written in.

    Args:
        rows: any order; a (group, lang) that stands twice is an error.
        source_lang: language of the originals.

    Raises:
        DataError: a key stands twice with different text.
    """

    def __init__(self, rows: Iterable[AlignedRow], *, source_lang: str = "en") -> None:
        self.source_lang = source_lang
        self._rows: dict[str, dict[str, AlignedRow]] = {}
        for row in rows:
            seen = self._rows.setdefault(row.lang, {}).setdefault(row.group, row)
            if seen != row:
                raise DataError(
                    "two different rows for one key",
                    where=f"({row.group}, {row.lang})",
                    fix="gather the store again from finished shards only",
                )

    @classmethod
    def load(cls, folder: Path, *, source_lang: str = "en") -> Self:
        """Read a store from its shards."""
        return cls(map(AlignedRow.from_row, read_shards(folder)), source_lang=source_lang)

    @property
    def languages(self) -> list[str]:
        """Languages that have at least one row, in code order; the source language among them."""
        return sorted(self._rows)

    def groups(self, *langs: str) -> list[str]:
        """Groups present in all the named languages, in digest order, so that draws repeat."""
        wanted = [self._rows.get(lang, {}).keys() for lang in langs or (self.source_lang,)]
        return sorted(set.intersection(*map(set, wanted)))

    def get(self, group: str, lang: str) -> AlignedRow:
        """One row.

        Raises:
            KeyError: the item does not exist in that language.
        """
        return self._rows[lang][group]

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))
