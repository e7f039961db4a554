"""Rows tokenised once, found again by what they were made from, and read without being loaded.

    <folder>/<key>/rows.arrow       one record batch per few thousand rows: ids, languages, tokens, spans
    <folder>/<key>/dropped.arrow    rows that cannot be used, with reasons
    <folder>/<key>/complete.json    digests of both, written last

The key is the digest of the records, the tokenizer, the chat template and the length limit. Equal work
is found by whoever asks: the run that follows `--check`, another recipe, every process of a node. They
share one copy in memory, because the files are mapped. Processes that ask at once wait for the first.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, overload

import pyarrow as pa

from tongues import __version__
from tongues.core.digests import canonical_json, digest_file, digest_value
from tongues.core.drops import DROP_SCHEMA, Drop
from tongues.core.manifest import write_atomically
from tongues.core.records import Record
from tongues.tuning.masks import Example, encode
from tongues.tuning.models import TOKENIZER_FILES

ROWS_NAME, DROPPED_NAME = "rows.arrow", "dropped.arrow"
_MARKER = "complete.json"
_ROWS_PER_BATCH = 4096
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("lang", pa.string(), nullable=False),
        pa.field("input_ids", pa.large_list(pa.int32()), nullable=False),
        pa.field("answer_start", pa.int32(), nullable=False),
        pa.field("earlier", pa.list_(pa.int32()), nullable=False),
    ]
)


class TokenisedRows(Sequence[Example]):
    """Examples in a mapped file; one is made when it is asked for.

    Args:
        path: as `tokenise` wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._table = _read(path)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return _example({name: self._table[name][index % len(self)].as_py() for name in _SCHEMA.names})

    def __iter__(self) -> Iterator[Example]:
        for batch in self._table.to_batches():
            yield from map(_example, batch.to_pylist())

    def sizes(self) -> tuple[list[int], list[int]]:
        """Tokens and labelled tokens of each row."""
        tokens = self._table["input_ids"].combine_chunks().value_lengths().to_pylist()
        starts, earlier = self._table["answer_start"].to_pylist(), self._table["earlier"].to_pylist()
        before = [sum(bounds[1::2]) - sum(bounds[0::2]) for bounds in earlier]
        return tokens, [n - start + more for n, start, more in zip(tokens, starts, before, strict=True)]


def row_sizes(rows: Sequence[Example]) -> tuple[list[int], list[int]]:
    """Tokens and labelled tokens of each row, without making rows that lie in a file."""
    if isinstance(rows, TokenisedRows):
        return rows.sizes()
    return [len(row.input_ids) for row in rows], [row.label_tokens for row in rows]


def _example(row: dict[str, Any]) -> Example:
    bounds = iter(row["earlier"])
    spans = tuple(zip(bounds, bounds, strict=True))
    return Example(row["id"], row["lang"], tuple(row["input_ids"]), row["answer_start"], spans)


def tokenise(
    records: Sequence[Record], tokenizer: Any, base: Path, folder: Path, *, max_seq_tokens: int
) -> tuple[TokenisedRows, list[Drop]]:
    """Tokenise records, or find that somebody has.

    Args:
        records: see `tongues.tuning.masks.encode`, which makes the rows.
        tokenizer: of `base`.
        base: folder of the base model, whose tokenizer files and template are part of the key.
        folder: holds one folder per key; shared by everybody.
        max_seq_tokens: longer rows are dropped.

    Raises:
        TuningError: the chat template is missing, or its answers cannot be told from its prompts.
    """
    place = folder / tokenised_key(records, base, max_seq_tokens)
    with _only_one(folder / f".{place.name}.lock"):
        if not _is_complete(place):
            _write(place, *encode(records, tokenizer, max_seq_tokens=max_seq_tokens))
    dropped = [Drop(**row) for row in _read(place / DROPPED_NAME).to_pylist()]
    return TokenisedRows(place / ROWS_NAME), dropped


def tokenised_key(records: Sequence[Record], base: Path, max_seq_tokens: int) -> str:
    """What the tokens depend on: records in their order, tokenizer and template, limit, version."""
    files = {name: digest_file(base / name) for name in TOKENIZER_FILES if (base / name).is_file()}
    rows = digest_value([[record.id, record.meta.get("loss", "")] for record in records])
    return digest_value([rows, files, max_seq_tokens, __version__])[:20]


def _write(place: Path, examples: Sequence[Example], dropped: Sequence[Drop]) -> None:
    shutil.rmtree(place, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".tokenising-") as scratch:
        made = Path(scratch) / place.name
        made.mkdir()
        _write_rows(made / ROWS_NAME, _SCHEMA, map(_row, examples))
        _write_rows(made / DROPPED_NAME, DROP_SCHEMA, (drop.to_row() for drop in dropped))
        sums = {name: digest_file(made / name) for name in (ROWS_NAME, DROPPED_NAME)}
        write_atomically(made / _MARKER, canonical_json(sums))
        made.replace(place)


def _row(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "lang": example.lang,
        "input_ids": example.input_ids,
        "answer_start": example.answer_start,
        "earlier": [bound for span in example.earlier for bound in span],
    }


def _write_rows(path: Path, schema: pa.Schema, rows: Iterator[dict[str, Any]]) -> None:
    with path.open("wb") as stream, pa.ipc.new_file(stream, schema) as writer:
        while part := list(islice(rows, _ROWS_PER_BATCH)):
            writer.write_batch(pa.RecordBatch.from_pylist(part, schema=schema))
        stream.flush()
        os.fsync(stream.fileno())


def _read(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _is_complete(place: Path) -> bool:
    try:
        stored: dict[str, str] = json.loads((place / _MARKER).read_bytes())
        return all(digest_file(place / name) == stored[name] for name in (ROWS_NAME, DROPPED_NAME))
    except (OSError, ValueError, KeyError):
        return False


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """One process tokenises; the others wait and find its work."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
