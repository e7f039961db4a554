"""SHA-256 digests of values, files and folders: the links of every lineage chain."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 1 << 20
_MODULUS = 1 << 512


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


class RowsDigest:
    """Digest of a multiset of rows, added one by one: the same for any order and any sharding of them.

    The sum of the rows' SHA-512 numbers modulo 2**512, with their count, digested once more: constant
    memory however many rows there are. It tells equal content from changed content; against an
    adversary stand the SHA-256 digests of the files in the manifest.

    Source: incremental hashing by modular sums, Bellare and Micciancio, EUROCRYPT 1997.
    """

    def __init__(self) -> None:
        self._sum = 0
        self.rows = 0

    def add(self, row_digest: str) -> None:
        """Add one row by its digest."""
        number = int.from_bytes(hashlib.sha512(row_digest.encode()).digest(), "big")
        self._sum = (self._sum + number) % _MODULUS
        self.rows += 1

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        return hashlib.sha256(f"{self.rows}\n{self._sum:x}".encode()).hexdigest()


def digest_rows(row_digests: Iterable[str]) -> str:
    """Digest a multiset of rows at once; see `RowsDigest`."""
    digest = RowsDigest()
    for row_digest in row_digests:
        digest.add(row_digest)
    return digest.hexdigest()


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
