"""What a method asks of one language, and what the store has for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tongues.core.errors import PreflightError
from tongues.core.store import AlignedStore
from tongues.methods.draws import draw_without_replacement


@dataclass(frozen=True, slots=True)
class Demand:
    """Rows asked of one language.

    Args:
        lang: BCP-47 code.
        rows: how many to draw without replacement, at least 1; None takes all.
        groups: the groups there are, in digest order.
    """

    lang: str
    rows: int | None
    groups: Sequence[str]

    @property
    def problem(self) -> str:
        """By how much the store falls short, or nothing."""
        there = len(self.groups)
        short = (self.rows or 1) - there
        asked = f"{self.rows} rows are asked for" if self.rows else "all rows are asked for"
        return f"{self.lang}: {asked}, the store has {there}: {short} too few" if short > 0 else ""

    def drawn(self, seed: int, method: str) -> list[str]:
        """The groups that are taken; each language draws its own, independently of the others."""
        if self.rows is None:
            return list(self.groups)
        return draw_without_replacement(self.groups, self.rows, seed, method, self.lang)


def demands_of_source(store: AlignedStore, source_lang: str, rows: int | None) -> list[Demand]:
    """The demand for pairs in the source language: none for 0 rows, all there are for None."""
    return [] if rows == 0 else [Demand(source_lang, rows, store.groups(source_lang))]


def refuse(problems: Iterable[str], method: str) -> None:
    """Stop before the first record if there is any problem.

    Args:
        problems: one line each; empty ones do not count.
        method: the name in the recipe, for the address.

    Raises:
        PreflightError: lists them.
    """
    if found := [problem for problem in problems if problem]:
        raise PreflightError(found, where=f"dataset.methods ({method})")


def not_taught(named: Iterable[str], taught: Iterable[str], key: str) -> list[str]:
    """One problem for each language that a key names and the recipe does not teach."""
    known = sorted(taught)
    return [
        f"{key} names {lang}, which is not among the languages of the recipe: {', '.join(known)}"
        for lang in named
        if lang not in known
    ]
