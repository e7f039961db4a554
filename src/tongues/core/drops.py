"""A row that did not make it: what it was, and the reason, kept beside what did."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

_EXCERPT_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Drop:
    """One dropped row.

    Args:
        lang: BCP-47 code the row is counted under; "und" where it is not known.
        reason: short and stable, such as "wrong-language": what tallies count by.
        detail: what was seen, for a reader.
        where: group, id or "file:line" that leads back to the row.
        text: the offending text, at most 2,000 characters of it.
    """

    lang: str
    reason: str
    detail: str
    where: str
    text: str = ""

    def to_row(self) -> dict[str, Any]:
        """The row as the Parquet schema has it; characters Parquet cannot hold are escaped."""
        row = dataclasses.asdict(self) | {"text": self.text[:_EXCERPT_CHARS]}
        return {k: v.encode("utf-8", "backslashreplace").decode() for k, v in row.items()}


DROP_SCHEMA = pa.schema([pa.field(f.name, pa.string(), nullable=False) for f in dataclasses.fields(Drop)])
