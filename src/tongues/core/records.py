"""The three row types that rooms hand to each other: SourceRow, AlignedRow, Record.

    SourceRow    one English instruction as it came in            prepare   -> translate
    AlignedRow   the same item in one language, with verdicts     translate -> assemble
    Record       one conversation, ready to train on              assemble  -> finetune

`group` is the identity that runs through all of them: the digest of the English original.
Splits, n-shot examples and decontamination work on it, so a translation never leaks.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, Self

import pyarrow as pa

from tongues.core.digests import digest_value

Role = Literal["system", "user", "assistant"]
_ID_CHARS = 16


def _text(name: str) -> pa.Field:
    return pa.field(name, pa.string(), nullable=False)


def _texts(name: str) -> pa.Field:
    return pa.field(name, pa.list_(pa.string()), nullable=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a row came from.

    Args:
        dataset: name of the dataset, as in the recipe.
        revision: its version, commit or date.
        row: "file:line" or "file:index" inside it.
        licence: SPDX identifier.
    """

    dataset: str
    revision: str
    row: str
    licence: str


@dataclass(frozen=True, slots=True)
class Step:
    """One operation that made or changed a text.

    Args:
        op: the verb, such as "translate".
        engine: engine name, such as "apertium" or "openai".
        model: the model or data package with its version.
        prompt_sha256: digest of the prompt template; empty if the engine takes none.
        params_sha256: digest of the engine's parameters.
    """

    op: str
    engine: str
    model: str
    prompt_sha256: str
    params_sha256: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: role, text and the BCP-47 code of the language it is written in."""

    role: Role
    content: str
    lang: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One instruction in the source language.

    Args:
        group: digest of instruction, input and output: the identity of the item.
        instruction: what is asked.
        input: what it is asked about; may be empty.
        output: the answer, never empty.
        protect: exact substrings that must survive translation byte for byte.
        category: a label for reports; may be empty.
        source: origin.
        keep: fields that this row wants left in the source language; None leaves it to the recipe.
        skip: why this row is not to be translated at all; empty if it is.
    """

    group: str
    instruction: str
    input: str
    output: str
    protect: tuple[str, ...]
    category: str
    source: Source
    keep: tuple[str, ...] | None = None
    skip: str = ""

    @classmethod
    def create(
        cls,
        *,
        instruction: str,
        input: str,
        output: str,
        source: Source,
        protect: tuple[str, ...] = (),
        category: str = "",
        keep: tuple[str, ...] | None = None,
        skip: str = "",
    ) -> Self:
        """Build a row; the group is computed from the text."""
        group = digest_value([instruction, input, output])[:_ID_CHARS]
        return cls(group, instruction, input, output, protect, category, source, keep, skip)

    def to_row(self) -> dict[str, Any]:
        """The row as the Parquet schema has it."""
        lists = {"protect": list(self.protect), "keep": None if self.keep is None else list(self.keep)}
        return dataclasses.asdict(self) | lists

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """The inverse of `to_row`."""
        keep = None if row["keep"] is None else tuple(row["keep"])
        return cls(
            **row | {"protect": tuple(row["protect"]), "source": Source(**row["source"]), "keep": keep}
        )


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """One item in one language: a row of the aligned store, keyed by (group, lang).

    Args:
        group: identity of the English original.
        lang: BCP-47 code of the text; the source language's rows stand in the store too.
        instruction: text in `lang`.
        input: text in `lang`; may be empty.
        output: text in `lang`.
        protect: the substrings that were kept verbatim.
        category: label carried over.
        source: origin of the English original.
        steps: what was done to get here; empty for the source language.
        verdicts: check name to "ok" or the reason it failed softly.
        quality: 0 (worst) to 1 (best), or None where nothing measured it.
    """

    group: str
    lang: str
    instruction: str
    input: str
    output: str
    protect: tuple[str, ...]
    category: str
    source: Source
    steps: tuple[Step, ...]
    verdicts: dict[str, str]
    quality: float | None

    def to_row(self) -> dict[str, Any]:
        """The row as the Parquet schema has it."""
        return dataclasses.asdict(self) | {
            "protect": list(self.protect),
            "verdicts": sorted(self.verdicts.items()),
        }

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """The inverse of `to_row`."""
        return cls(
            **row
            | {
                "protect": tuple(row["protect"]),
                "source": Source(**row["source"]),
                "steps": tuple(Step(**s) for s in row["steps"]),
                "verdicts": dict(row["verdicts"]),
            }
        )

    def digest(self) -> str:
        """Digest of the whole row."""
        return digest_value(self.to_row())


