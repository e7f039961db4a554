"""Read an instruction set: good rows become `SourceRow`, bad ones become `Drop` with file and line.

Three shapes are read, told apart by the first character and by the columns:

    JSONL        one object per line: instruction, input, output [, protect, category, keep, skip]
    JSON array   the same objects in one array, as Alpaca files come
    seed tasks   instruction, instances: [{input, output}, ...]; the first instance counts;
                 "is_classification": true stands for the category "classification"

`keep` lists the fields that stay in the source language, `[]` for none; `skip` says why a row is not to
be translated at all. Both outrank the recipe's selection.

JSONL is streamed, a line in memory at a time; an array is read whole.
"""

import codecs
import json
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tongues.core.drops import Drop
from tongues.core.errors import DataError
from tongues.core.recipe import SourceSection
from tongues.core.records import Source, SourceRow

_BLANKS = b" \t\r\n"
_FIELDS = ("instruction", "input", "output")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class RowError(ValueError):
    """One row is not usable.

    Args:
        reason: stable word for tallies, such as "missing-field".
        detail: what was seen.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


def read_source(
    path: Path, *, section: SourceSection, seen: dict[str, str] | None = None
) -> Iterator[SourceRow | Drop]:
    """Read rows in file order; every row that is not blank comes out as a row or as a drop.

    Args:
        path: JSONL file or JSON array, UTF-8 with or without byte order mark.
        section: names the dataset, revision, licence and language; `max_rows` limits how many
            rows are read, good or bad.
        seen: group to where it stands, of files that were read before; this file's are added to it.

    Yields:
        Rows, and drops with where = "file:line" (JSONL, from 1) or "file:index" (array, from 0).

    Raises:
        DataError: the file is missing or unreadable, or is an array that is not valid JSON.
    """
    seen = {} if seen is None else seen
    for place, content in islice(_raw_rows(path), section.max_rows):
        where = f"{path.name}:{place}"
        try:
            row = _parse_row(_parse_json(content) if isinstance(content, bytes) else content, where, section)
            if first := seen.setdefault(row.group, where):
                _require(first == where, "duplicate", f"same text as {first}")
            yield row
        except RowError as error:
            yield Drop(section.lang, error.reason, error.detail, where, _as_text(content))


def _raw_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Line number and bytes (JSONL), or index and parsed value (array)."""
    try:
        with path.open("rb") as stream:
            head = stream.read(1 << 12)
            if head.startswith(_UTF16):
                raise DataError("the file is UTF-16", where=str(path), fix="save it as UTF-8")
            stream.seek(3 if head.startswith(codecs.BOM_UTF8) else 0)
            if _opens(path, head, b"["):
                yield from enumerate(_parse_array(stream.read(), path))
                return
            if _opens(path, head, b"{\n") or _opens(path, head, b"{\r\n"):
                raise DataError(
                    "one JSON object over many lines, not one object per line or an array of them",
                    where=str(path),
                    fix="write its rows as JSONL",
                )
            for number, line in enumerate(stream, start=1):
                if content := line.strip(_BLANKS):
                    yield number, content
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}", where=str(path), fix="check source.uri in the recipe"
        ) from error


def _opens(path: Path, head: bytes, first: bytes) -> bool:
    """Whether a file, unless its name says JSONL, begins with these bytes."""
    return path.suffix != ".jsonl" and head.removeprefix(codecs.BOM_UTF8).lstrip(_BLANKS).startswith(first)


def _parse_array(content: bytes, path: Path) -> list[Any]:
    try:
        rows: list[Any] = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"not a JSON array: {error}", where=str(path), fix="check that the file is complete"
        ) from None
    return rows


def _parse_json(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RowError("not-utf8", f"byte {error.start} of the line") from None
    except (ValueError, RecursionError) as error:
        raise RowError("not-json", str(error)[:200]) from None


def _parse_row(value: Any, where: str, section: SourceSection) -> SourceRow:
    _require(isinstance(value, dict), "not-an-object", f"found {_kind(value)}")
    texts = _texts(value)
    protect = _protect(value, texts)
    category = _category(value)
    keep, skip = _keep(value), _string(value, "skip", default="").strip()
    named = {**texts, "category": category, "skip": skip, **{f"protect {p!r}": p for p in protect}}
    for name, text in named.items():
        _require_storable(name, text)
    _require(not _is_blank(texts["instruction"]), "empty-instruction", "nothing is asked")
    _require(not _is_blank(texts["output"]), "empty-output", "there is no answer to learn")
    source = Source(section.dataset, section.revision, where, section.licence)
    return SourceRow.create(**texts, source=source, protect=protect, category=category, keep=keep, skip=skip)


def _texts(value: dict[str, Any]) -> dict[str, str]:
    answer = value if "output" in value or "instances" not in value else _first_instance(value)
    return {
        "instruction": _string(value, "instruction"),
        "input": _string(answer, "input", default=""),
        "output": _string(answer, "output"),
    }


def _first_instance(value: dict[str, Any]) -> dict[str, Any]:
    instances = value["instances"]
    _require(isinstance(instances, list), "wrong-type", f"instances is {_kind(instances)}, not a list")
    _require(bool(instances), "missing-field", "instances is empty")
    first: dict[str, Any] = instances[0]
    _require(isinstance(first, dict), "wrong-type", f"instances[0] is {_kind(first)}, not an object")
    return first


def _string(value: dict[str, Any], key: str, default: str | None = None) -> str:
    text = value.get(key)
    if text is None and default is not None:
        return default
    _require(key in value, "missing-field", f"no {key!r}; found {', '.join(sorted(value)) or 'nothing'}")
    _require(isinstance(text, str), "wrong-type", f"{key} is {_kind(text)}, not text")
    return str(text)


def _protect(value: dict[str, Any], texts: dict[str, str]) -> tuple[str, ...]:
    literals = value.get("protect") or []
    is_list = isinstance(literals, list) and all(isinstance(item, str) for item in literals)
    _require(is_list, "wrong-type", "protect is not a list of texts")
    for literal in literals:
        found = literal and any(literal in text for text in texts.values())
        _require(bool(found), "protect-not-found", f"{literal!r} stands nowhere in the row")
    return tuple(literals)


def _category(value: dict[str, Any]) -> str:
    named = _string(value, "category", default="")
    return named or ("classification" if value.get("is_classification") is True else "")


def _keep(value: dict[str, Any]) -> tuple[str, ...] | None:
    names = value.get("keep")
    if names is None:
        return None
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    _require(is_list, "wrong-type", "keep is not a list of field names")
    for name in names:
        _require(name in _FIELDS, "unknown-field", f"keep names {name!r}; fields are {', '.join(_FIELDS)}")
    return tuple(dict.fromkeys(names))


def _require_storable(name: str, text: str) -> None:
    """Parquet is UTF-8, which has no lone surrogates; a NUL ends text in too many other tools."""
    _require("\0" not in text, "nul-character", f"in {name}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RowError("lone-surrogate", f"in {name} at character {error.start}") from None


def _is_blank(text: str) -> bool:
    """Whether nothing would be seen: only white space, controls and format characters."""
    return all(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in text)


def _require(holds: bool, reason: str, detail: str) -> None:
    if not holds:
        raise RowError(reason, detail)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _as_text(content: Any) -> str:
    if isinstance(content, bytes):
        return content[:8_000].decode("utf-8", "replace")
    return json.dumps(content, ensure_ascii=False)[:8_000]
