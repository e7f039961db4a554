"""Rows of the ledger file: how entries and totals are written, so that any repetition is harmless.

An answer replaces a stored failure and nothing else is ever changed; a total only grows. What comes
in from a segment is marked as imported, which keeps it from being published a second time.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import islice

from tongues.inference.ledger_segments import Entry, Totals
from tongues.inference.spending import Spent

_PUT = """
INSERT INTO entries (key, text, reason, detail, imported) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    -- What came last stands last, so that it is published again.
    id = (SELECT max(id) + 1 FROM entries),
    text = excluded.text, reason = excluded.reason, detail = excluded.detail, imported = excluded.imported
WHERE entries.text IS NULL AND excluded.text IS NOT NULL
"""
_AMOUNTS = ("requests", "characters", "prompt_tokens", "completion_tokens", "cost")
_SPEND = f"""
INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?, 0)
ON CONFLICT (account, writer) DO UPDATE SET {", ".join(f"{a} = {a} + excluded.{a}" for a in _AMOUNTS)}
"""  # noqa: S608
_TAKE = f"""
INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account, writer) DO UPDATE SET
    imported = min(imported, excluded.imported),
    {", ".join(f"{a} = max({a}, excluded.{a})" for a in _AMOUNTS)}
"""  # noqa: S608
_TOTALS = f"SELECT account, writer, {', '.join(_AMOUNTS)} FROM spent WHERE imported <= ?"  # noqa: S608
_SPENT = f"SELECT {', '.join(f'sum({a})' for a in _AMOUNTS)} FROM spent WHERE account = ?"  # noqa: S608
_ENTRIES = "SELECT key, text, reason, detail FROM entries"
_KEYS_PER_QUERY = 500
_USED = "CREATE TEMP TABLE IF NOT EXISTS used (key BLOB PRIMARY KEY) WITHOUT ROWID"
# Where nothing of ours waits to be published, what came in leaves it at that.
_SKIP_IMPORTED = "UPDATE publication SET up_to = ? WHERE up_to = ?"


@dataclass(frozen=True, slots=True)
class Unpublished:
    """The part of the file in which entries stand that are not published yet.

    Args:
        entries: how many there are.
        after: row number that was published last.
        up_to: row number of the part's end.
    """

    entries: int
    after: int
    up_to: int


def put_entries(db: sqlite3.Connection, entries: Sequence[Entry], *, imported: bool) -> int:
    """Write entries inside a transaction.

    Returns:
        How many were new, or answers to what had failed.
    """
    if not entries:
        return 0
    newest = _newest(db)
    written = db.executemany(_PUT, [(*entry, imported) for entry in entries]).rowcount
    if imported:
        db.execute(_SKIP_IMPORTED, (_newest(db), newest))
    return written


def all_entries(db: sqlite3.Connection) -> Iterator[Entry]:
    """All entries in key order."""
    # The plus has them read as they stand and then sorted: twice as fast as reading them by key.
    yield from db.execute(f"{_ENTRIES} ORDER BY +key")


def entries_within(db: sqlite3.Connection, part: Unpublished) -> Iterator[Entry]:
    """The entries of a part that were put here, in key order."""
    # Without the plus SQLite would walk the whole index for the sake of the order.
    query = f"{_ENTRIES} WHERE id > ? AND id <= ? AND NOT imported ORDER BY +key"
    yield from db.execute(query, (part.after, part.up_to))


def entries_of(db: sqlite3.Connection, keys: Iterable[bytes]) -> Iterator[Entry]:
    """The entries of any number of keys; those that are not there are left out."""
    rest = iter(keys)
    while chunk := list(islice(rest, _KEYS_PER_QUERY)):
        yield from db.execute(f"{_ENTRIES} WHERE key IN ({','.join('?' * len(chunk))})", chunk)


def note_used(db: sqlite3.Connection, keys: Iterable[bytes]) -> None:
    """Note keys beside the file, for as long as it is open."""
    db.execute(_USED)
    db.executemany("INSERT OR IGNORE INTO used VALUES (?)", ((key,) for key in keys))


def used_entries(db: sqlite3.Connection) -> Iterator[Entry]:
    """The entries of all noted keys as they stand now, in key order."""
    db.execute(_USED)
    columns = "entries.key, text, reason, detail"
    yield from db.execute(f"SELECT {columns} FROM used JOIN entries USING (key) ORDER BY used.key")  # noqa: S608


def find_unpublished(db: sqlite3.Connection, at_most: int) -> Unpublished:
    """The next part that is to be published, with at most so many entries."""
    (after,) = db.execute("SELECT up_to FROM publication").fetchone()
    newest = _newest(db)
    query = "SELECT id FROM entries WHERE id > ? AND id <= ? AND NOT imported ORDER BY id LIMIT ?"
    ids = f"SELECT count(*), max(id) FROM ({query})"  # noqa: S608
    entries, last = db.execute(ids, (after, newest, at_most)).fetchone()
    return Unpublished(entries, after, last if entries == at_most else newest)


def attach(db: sqlite3.Connection, folder: str) -> set[str]:
    """Note where the file is published, inside a transaction; a change of place forgets the old one.

    Returns:
        Names of the segments there that were imported, or came from here.
    """
    (known,) = db.execute("SELECT folder FROM publication").fetchone()
    if known not in ("", folder):
        db.execute("UPDATE entries SET imported = 0")
        db.execute("UPDATE spent SET imported = 0")
        db.execute("DELETE FROM segments")
        db.execute("UPDATE publication SET up_to = 0, spent = '[]'")
    db.execute("UPDATE publication SET folder = ? WHERE folder <> ?", (folder, folder))
    return {name for (name,) in db.execute("SELECT name FROM segments")}


def mark_published(db: sqlite3.Connection, up_to: int, spent: str) -> None:
    """Note, inside a transaction, up to which row number all is published, and which totals."""
    db.execute("UPDATE publication SET up_to = max(up_to, ?), spent = ?", (up_to, spent))


def remember_segment(db: sqlite3.Connection, name: str) -> None:
    """Note, inside a transaction, that a segment needs no import."""
    db.execute("INSERT OR IGNORE INTO segments VALUES (?)", (name,))


def published_totals(db: sqlite3.Connection) -> str:
    """The totals that were published last, as they were noted."""
    return str(db.execute("SELECT spent FROM publication").fetchone()[0])


def add_spent(db: sqlite3.Connection, account: str, writer: str, spent: Spent) -> None:
    """Add to a writer's running total, inside a transaction."""
    db.execute(_SPEND, (account, writer, *astuple(spent)))


def take_totals(db: sqlite3.Connection, totals: Totals, *, imported: bool) -> None:
    """Take over totals of other writers, inside a transaction; of two the larger one is the later."""
    db.executemany(_TAKE, [(*key, *astuple(spent), imported) for key, spent in totals.items()])


def read_totals(db: sqlite3.Connection, *, imported_too: bool) -> Totals:
    """Running totals by account and writer."""
    rows = db.execute(_TOTALS, (imported_too,))
    return {(account, writer): Spent(*amounts) for account, writer, *amounts in rows}


def read_spent(db: sqlite3.Connection, account: str) -> Spent:
    """An account's total over all its writers."""
    amounts = db.execute(_SPENT, (account,)).fetchone()
    return Spent() if amounts[0] is None else Spent(*amounts)


def _newest(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(id), 0) FROM entries").fetchone()[0])