@dataclass(frozen=True, slots=True)
class Record:
    """One conversation, ready to train on.

    Args:
        id: digest of messages and method.
        messages: the turns; the last is the assistant's and is what the loss is taken on.
        lang: BCP-47 code of the last answer: the language this record teaches.
        group: id of the English original; all its translations share it.
        method: the builder that made it, with its mode: "direct", "crossin/en2x".
        source: origin.
        steps: operations on the texts.
        meta: free text values, such as the category.
    """

    id: str
    messages: tuple[Message, ...]
    lang: str
    group: str
    method: str
    source: Source
    steps: tuple[Step, ...]
    meta: dict[str, str]

    @classmethod
    def create(
        cls,
        *,
        messages: tuple[Message, ...],
        group: str,
        method: str,
        source: Source,
        steps: tuple[Step, ...] = (),
        meta: dict[str, str] | None = None,
    ) -> Self:
        """Build a record; id and language follow from the messages.

        Raises:
            ValueError: no message, the last one is not the assistant's, or it is empty.
        """
        if not messages or messages[-1].role != "assistant" or not messages[-1].content.strip():
            raise ValueError("a record ends with a non-empty answer of the assistant")
        turns = [[m.role, m.content, m.lang] for m in messages]
        record_id = digest_value([turns, group, method])[:_ID_CHARS]
        return cls(record_id, messages, messages[-1].lang, group, method, source, steps, meta or {})

    @property
    def answer(self) -> Message:
        """The last message: what is learnt."""
        return self.messages[-1]

    @property
    def groups(self) -> tuple[str, ...]:
        """Every original whose text stands in the record: its own group, then those of its shots."""
        return (self.group, *(group for group in self.meta.get("shots", "").split(",") if group))

    def to_row(self) -> dict[str, Any]:
        """The row as the Parquet schema has it."""
        return dataclasses.asdict(self) | {"meta": sorted(self.meta.items())}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """The inverse of `to_row`."""
        return cls(
            **row
            | {
                "messages": tuple(Message(**m) for m in row["messages"]),
                "source": Source(**row["source"]),
                "steps": tuple(Step(**s) for s in row["steps"]),
                "meta": dict(row["meta"]),
            }
        )


_STRING_MAP = pa.map_(pa.string(), pa.string())
_SOURCE = pa.field("source", pa.struct([_text(f.name) for f in dataclasses.fields(Source)]), nullable=False)
_STEPS = pa.field(
    "steps", pa.list_(pa.struct([_text(f.name) for f in dataclasses.fields(Step)])), nullable=False
)
_MESSAGES = pa.field(
    "messages", pa.list_(pa.struct([_text(f.name) for f in dataclasses.fields(Message)])), nullable=False
)
_ITEM = [_text("instruction"), _text("input"), _text("output"), _texts("protect"), _text("category"), _SOURCE]

SOURCE_SCHEMA = pa.schema(
    [_text("group"), *_ITEM, pa.field("keep", pa.list_(pa.string())), _text("skip")],
)
ALIGNED_SCHEMA = pa.schema(
    [
        _text("group"),
        _text("lang"),
        *_ITEM,
        _STEPS,
        pa.field("verdicts", _STRING_MAP, nullable=False),
        pa.field("quality", pa.float64()),
    ]
)
RECORD_SCHEMA = pa.schema(
    [
        _text("id"),
        _MESSAGES,
        _text("lang"),
        _text("group"),
        _text("method"),
        _SOURCE,
        _STEPS,
        pa.field("meta", _STRING_MAP, nullable=False),
    ]
)
