"""The ledger: every answer that was ever paid for, so that none is paid for twice.

A row per request, keyed by the digest of (text, engine, model, prompt, parameters, source language,
target language). It holds answers, and those failures that would only repeat themselves (a segment
that crashes Apertium, a text that an endpoint cut off at its token limit), so that neither a
second run nor another pod asks again. Failures that may pass (time-outs, 5xx) are never stored.
Beside them it adds up what was spent, in the same transactions, so that a budget holds over crashes.

Append-only: a row never changes, except that an answer replaces a stored failure. Backed by SQLite
in WAL mode: what `put_many` has returned from survives ``kill -9`` at any moment (a power cut may
cost the last commits, never the file), and several processes may write at once. The file belongs
on a local disk; between machines it travels as Parquet (see `ledger_segments`).
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self
from uuid import uuid4

from tongues.core.digests import digest_value
from tongues.core.errors import DataError
from tongues.core.records import Step
from tongues.inference import ledger_file, ledger_rows
from tongues.inference.engine import Outcome
from tongues.inference.ledger_segments import (
    ROWS_PER_BATCH,
    Entry,
    Segment,
    Totals,
    decode_totals,
    encode_totals,
    write_segment,
)
from tongues.inference.spending import Spent

_NOTHING = Spent()


def ledger_key(text: str, step: Step, source: str, target: str) -> bytes:
    """The 32-byte key of a request.

    Args:
        text: the segment exactly as the engine gets it.
        step: engine, model, prompt and parameters.
        source: BCP-47 code.
        target: BCP-47 code.
    """
    parts = [text, step.engine, step.model, step.prompt_sha256, step.params_sha256, source, target]
    return bytes.fromhex(digest_value(parts))


@dataclass(frozen=True, slots=True)
class News:
    """What `Ledger.export_news` wrote, for `Ledger.mark_published`.

    Args:
        entries: entries in the segment.
        up_to: place of the last one in the file.
        spent: totals as they stood.
    """

    entries: int
    up_to: int
    spent: str


class Ledger:
    """An open ledger; use it as a context manager, on one thread.

    Args:
        path: the file; it and its folder are created if absent, an older version is upgraded in place.
        on_stored: told, after each `put_many`, how many outcomes it was handed to store.

    Raises:
        DataError: the file is not a ledger, is of a newer version, or is damaged.
    """

    def __init__(self, path: Path, *, on_stored: Callable[[int], None] | None = None) -> None:
        self.path = path
        self._db = ledger_file.open_file(path)
        self._writer = uuid4().hex
        self._on_stored, self._notes_use = on_stored, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was put stays."""
        self._db.close()

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Outcome]:
        """Look requests up.

        Args:
            keys: any number, as `ledger_key` makes them.

        Returns:
            The outcomes that are known; unknown keys are left out.
        """
        with self._guarded():
            entries = ledger_rows.entries_of(self._db, keys)
            found = {key: _outcome(text, reason, detail) for key, text, reason, detail in entries}
            if self._notes_use:
                ledger_rows.note_used(self._db, found)
        return found

    def note_use(self) -> None:
        """Keep account, from now on, of what is found here and what is put here."""
        self._notes_use = True

    def used(self) -> Iterator[Entry]:
        """The entries found or put since `note_use`, as they stand now, in key order."""
        with self._guarded():
            yield from ledger_rows.used_entries(self._db)

    def put_many(
        self, outcomes: Mapping[bytes, Outcome], *, account: str = "", spent: Spent = _NOTHING
    ) -> None:
        """Store outcomes and add to an account, in one transaction; no crash of this process undoes it.

        Outcomes that are not worth keeping (see `Outcome.keeps`) are passed over; what they cost counts.

        Args:
            outcomes: by key; may be empty where only something was spent.
            account: one job, over all its runs and pods.
            spent: added to the account's running total.

        Raises:
            DataError: the file cannot be written, for example because the disk is full.
        """
        rows = [(key, o.text, o.reason, _storable(o.detail)) for key, o in outcomes.items() if o.keeps]
        if not rows and spent == _NOTHING:
            return
        with self._transaction() as db:
            ledger_rows.put_entries(db, rows, imported=False)
            if self._notes_use:
                ledger_rows.note_used(db, (row[0] for row in rows))
            if spent != _NOTHING:
                ledger_rows.add_spent(db, account, self._writer, spent)
        if self._on_stored is not None:
            self._on_stored(len(rows))

    def spent(self, account: str) -> Spent:
        """What an account has spent so far, by all writers that this ledger knows of."""
        with self._guarded():
            return ledger_rows.read_spent(self._db, account)

    def accounts(self) -> dict[str, Spent]:
        """Every account with its running total."""
        return {account: self.spent(account) for account, _ in self._totals()}

    def failures(self) -> dict[str, int]:
        """Stored failures by reason."""
        query = "SELECT reason, count(*) FROM entries WHERE text IS NULL GROUP BY reason ORDER BY reason"
        with self._guarded():
            return dict(self._db.execute(query))

    def merge(self, other: Path) -> int:
        """Take over all entries and totals of another ledger file; doing it twice changes nothing.

        Returns:
            The number of entries that were new here, or answers to what had failed here.

        Raises:
            DataError: there is no such ledger.
        """
        if not other.is_file():
            raise DataError("no such ledger", where=str(other), fix="name the file of a ledger")
        with Ledger(other) as source:
            return self._take(source._entries(), source._totals(), imported=False)

    def export_segment(self, path: Path) -> int:
        """Write all entries as one Parquet file, in key order, so that equal ledgers give equal rows.

        Returns:
            The number of entries.
        """
        return write_segment(path, self._entries(), self._totals())

    def import_segment(self, path: Path, *, published_as: str = "") -> int:
        """Take over the entries and totals of an exported file; doing it twice changes nothing.

        Args:
            path: the file.
            published_as: its name where it comes from the folder of `attach`: it is remembered, and
                its entries are not published there again.

        Returns:
            The number of entries that were new here, or answers to what had failed here.

        Raises:
            DataError: the file is not such a segment.
        """
        with Segment(path) as segment:
            taken = self._take(segment.entries(), segment.totals, imported=bool(published_as))
        if published_as:
            self.remember(published_as)
        return taken

    def attach(self, folder: str) -> set[str]:
        """Say where this ledger is published; one that was published elsewhere is published here anew.

        Args:
            folder: URI.

        Returns:
            Names of the segments there that need no import: they were imported, or came from here.
        """
        with self._transaction() as db:
            return ledger_rows.attach(db, folder)

    def remember(self, name: str) -> None:
        """Note that a segment in the folder of `attach` needs no import, as all its entries are here."""
        with self._transaction() as db:
            ledger_rows.remember_segment(db, name)

    def export_news(self, path: Path, *, at_most: int = 200_000) -> News | None:
        """Write what was put here and is not published yet; call it until there is nothing.

        Args:
            path: the segment to write.
            at_most: entries in it, about.

        Returns:
            What to hand to `mark_published`; None where nothing is new, then no file is written.
        """
        spent = encode_totals(self._totals(imported_too=False))
        with self._guarded():
            part = ledger_rows.find_unpublished(self._db, at_most)
            known = ledger_rows.published_totals(self._db)
        news = News(part.entries, part.up_to, spent)
        if part.entries or spent != known:
            with self._guarded():
                write_segment(path, ledger_rows.entries_within(self._db, part), decode_totals(spent))
            return news
        if part.up_to > part.after:
            with self._transaction() as db:
                ledger_rows.mark_published(db, part.up_to, spent)
        return None

    def mark_published(self, name: str, news: News) -> None:
        """Remember that news stand in the folder of `attach`; call it once they do.

        Args:
            name: of the segment there.
            news: what `export_news` returned.
        """
        with self._transaction() as db:
            ledger_rows.mark_published(db, news.up_to, news.spent)
            ledger_rows.remember_segment(db, name)

    def compact(self) -> tuple[int, int]:
        """Rewrite the file without gaps and empty its log; needs free disk of twice the file's size.

        Returns:
            Bytes on disk before and after.
        """
        before = ledger_file.file_bytes(self.path)
        with self._guarded():
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint (TRUNCATE)").fetchall()
        return before, ledger_file.file_bytes(self.path)

    def __len__(self) -> int:
        with self._guarded():
            return int(self._db.execute("SELECT count(*) FROM entries").fetchone()[0])

    def _entries(self) -> Iterator[Entry]:
        with self._guarded():
            yield from ledger_rows.all_entries(self._db)

    def _totals(self, *, imported_too: bool = True) -> Totals:
        with self._guarded():
            return ledger_rows.read_totals(self._db, imported_too=imported_too)

    def _take(self, entries: Iterator[Entry], totals: Totals, *, imported: bool) -> int:
        taken = 0
        while batch := list(islice(entries, ROWS_PER_BATCH)):
            with self._transaction() as db:
                taken += ledger_rows.put_entries(db, batch, imported=imported)
        with self._transaction() as db:
            ledger_rows.take_totals(db, totals, imported=imported)
        return taken

    def _guarded(self) -> AbstractContextManager[None]:
        return ledger_file.guarded(self.path)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guarded(), ledger_file.transaction(self._db) as db:
            yield db


def _outcome(text: str | None, reason: str, detail: str) -> Outcome:
    return Outcome(text, reason, detail, permanent=text is None)


def _storable(detail: str) -> str:
    """What was seen may hold half characters, which no file takes; a reader gets them spelled out."""
    return detail if detail.isascii() else detail.encode("utf-8", "backslashreplace").decode()
