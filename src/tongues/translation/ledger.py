"""The ledger: every answer that was ever paid for, so that none is paid for twice.

A row per request, keyed by the digest of (text, engine, model, prompt, parameters, source language,
target language). It holds answers, and those failures that would only repeat themselves (a segment
that crashes Apertium, a text that an endpoint cut off at its token limit), so that neither a
second run nor another pod asks again. Failures that may pass (time-outs, 5xx) are never stored.

Append-only: a row never changes, except that an answer replaces a stored failure. Backed by SQLite
in WAL mode: what `put_many` has returned from survives ``kill -9`` at any moment (a power cut may
cost the last commits, never the file), and several processes may write at once. The file belongs
on a local disk; between machines it travels as Parquet (`export_segment`, `import_segment`).
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tongues.core.digests import digest_value
from tongues.core.errors import DataError
from tongues.core.records import Step
from tongues.translation.engine import Outcome

_APPLICATION_ID = 0x746F6E67  # "tong": tells our file from any other SQLite file
_VERSION = 1
_BUSY_S = 60.0
_KEYS_PER_QUERY = 500
_ROWS_PER_BATCH = 10_000
_CACHE_KIB = 64 * 1024
_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY CHECK (length(key) = 32),
    text TEXT,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL
) WITHOUT ROWID
"""
_PUT = """
INSERT INTO entries (key, text, reason, detail) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET text = excluded.text, reason = excluded.reason, detail = excluded.detail
WHERE entries.text IS NULL AND excluded.text IS NOT NULL
"""
_SEGMENT_SCHEMA = pa.schema(
    [
        pa.field("key", pa.binary(32), nullable=False),
        pa.field("text", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)


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


class Ledger:
    """An open ledger; use it as a context manager, on one thread.

    Args:
        path: the file; it and its folder are created if absent.

    Raises:
        DataError: the file is not a ledger, is of a newer version, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_truncated(path)
        with self._readable():
            # Autocommit: transactions are opened by name where they are needed.
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            self._open()

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
        found: dict[bytes, Outcome] = {}
        rest = iter(keys)
        with self._readable():
            while chunk := list(islice(rest, _KEYS_PER_QUERY)):
                marks = ",".join("?" * len(chunk))
                query = f"SELECT key, text, reason, detail FROM entries WHERE key IN ({marks})"  # noqa: S608
                for key, *outcome in self._db.execute(query, chunk):
                    found[key] = _outcome(*outcome)
        return found

    def put_many(self, outcomes: Mapping[bytes, Outcome]) -> None:
        """Store outcomes in one transaction; when this returns, no crash of this process loses them.

        Outcomes that are not worth keeping (see `Outcome.keeps`) are passed over.

        Raises:
            DataError: the file cannot be written, for example because the disk is full.
        """
        rows = [(key, o.text, o.reason, o.detail) for key, o in outcomes.items() if o.keeps]
        if rows:
            self._put_rows(rows)

    def merge(self, other: Path) -> int:
        """Take over all entries of another ledger file.

        Returns:
            The number of keys that were new here.
        """
        with Ledger(other) as source:
            return self._take(source._rows())

    def export_segment(self, path: Path) -> int:
        """Write all entries as one Parquet file, in key order, so that equal ledgers give equal rows.

        Returns:
            The number of entries.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        total, rows = 0, self._rows()
        with pq.ParquetWriter(path, _SEGMENT_SCHEMA, compression="zstd") as writer:
            while batch := list(islice(rows, _ROWS_PER_BATCH)):
                columns = [list(column) for column in zip(*batch, strict=True)]
                writer.write_table(
                    pa.Table.from_arrays(list(map(_array, columns, _SEGMENT_SCHEMA)), schema=_SEGMENT_SCHEMA)
                )
                total += len(batch)
        return total

    def import_segment(self, path: Path) -> int:
        """Take over the entries of an exported file; doing it twice changes nothing.

        Returns:
            The number of keys that were new here.

        Raises:
            DataError: the file is not such a segment.
        """
        try:
            with pq.ParquetFile(path) as parquet:
                if not parquet.schema_arrow.equals(_SEGMENT_SCHEMA):
                    raise DataError("not a ledger segment: other columns", where=str(path))
                return self._take(_segment_rows(parquet))
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(
                f"not a readable ledger segment ({error})", where=str(path), fix="export it again"
            ) from error

    def __len__(self) -> int:
        with self._readable():
            return int(self._db.execute("SELECT count(*) FROM entries").fetchone()[0])

    def _open(self) -> None:
        db = self._db
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        application, version = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if (tables or application) and application != _APPLICATION_ID:
            raise DataError("an SQLite file, but no ledger", where=str(self._path), fix="name another path")
        if version > _VERSION:
            raise DataError(
                f"ledger version {version} is newer than this tongues",
                where=str(self._path),
                fix="upgrade tongues",
            )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if not tables:
            self._create()

    def _create(self) -> None:
        # Several processes may create it at once: the first one in does, the others find it done.
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(_TABLE)
        self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {_VERSION}")
        self._db.execute("COMMIT")

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        with self._readable():
            yield from self._db.execute("SELECT key, text, reason, detail FROM entries ORDER BY key")

    def _take(self, rows: Iterator[tuple[Any, ...]]) -> int:
        before = len(self)
        while batch := list(islice(rows, _ROWS_PER_BATCH)):
            self._put_rows(batch)
        return len(self) - before

    def _put_rows(self, rows: list[tuple[Any, ...]]) -> None:
        with self._readable():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(_PUT, rows)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise DataError(
                f"the ledger cannot be used now ({error})",
                where=str(self._path),
                fix="free disk space, or end the process that locks it; nothing that was stored is lost",
            ) from error
        except sqlite3.DatabaseError as error:
            raise _damaged(self._path, str(error)) from error


def _outcome(text: str | None, reason: str, detail: str) -> Outcome:
    return Outcome(text, reason, detail, permanent=text is None)


def _array(column: list[Any], field: pa.Field) -> pa.Array:
    return pa.array(column, type=field.type)


def _segment_rows(parquet: pq.ParquetFile) -> Iterator[tuple[Any, ...]]:
    for batch in parquet.iter_batches(batch_size=_ROWS_PER_BATCH):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _refuse_truncated(path: Path) -> None:
    """Compare the file's size with the one its header states, which SQLite itself does not.

    Only where no write-ahead log is left to complete it.
    """
    log = path.with_name(path.name + "-wal")
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


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"the ledger is damaged ({why})",
        where=str(path),
        fix="move the file away and import its last exported segment; requests since then are sent again",
    )
