"""Sort a stream of rows into those that are kept and those that are dropped, and count both."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tongues.core.drops import DROP_SCHEMA, Drop
from tongues.core.manifest import Tally
from tongues.core.shards import Row, write_shards


class Storable(Protocol):
    """Any of the row types of `tongues.core.records`."""

    def to_row(self) -> Row:
        """The row as its Parquet schema has it."""


T = TypeVar("T", bound=Storable)


class Sorter:
    """Counts every row under its language, kept or dropped, and remembers the drops."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.drops: list[Drop] = []

    def tally(self, lang: str) -> Tally:
        """The counts of one language."""
        return self.tallies.setdefault(lang, Tally())

    def drop(self, drop: Drop) -> None:
        """Count and remember a dropped row."""
        self.tally(drop.lang).drop(drop.reason)
        self.drops.append(drop)

    def kept(self, rows: Iterable[T | Drop], *, lang_of: Callable[[T], str]) -> Iterator[T]:
        """Pass kept rows through; drops are counted and do not come out."""
        for row in rows:
            if isinstance(row, Drop):
                self.drop(row)
            else:
                self.tally(lang_of(row)).keep()
                yield row

    def write_drops(self, folder: Path) -> None:
        """Write what was dropped beside what was kept."""
        write_shards(folder, DROP_SCHEMA, (drop.to_row() for drop in self.drops))

    def reasons(self) -> dict[str, dict[str, Any]]:
        """Language to reason to rows, for a report."""
        return {lang: dict(sorted(t.dropped.items())) for lang, t in sorted(self.tallies.items())}
