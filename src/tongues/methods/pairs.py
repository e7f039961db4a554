"""One row as it is: its question, its answer."""

from collections.abc import Mapping

from tongues.core.recipe import PromptTemplate
from tongues.core.records import AlignedRow, Message, Record
from tongues.methods.prompts import user_turn


def pair(
    row: AlignedRow,
    method: str,
    template: PromptTemplate = "chat",
    *,
    meta: Mapping[str, str] | None = None,
) -> Record:
    """The record of a row.

    Args:
        row: in the language it is to be learnt in.
        method: the record's name.
        template: wording of the user's turn.
        meta: what to note besides the category.
    """
    return Record.create(
        messages=turns(row, template),
        group=row.group,
        method=method,
        source=row.source,
        steps=row.steps,
        meta={"category": row.category, **(meta or {})},
    )


def turns(row: AlignedRow, template: PromptTemplate = "chat") -> tuple[Message, Message]:
    """The user's turn and the assistant's."""
    question = user_turn(row.instruction, row.input, template)
    return Message("user", question, row.lang), Message("assistant", row.output, row.lang)
