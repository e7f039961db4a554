"""Read native texts: good ones become `Document`, bad ones `Drop` with file and line.

Three formats are read, told apart by the end of the file's name:

    .parquet           a table; the recipe names the columns of title and text
    .jsonl, .ndjson    one object per line, with the same names
    .txt               WikiExtractor's blocks, <doc id="" url="" title=""> to </doc>; without any such mark
                       the file is one document, titled by its name

Tables and lines are streamed; of a text file one document is in memory at a time.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tongues.core.drops import Drop
from tongues.core.errors import DataError
from tongues.core.recipe import PassageFile
from tongues.core.records import Source

_ROWS_PER_BATCH = 256
_OPENING = re.compile(rb"<doc\b[^>\n]*>\s*")
_TITLE = re.compile(r'\btitle="([^"]*)"')
_CLOSING = b"</doc>"
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]")
"""Controls; embeddings and isolates, which would stay open where a text is cut; byte order marks."""
_EMPTY_BRACKETS = re.compile(r" ?(?:\([\s,;:]*\)|（[\s,;:，；：、]*）)")
"""What is left of a bracket whose template was taken out."""

Rows = Iterable[tuple[str, Any]]
"""Where a row stands, as "file:line", and what stands there: columns, or the bytes of a line."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text in one language.

    Args:
        title: may be empty.
        text: cleaned; never empty.
        source: origin, with its licence.
    """

    title: str
    text: str
    source: Source


class _RowError(ValueError):
    """One row is not usable; `reason` is for tallies."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(detail)


def read_rows(paths: Sequence[Path], file: PassageFile) -> Iterator[tuple[str, Any]]:
    """The rows of local files in order; see the module for the formats.

    Args:
        paths: the file, or all files of the folder, that the recipe names.
        file: its part of the recipe.

    Raises:
        DataError: a file cannot be read, is of an unknown format, or lacks the column of the text.
    """
    readers = {".parquet": _table, ".jsonl": _lines, ".ndjson": _lines, ".txt": _blocks}
    for path in paths:
        if path.suffix not in readers:
            known = ", ".join(readers)
            raise DataError(f"the name ends with none of {known}", where=str(path), fix="convert the file")
        try:
            yield from readers[path.suffix](path, file)
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(
                f"cannot be read: {error}", where=str(path), fix="see that the file is whole"
            ) from None


def read_documents(rows: Rows, file: PassageFile) -> Iterator[Document | Drop]:
    """Every row as a document or as a drop, in order.

    Args:
        rows: from `read_rows`, or a stream of the same kind.
        file: names dataset, revision, licence, language and columns; `max_rows` limits how many are read.
    """
    for where, content in islice(rows, file.max_rows):
        try:
            yield _document(_columns(content), where, file)
        except _RowError as error:
            yield Drop(file.lang, error.reason, str(error), where, _as_text(content))


def clean(text: str) -> str:
    """A text without what is no part of it: controls, empty brackets, blanks at line ends, runs of blank
    lines.

    Every line that holds something stays, in its place.
    """
    even = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    plain = _EMPTY_BRACKETS.sub("", _UNSEEN.sub("", even))
    lines = "\n".join(line.rstrip() for line in plain.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def _document(columns: dict[str, Any], where: str, file: PassageFile) -> Document:
    text, title = columns.get(file.text), columns.get(file.title)
    if text is None:
        found = ", ".join(sorted(columns)) or "nothing"
        raise _RowError("missing-field", f"no {file.text!r}; found {found}")
    for value in (text, title or ""):
        if not isinstance(value, str):
            raise _RowError("wrong-type", f"{type(value).__name__} in place of text")
        _require_unicode(value)
    if not (cleaned := clean(text)):
        raise _RowError("empty-text", "nothing is written there")
    source = Source(file.dataset, file.revision, where, file.licence)
    return Document(" ".join(clean(title or "").split()), cleaned, source)


def _require_unicode(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _RowError("lone-surrogate", f"at character {error.start}") from None


def _columns(content: Any) -> dict[str, Any]:
    if isinstance(content, bytes):
        try:
            content = json.loads(content.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise _RowError("not-utf8", f"byte {error.start}") from None
        except (ValueError, RecursionError) as error:
            raise _RowError("not-json", str(error)[:200]) from None
    if not isinstance(content, dict):
        raise _RowError("not-an-object", f"found {type(content).__name__}")
    return content


def _table(path: Path, file: PassageFile) -> Iterator[tuple[str, Any]]:
    with pq.ParquetFile(path) as parquet:
        there = parquet.schema_arrow.names
        if file.text not in there:
            raise DataError(
                f"no column {file.text!r}; there are {', '.join(there)}",
                where=str(path),
                fix="name the column of the text in the recipe",
            )
        columns = [name for name in dict.fromkeys((file.title, file.text)) if name in there]
        number = 0
        for batch in parquet.iter_batches(batch_size=_ROWS_PER_BATCH, columns=columns):
            for row in batch.to_pylist():
                yield f"{path.name}:{number}", row
                number += 1


def _lines(path: Path, file: PassageFile) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if content := line.removeprefix(b"\xef\xbb\xbf").strip():
                yield f"{path.name}:{number}", content


def _blocks(path: Path, file: PassageFile) -> Iterator[tuple[str, Any]]:
    """Line number and text of each block; all of the file where there is none."""
    start, title, lines, marked = 1, path.stem, list[bytes](), False
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if _OPENING.fullmatch(line):
                start, lines, marked = number, [], True
                title = _title(line)
            elif line.strip() == _CLOSING:
                yield _block(path, start, title, lines, file)
                lines = []
            else:
                lines.append(line)
    if not marked or any(line.strip() for line in lines):
        yield _block(path, start, title, lines, file)


def _title(mark: bytes) -> str:
    found = _TITLE.search(mark.decode("utf-8", "replace"))
    return html.unescape(found[1]) if found else ""


def _block(path: Path, start: int, title: str, lines: list[bytes], file: PassageFile) -> tuple[str, Any]:
    where = f"{path.name}:{start}"
    try:
        return where, {file.title: title, file.text: b"".join(lines).decode("utf-8-sig")}
    except UnicodeDecodeError:
        return where, b"".join(lines)  # which is not JSON either, but "not-utf8" first


def _as_text(content: Any) -> str:
    if isinstance(content, bytes):
        return content[:8_000].decode("utf-8", "replace")
    return json.dumps(content, ensure_ascii=True, default=str)[:8_000]
