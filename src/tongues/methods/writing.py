"""Methods whose records a chat model writes: what they are given to write from.

A module of this package that has ``write`` is an author. Its records are made by the generate stage, one
language at a time, and join those that `build` makes from the aligned store when the dataset is assembled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tongues.core.drops import Drop
from tongues.core.ports import Check, Identify, Passage, Passages
from tongues.core.progress import Progress
from tongues.core.records import Record
from tongues.core.store import AlignedStore
from tongues.inference.writer import Writer


def no_passages(lang: str) -> Iterator[Passage | Drop]:
    """For a method that needs none."""
    return iter(())


@dataclass(frozen=True)
class Desk:
    """What an author works with.

    Args:
        store: every item in every language.
        writer: asks the chat model; its answers are kept in the ledger.
        lang: BCP-47 code of the language to write for; the source language has its turn too.
        languages: BCP-47 codes that the recipe teaches.
        source_lang: BCP-47 code of the originals.
        seed: the recipe's seed; with the same answers of the model, equal seeds give equal records.
        identify: guesses the language of a text among candidates.
        progress: counted up for each item; the writer's `write_all` does it.
        passages: the native texts that the section names, for a method that writes from them.
        checks: what a text that the model wrote goes through, besides its language; what it was written from
            stands in the place of the source.
    """

    store: AlignedStore
    writer: Writer
    lang: str
    languages: Sequence[str]
    source_lang: str
    seed: int
    identify: Identify
    progress: Progress | None = None
    passages: Passages = no_passages
    checks: Sequence[Check] = ()


class Author(Protocol):
    """What such a method is: a desk in, records and drops out."""

    def __call__(self, section: Any, desk: Desk) -> Iterator[Record | Drop]:
        """Write the records of one method in one language.

        Everything that was tried comes out: as a record, or as a drop with its reason. A language for which
        the section asks for nothing gives nothing.

        Args:
            section: the method's part of the recipe, with absolute URIs.
            desk: what to work with.

        Raises:
            PreflightError: there is less to write from than the section asks for.
            EngineError, BudgetError: the writer's.
        """
