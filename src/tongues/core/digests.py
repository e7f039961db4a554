"""SHA-256 digests of values, files and folders: the links of every lineage chain."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 1 << 20


def canonical_json(value: Any) -> bytes:
    """Serialise a JSON value the one way that digests are taken of.

    Keys sorted, no spaces, UTF-8 without escapes; lone surrogates, which UTF-8 cannot carry,
    are kept as ``\\udXXX`` escapes so that hostile text still has a digest.

    Raises:
        ValueError: the value holds NaN or an infinity, which JSON does not have.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def digest_value(value: Any) -> str:
    """Digest a JSON value; equal values have equal digests whatever their key order."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_rows(row_digests: Iterable[str]) -> str:
    """Digest a multiset of rows: the same for any order and any sharding of the same rows."""
    return hashlib.sha256("\n".join(sorted(row_digests)).encode()).hexdigest()


def digest_file(path: Path) -> str:
    """Digest a file's bytes, reading 1 MiB at a time."""
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            sha.update(block)
    return sha.hexdigest()


def digest_files(root: Path, *, leave_out: frozenset[str] = frozenset()) -> dict[str, str]:
    """Digest every file below a folder.

    Args:
        root: the folder.
        leave_out: names, relative to root, that do not count (the manifest itself).

    Returns:
        Relative POSIX path to digest, in path order.
    """
    files = (p for p in sorted(root.rglob("*")) if p.is_file())
    named = ((p.relative_to(root).as_posix(), p) for p in files)
    return {name: digest_file(path) for name, path in named if name not in leave_out}
