"""Sort a stream of rows into those that are kept and those that are dropped, and count both."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from tongues.core.drops import DROP_SCHEMA, Drop
from tongues.core.manifest import Tally
from tongues.core.shards import Row, ShardWriter


class Storable(Protocol):
    """Any of the row types of `tongues.core.records`."""

    def to_row(self) -> Row:
        """The row as its Parquet schema has it."""


T = TypeVar("T", bound=Storable)


class Sorter:
    """Counts every row under its language, kept or dropped, and writes drops beside what is kept.

    Use it as a context manager; the drops are complete when it is left.

    Args:
        folder: where the drops go (DROP_SCHEMA), as they come, so that memory does not grow with them.
    """

    def __init__(self, folder: Path) -> None:
        self.tallies: dict[str, Tally] = {}
        self._drops = ShardWriter(folder, DROP_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._drops.close(complete=kind is None)

    def tally(self, lang: str) -> Tally:
        """The counts of one language."""
        return self.tallies.setdefault(lang, Tally())

    def drop(self, drop: Drop) -> None:
        """Count and write a dropped row."""
        self.tally(drop.lang).drop(drop.reason)
        self._drops.write(drop.to_row())

    def kept(self, rows: Iterable[T | Drop], *, lang_of: Callable[[T], str]) -> Iterator[T]:
        """Pass kept rows through; drops are counted and written and do not come out."""
        for row in rows:
            if isinstance(row, Drop):
                self.drop(row)
            else:
                self.tally(lang_of(row)).keep()
                yield row

    def reasons(self) -> dict[str, dict[str, Any]]:
        """Language to reason to rows, for a report."""
        return {lang: dict(sorted(t.dropped.items())) for lang, t in sorted(self.tallies.items())}
