"""The one registry of methods: a module of this package that has ``build`` is a method.

Adding a method is adding a file: its name is the recipe's ``method``.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Protocol

import tongues.methods
from tongues.core.errors import RecipeError
from tongues.core.records import Record
from tongues.core.store import AlignedStore


class Builder(Protocol):
    """What a method is: aligned rows in, records out."""

    def __call__(
        self, store: AlignedStore, section: Any, *, languages: Sequence[str], source_lang: str, seed: int
    ) -> Iterator[Record]:
        """Build the records of one method.

        Args:
            store: every item in every language.
            section: the method's part of the recipe.
            languages: BCP-47 codes to teach; their order does not change the result.
            source_lang: BCP-47 code of the originals.
            seed: the recipe's seed; equal seeds give equal records.

        Raises:
            PreflightError: the store cannot give what the section asks for; says by how much,
                per language, before the first record.
        """


@cache
def methods() -> dict[str, Builder]:
    """All methods by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(tongues.methods.__path__))
    modules = {name: importlib.import_module(f"{tongues.methods.__name__}.{name}") for name in names}
    return {name: module.build for name, module in modules.items() if hasattr(module, "build")}


def builder(method: str) -> Builder:
    """The builder of a method.

    Raises:
        RecipeError: there is none of that name.
    """
    try:
        return methods()[method]
    except KeyError:
        raise RecipeError([f"unknown method {method!r}; known: {', '.join(methods())}"]) from None
