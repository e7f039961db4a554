"""Recipe sections: the same base, budget and evaluation, with the data made in other ways."""

from typing import Annotated

from pydantic import Field

from tongues.core.recipe.methods import MethodSection
from tongues.core.recipe.section import Name, Section
from tongues.core.recipe.selection import SelectionSection


class VariantSection(Section):
    """One way of making the data; all that is not named here is as the recipe has it."""

    name: Name
    """What tables call it; ``RECIPE#NAME`` is the recipe of this variant alone, for any verb."""
    methods: Annotated[tuple[MethodSection, ...], Field(min_length=1)]
    """In place of dataset.methods."""
    selection: SelectionSection | None = None
    """In place of translation.selection; the recipe's when absent."""
