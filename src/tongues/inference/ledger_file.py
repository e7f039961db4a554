"""The ledger's SQLite file: its tables, its versions, and what is said when it cannot be used.

An entry is a row of a table that only grows at its end, found through an index of 32-byte keys. So
texts are written in the order in which they come, the index alone is written at random places, and
"what came since" is a range of row numbers. The other way, one table in key order (``WITHOUT
ROWID``), puts every text on a page of its own: at 10 million entries of 40 to 200 characters, 500 a
transaction, 2 cores, it took 682 s against 363 s (at the end 14,000 a second against 25,000), and
a look-up 14 µs against 17 µs. `benchmarks/ledger.py` measures what this one does.

The log is written back every 16 MiB. At SQLite's 4 MiB a third less was stored per second; at 64
MiB no more was, and one transaction in a while took four times as long, which the event loop waits for.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tongues.core.errors import DataError

APPLICATION_ID = 0x746F6E67  # "tong": tells our file from any other SQLite file
VERSION = 2
_BUSY_S = 60.0
_CACHE_KIB = 32 * 1024  # also what sorting for an export may take
_LOG_PAGES = 4_096
_TABLES = (
    # `imported`: it stands in the object store already, so it is not published from here.
    """
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
        imported INTEGER NOT NULL,
        reason TEXT NOT NULL,
        text TEXT,
        detail TEXT NOT NULL
    )
    """,
    "CREATE INDEX failures ON entries (reason) WHERE text IS NULL",
    # One running total per account and writer, and a writer is one opening of one file: totals only
    # grow, so that taking the larger one merges them right however often it is done.
    """
    CREATE TABLE spent (
        account TEXT NOT NULL,
        writer TEXT NOT NULL,
        requests INTEGER NOT NULL,
        characters INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        cost REAL NOT NULL,
        imported INTEGER NOT NULL,
        PRIMARY KEY (account, writer)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE segments (name TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE publication (folder TEXT NOT NULL, up_to INTEGER NOT NULL, spent TEXT NOT NULL)",
    "INSERT INTO publication VALUES ('', 0, '[]')",
)
_FROM_VERSION_1 = """
INSERT INTO entries (key, text, reason, detail, imported)
SELECT key, text, reason, detail, 0 FROM entries_1 ORDER BY key
"""


def open_file(path: Path) -> sqlite3.Connection:
    """Open a ledger file; it and its folder are created if absent, an older version is upgraded.

    Transactions are opened by name where they are needed.

    Args:
        path: the file, on a local disk.

    Raises:
        DataError: the file is not a ledger, is of a newer version, is damaged, or cannot be used now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _refuse_truncated(path)
    with guarded(path):
        db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
        return db


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Say errors of SQLite in our words.

    Args:
        path: the ledger file, for the message.

    Raises:
        DataError: the file is locked, the disk is full, or the file is damaged.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DataError(
            f"the ledger cannot be used now ({error})",
            where=str(path),
            fix="free disk space, or end the process that locks it; nothing that was stored is lost",
        ) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All or nothing, and one writer at a time."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def file_bytes(path: Path) -> int:
    """Bytes on disk, the write-ahead log included."""
    return sum(p.stat().st_size for p in (path, _log(path)) if p.exists())


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    version = _version(db, path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    if version < VERSION:
        # Several processes may come here at once: the first one in does it, the others find it done.
        with transaction(db):
            _bring_up_to_date(db, _version(db, path))


def _version(db: sqlite3.Connection, path: Path) -> int:
    """The file's version; 0 where nothing is in it yet."""
    application, version, tables = (
        db.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if (tables or application) and application != APPLICATION_ID:
        raise DataError("an SQLite file, but no ledger", where=str(path), fix="name another path")
    if version > VERSION:
        raise DataError(
            f"ledger version {version} is newer than this tongues", where=str(path), fix="upgrade tongues"
        )
    return int(version)


def _bring_up_to_date(db: sqlite3.Connection, version: int) -> None:
    if version == VERSION:
        return
    if version == 1:
        db.execute("ALTER TABLE entries RENAME TO entries_1")
    for statement in _TABLES:
        db.execute(statement)
    if version == 1:
        db.execute(_FROM_VERSION_1)
        db.execute("DROP TABLE entries_1")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")


def _refuse_truncated(path: Path) -> None:
    """Compare the file's size with the one its header states, which SQLite itself does not.

    Only where no write-ahead log is left to complete it.
    """
    log = _log(path)
    if not path.exists() or path.stat().st_size == 0 or (log.exists() and log.stat().st_size):
        return
    with path.open("rb") as stream:
        header = stream.read(100)
    page_bytes = int.from_bytes(header[16:18], "big")
    stated = int.from_bytes(header[28:32], "big") * (65_536 if page_bytes == 1 else page_bytes)
    if header[:16] != b"SQLite format 3\0":
        raise _damaged(path, "it is not an SQLite file")
    if path.stat().st_size < stated:
        raise _damaged(path, f"it has {path.stat().st_size} bytes of {stated}")


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"the ledger is damaged ({why})",
        where=str(path),
        fix="move the file away and import its last exported segment; requests since then are sent again",
    )
