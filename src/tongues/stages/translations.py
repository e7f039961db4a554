"""The road from a recipe to its aligned store: what `tongues translate` and every longer run begin with."""

from functools import cached_property

from tongues.core.errors import RecipeError
from tongues.stages.fan_out import Job, jobs
from tongues.stages.gather import gather
from tongues.stages.given import Given
from tongues.stages.prepare import prepare
from tongues.stages.translate import translate
from tongues.stages.workspace import Output, Workspace


class Translations:
    """All translations of one recipe in one workspace, made when first asked for.

    Args:
        given: the recipe.
        workspace: where outputs are kept.
    """

    def __init__(self, given: Given, workspace: Workspace) -> None:
        self.given, self.workspace = given, workspace

    @cached_property
    def source(self) -> Output:
        """Source rows."""
        return prepare(self.given, self.workspace)

    @cached_property
    def outputs(self) -> dict[Job, Output]:
        """Translated rows per language and shard."""
        return {job: self.output(job) for job in jobs(self.given.recipe)}

    @cached_property
    def store(self) -> Output:
        """Aligned store."""
        return gather(self.given, self.workspace, self.source, list(self.outputs.values()))

    def output(self, job: Job) -> Output:
        """Translated rows of one job, which need not be one of the recipe's own cut.

        Raises:
            RecipeError: the recipe does not name the language.
        """
        if job.lang not in self.given.recipe.languages:
            there = ", ".join(self.given.recipe.languages)
            raise RecipeError([f"the recipe does not teach {job.lang!r}; its languages: {there}"])
        return translate(self.given, self.workspace, self.source, job)
