"""Exact duplicates after normalising: of each set of equal records one survives, always.

Two records are equal when they teach the same language and all their messages are the same up
to Unicode normalisation (NFC), case, and the amount and kind of white space. Group and method do
not count: the same conversation reached on two ways is still one.

Of a record only 16 bytes are kept in memory: a digest of what counts.
"""

from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.data.normalisation import normalised

Keys = npt.NDArray[np.uint64]
"""Two numbers per record."""
Places = npt.NDArray[np.int64]

_TURN, _ROLE = "\x1e", "\x1f"
"""White space to Unicode, so that no normalised text has them."""
_ROWS_AT_ONCE = 4_096
_THREADS = 2
"""Arrow normalises in one while the other hashes, which needs the interpreter's lock."""


def record_keys(batch: pa.RecordBatch) -> Keys:
    """What decides on equality: rows of two numbers, equal for equal records.

    Args:
        batch: of RECORD_SCHEMA; lang and messages are read.
    """
    parts = [batch.slice(start, _ROWS_AT_ONCE) for start in range(0, batch.num_rows, _ROWS_AT_ONCE)]
    with ThreadPoolExecutor(_THREADS) as threads:
        return np.frombuffer(b"".join(threads.map(_digests, parts)), np.uint64).reshape(-1, 2)


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


def _digests(batch: pa.RecordBatch) -> bytes:
    return b"".join([blake2b(text, digest_size=16).digest() for text in _equal_bytes(batch)])


def _equal_bytes(batch: pa.RecordBatch) -> list[bytes]:
    """Language, roles and normalised texts of each record: the same bytes for equal records."""
    import pyarrow.compute as pc

    messages = batch.column("messages")
    turns = messages.flatten()
    told = pc.binary_join_element_wise(turns.field("role"), normalised(turns.field("content")), _ROLE)
    ends = np.cumsum(messages.value_lengths().to_numpy(zero_copy_only=False), dtype=np.int32)
    offsets = pa.array(np.concatenate([np.zeros(1, np.int32), ends]))
    whole = pc.binary_join(pa.ListArray.from_arrays(offsets, told), _TURN)
    named = pc.binary_join_element_wise(batch.column("lang"), whole, _TURN)
    found: list[bytes] = named.cast(pa.binary()).to_pylist()
    return found
