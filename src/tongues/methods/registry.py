"""The one registry of methods: a module of this package that has ``build`` or ``write`` is a method.

Adding a method is adding a file: its name is the recipe's ``method``. ``build`` makes records of the aligned
store; ``write`` has a chat model write them (see `tongues.methods.writing`). One may have both.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any, Protocol

import tongues.methods
from tongues.core.drops import Drop
from tongues.core.errors import RecipeError
from tongues.core.records import Record
from tongues.core.store import AlignedStore
from tongues.methods.writing import Author


class Builder(Protocol):
    """What a method is: aligned rows in, records out."""

    def __call__(
        self, store: AlignedStore, section: Any, *, languages: Sequence[str], source_lang: str, seed: int
    ) -> Iterator[Record | Drop]:
        """Build the records of one method; what it takes out of the store by judging it comes as a drop.

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
def methods() -> dict[str, ModuleType]:
    """The modules of all methods by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(tongues.methods.__path__))
    modules = {name: importlib.import_module(f"{tongues.methods.__name__}.{name}") for name in names}
    return {name: one for name, one in modules.items() if hasattr(one, "build") or hasattr(one, "write")}


def builder(method: str) -> Builder | None:
    """The builder of a method; None for one whose records are all written.

    Raises:
        RecipeError: there is no method of that name.
    """
    build: Builder | None = getattr(_module(method), "build", None)
    return build


def author(section: Any) -> Author | None:
    """The author of a method; None where nothing is to be written.

    Args:
        section: the method's part of the recipe; where not all of its settings need an author, its ``writes``
            says whether these do.

    Raises:
        RecipeError: there is no method of that name.
    """
    write: Author | None = getattr(_module(section.method), "write", None)
    return write if getattr(section, "writes", False) else None


def _module(method: str) -> ModuleType:
    try:
        return methods()[method]
    except KeyError:
        raise RecipeError([f"unknown method {method!r}; known: {', '.join(methods())}"]) from None
