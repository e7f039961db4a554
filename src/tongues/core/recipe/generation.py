"""Recipe sections: the chat model that writes what cannot be had by translation."""

from tongues.core.recipe.engines import OpenAIEngine
from tongues.core.recipe.section import Section
from tongues.core.recipe.translation import BudgetSection


class GenerationSection(Section):
    """Who writes dialogues, instructions and answers for the methods that need them."""

    engine: OpenAIEngine
    """The chat model."""
    budget: BudgetSection = BudgetSection()
    """Where to stop, whatever is left to write; each language has an equal share."""
    replay_only: bool = False
    """Answer from the ledger alone and fail on the first request that it does not hold."""
