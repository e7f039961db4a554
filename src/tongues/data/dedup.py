"""Exact duplicates after normalising: of each set of equal records one survives, always.

Two records are equal when they teach the same language and all their messages are the same up
to Unicode normalisation (NFC), case, and the amount and kind of white space. Group and method do
not count: the same conversation reached on two ways is still one.

Of a record only 16 bytes are kept in memory: a digest of what counts.
"""

import unicodedata
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.data.record_batches import turns

Keys = npt.NDArray[np.uint64]
"""Two numbers per record."""
Places = npt.NDArray[np.int64]

_TURN, _ROLE = "\x1e", "\x1f"
"""White space to Unicode, so that no normalised text has them."""


def record_keys(batch: pa.RecordBatch) -> Keys:
    """What decides on equality: rows of two numbers, equal for equal records.

    Args:
        batch: of RECORD_SCHEMA; lang and messages are read.
    """
    digests = (blake2b(text, digest_size=16).digest() for text in _normalised(batch))
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


def survivors(keys: Keys) -> Places:
    """For each record the place of the first one that is equal to it; its own where it is the first.

    Run it before splitting: duplicates in different groups would otherwise stand on both sides.

    Args:
        keys: of all records, in the order of their ids, so that the smallest id survives.
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    ordered = keys[order]
    first = np.ones(len(keys), np.bool_)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    found = np.empty(len(keys), np.int64)
    found[order] = order[np.maximum.accumulate(np.where(first, np.arange(len(keys)), 0))]
    return found


def normalise(text: str) -> str:
    """NFC, case folded, runs of white space as one space: what two equal texts have in common."""
    plain = unicodedata.normalize("NFC", text).casefold().strip()
    return plain if _is_spaced(plain) else " ".join(plain.split())


def _is_spaced(text: str) -> bool:
    """Whether all white space is single blanks already: all other kinds are not printable."""
    return "  " not in text and text.isprintable()


def _normalised(batch: pa.RecordBatch) -> Iterator[bytes]:
    roles, contents, counts = turns(batch)
    parts = [f"{role}{_ROLE}{normalise(text)}" for role, text in zip(roles, contents, strict=True)]
    end = 0
    for lang, count in zip(batch.column("lang").to_pylist(), counts, strict=True):
        yield _TURN.join([lang, *parts[end : end + count]]).encode()
        end += count
