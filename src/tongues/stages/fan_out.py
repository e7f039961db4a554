"""The jobs that a translation falls into: language by shard, side by side on a cluster."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Self, TypeVar

from tongues.core.errors import RecipeError
from tongues.core.recipe import Recipe

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """Every `of`-th row, beginning with row `number`.

    Args:
        number: 1 to `of`.
        of: parts there are, at least 1.
    """

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "2/4", as the command line and KFP have it.

        Raises:
            RecipeError: it is not of that form, or outside 1/1 to n/n.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise RecipeError([f"shard {text!r} is not of the form i/n with 1 <= i <= n, such as 2/4"])
        return cls(int(found[1]), int(found[2]))

    def of_rows(self, rows: Iterable[T]) -> Iterator[T]:
        """The rows of this shard; all shards together have every row once."""
        return islice(iter(rows), self.number - 1, None, self.of)

    def size(self, rows: int) -> int:
        """How many of so many rows are in this shard."""
        return len(range(self.number - 1, rows, self.of))


@dataclass(frozen=True, slots=True)
class Job:
    """One language's shard."""

    lang: str
    shard: Shard

    def __str__(self) -> str:
        return f"{self.lang} {self.shard}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "es 2/4", as the fan-out of the pipeline passes it on."""
        lang, _, shard = text.partition(" ")
        return cls(lang, Shard.parse(shard or "1/1"))


def jobs(recipe: Recipe) -> list[Job]:
    """All jobs of a recipe, language by language."""
    shards = range(1, recipe.translation.shards + 1)
    return [Job(lang, Shard(number, len(shards))) for lang in recipe.languages for number in shards]
