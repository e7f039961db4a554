"""Pairs of answers to one prompt: the record's own, and a worse one in its metadata."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tongues.core.drops import Drop
from tongues.core.records import Record
from tongues.tuning.masks import Example, encode

REJECTED = "rejected"
"""The metadata's key of the worse answer."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one prompt.

    Args:
        chosen: the better one.
        rejected: the worse one.
    """

    chosen: Example
    rejected: Example

    def columns(self) -> dict[str, list[int]]:
        """The pair as TRL's collator takes it."""
        start = self.chosen.answer_start
        return {
            "prompt_ids": list(self.chosen.input_ids[:start]),
            "chosen_ids": list(self.chosen.input_ids[start:]),
            "rejected_ids": list(self.rejected.input_ids[start:]),
        }

    @property
    def tokens(self) -> int:
        """Tokens of both conversations."""
        return len(self.chosen.input_ids) + len(self.rejected.input_ids)

    @property
    def label_tokens(self) -> int:
        """Tokens of both answers."""
        return self.tokens - 2 * self.chosen.answer_start


def has_pair(record: Record) -> bool:
    """Whether a record carries a worse answer."""
    return REJECTED in record.meta


def encode_pairs(
    records: Sequence[Record], tokenizer: Any, *, max_seq_tokens: int
) -> tuple[list[Pair], list[Drop]]:
    """Tokenise both answers of each record, each with the proof of `encode`.

    Args:
        records: each with a worse answer; ``len(records) == len(pairs) + len(drops)`` afterwards.
        tokenizer: a fast transformers tokenizer with a chat template.
        max_seq_tokens: longest conversation, with either answer.

    Returns:
        Pairs, and drops with the reasons of `encode` or "no-preference" where both answers are alike.
    """
    drops = [
        Drop(r.lang, "no-preference", "both answers are alike", r.id, r.answer.content)
        for r in records
        if _alike(r)
    ]
    left = [record for record in records if not _alike(record)]
    chosen, bad_chosen = encode(left, tokenizer, max_seq_tokens=max_seq_tokens)
    worse = [_with_worse_answer(record) for record in left]
    rejected, bad_rejected = encode(worse, tokenizer, max_seq_tokens=max_seq_tokens)
    by_id = {example.id: example for example in rejected}
    pairs = [Pair(example, by_id[example.id]) for example in chosen if example.id in by_id]
    first = {drop.where: drop for drop in [*bad_rejected, *bad_chosen]}
    return pairs, drops + [first[record.id] for record in left if record.id in first]


def _alike(record: Record) -> bool:
    return record.meta[REJECTED].strip() == record.answer.content.strip()


def _with_worse_answer(record: Record) -> Record:
    answer = dataclasses.replace(record.answer, content=record.meta[REJECTED])
    return dataclasses.replace(record, messages=(*record.messages[:-1], answer))


def no_pairs(drops: Sequence[Drop]) -> str:
    """The line for a preference stage that has nothing to learn from."""
    why = f"; {len(drops)} were dropped, the first as {drops[0].reason} ({drops[0].detail})" if drops else ""
    return (
        f"tuning.preference is set, but no training record has a usable pair{why}; give records a worse "
        f"answer in their metadata ({REJECTED!r}), or remove tuning.preference"
    )
