"""Exact duplicates after normalising: of each set of equal records one survives, always.

Two records are equal when they teach the same language and all their messages are the same up
to Unicode normalisation (NFC), case, and the amount and kind of white space. Group and method do
not count: the same conversation reached on two ways is still one.
"""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from tongues.core.digests import canonical_json, digest_value
from tongues.core.drops import Drop
from tongues.core.records import Record


def drop_duplicates(records: Iterable[Record]) -> tuple[list[Record], list[Drop]]:
    """Keep one record of each set of equal ones.

    The survivor is the one with the smallest id (then the smallest row digest), so it does not
    depend on the order of input. Run it before splitting: duplicates in different groups would
    otherwise stand on both sides of a split.

    Args:
        records: any order; all are held in memory.

    Returns:
        The survivors in order of id, and one drop with reason "duplicate" for each other record.
    """
    clusters: dict[bytes, list[Record]] = defaultdict(list)
    for record in records:
        clusters[_key(record)].append(record)
    kept, drops = [], []
    for cluster in clusters.values():
        survivor, *others = sorted(cluster, key=_rank) if len(cluster) > 1 else cluster
        kept.append(survivor)
        drops += [_drop(record, survivor) for record in others]
    return sorted(kept, key=lambda record: record.id), sorted(
        drops, key=lambda drop: (drop.where, drop.detail)
    )


def normalise(text: str) -> str:
    """NFC, case folded, runs of white space as one space: what two equal texts have in common."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _key(record: Record) -> bytes:
    turns = [[message.role, normalise(message.content)] for message in record.messages]
    return hashlib.blake2b(canonical_json([record.lang, turns]), digest_size=16).digest()


def _rank(record: Record) -> tuple[str, str]:
    return record.id, digest_value(record.to_row())


def _drop(record: Record, survivor: Record) -> Drop:
    detail = f"{record.method}; kept {survivor.id} ({survivor.method}, group {survivor.group})"
    return Drop(record.lang, "duplicate", detail, record.group, record.messages[-1].content)
