"""Which entries of the ledger a piece of work used, by digest, and whether they still are what they were.

The ledger grows, so it has no digest that stays; the entries that were used have one each. They are listed in
a file beside what was made of them, and one digest over that list goes into the manifest.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tongues.core.digests import canonical_json
from tongues.core.errors import DataError
from tongues.inference import ledger_file, ledger_rows
from tongues.inference.ledger_segments import ROWS_PER_BATCH, Entry

USED_NAME = "ledger.parquet"
_DIGEST = pa.binary(32)
_SCHEMA = pa.schema(
    [
        pa.field("key", _DIGEST, nullable=False),
        pa.field("sha256", _DIGEST, nullable=False),
        pa.field("answered", pa.bool_(), nullable=False),
    ]
)

Find = Callable[[list[bytes]], Mapping[bytes, Entry]]
"""From keys to the entries that a ledger has of them."""


def entry_digest(entry: Entry) -> bytes:
    """Digest of what an entry says: text, reason and detail."""
    _, *said = entry
    return hashlib.sha256(canonical_json(said)).digest()


def write_used(path: Path, entries: Iterable[Entry]) -> tuple[int, str]:
    """List entries by digest.

    Args:
        path: the file to write.
        entries: in key order, each once.

    Returns:
        Their number, and one digest over all of them.
    """
    total, number, rest = hashlib.sha256(), 0, iter(entries)
    with pq.ParquetWriter(path, _SCHEMA, compression="none", use_dictionary=False) as writer:
        while batch := list(islice(rest, ROWS_PER_BATCH)):
            lines = [(entry[0], entry_digest(entry), entry[1] is not None) for entry in batch]
            for key, digest, _ in lines:
                total.update(key + digest)
            columns = zip(zip(*lines, strict=True), _SCHEMA, strict=True)
            arrays = [pa.array(column, type=field.type) for column, field in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA))
            number += len(batch)
    return number, total.hexdigest()


def changed_entries(path: Path, find: Find) -> Iterator[str]:
    """One line per listed entry that is gone or says something else.

    A stored failure whose place an answer has taken since is none: that is the one change a ledger makes.

    Args:
        path: the list.
        find: looks entries up.

    Raises:
        DataError: the file is no such list, or the ledger cannot be read.
    """
    try:
        batches = pq.ParquetFile(path).iter_batches(batch_size=ROWS_PER_BATCH)
        for batch in batches:
            lines = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
            found = find([key for key, _, _ in lines])
            for key, digest, answered in lines:
                yield from _compared(key, digest, answered, found.get(key))
    except (OSError, pa.ArrowInvalid, ValueError) as error:
        raise DataError(f"not a list of ledger entries ({error})", where=str(path)) from error


def _compared(key: bytes, digest: bytes, answered: bool, entry: Entry | None) -> Iterator[str]:
    name = f"entry {key.hex()[:12]}"
    if entry is None:
        yield f"{name}: missing"
        return
    actual, answers_now = entry_digest(entry), entry[1] is not None
    if actual != digest and (answered or not answers_now):
        yield f"{name}: changed (sha256 {actual.hex()[:12]}, expected {digest.hex()[:12]})"


class LedgerLook:
    """A ledger file that is only read; use it as a context manager, on one thread.

    Args:
        path: the file.

    Raises:
        DataError: there is none, or it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise DataError("missing", where=str(path), fix="restore it, or import an exported segment")
        with ledger_file.guarded(path):
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)

    def __enter__(self) -> "LedgerLook":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def find(self, keys: list[bytes]) -> dict[bytes, Entry]:
        """The entries of these keys that are there."""
        with ledger_file.guarded(self._path):
            return {entry[0]: entry for entry in ledger_rows.entries_of(self._db, keys)}
