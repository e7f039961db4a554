"""The flow of a recipe on one machine: each stage's output, made when it is first asked for.

Asking for a late output runs all that it needs; whatever is finished already is found by digest.
The KFP pipeline calls the same stages, one pod each, and finds the same digests.
"""

import copy
from functools import cached_property

from tongues.promotion.gate import Decision
from tongues.promotion.registry import Promotion
from tongues.stages.assemble import assemble
from tongues.stages.evaluate import Evaluation, evaluate
from tongues.stages.fan_out import Job
from tongues.stages.finetune import finetune
from tongues.stages.generate import generate
from tongues.stages.given import Given
from tongues.stages.preflight import preflight
from tongues.stages.prepare import fetch_base_model
from tongues.stages.register import Registered, decision, promote, register
from tongues.stages.translations import Translations
from tongues.stages.workspace import Output, Workspace


class Flow:
    """All outputs of one recipe in one workspace.

    Args:
        given: the recipe.
        workspace: where outputs are kept.

    Raises:
        PreflightError: the machine or the inputs are not ready; everything that is wrong, at once.
    """

    def __init__(self, given: Given, workspace: Workspace) -> None:
        preflight(given, workspace)
        self.given, self.workspace = given, workspace

    def quiet(self) -> "Flow":
        """The same flow without a word, to read what another process has just finished."""
        silent = copy.copy(self)
        silent.workspace = self.workspace.quiet()
        return silent

    @property
    def source(self) -> Output:
        """Source rows."""
        return self._translated.source

    @cached_property
    def base(self) -> Output:
        """Base model."""
        return fetch_base_model(self.given, self.workspace)

    @property
    def translations(self) -> dict[Job, Output]:
        """Translated rows per language and shard."""
        return self._translated.outputs

    @property
    def store(self) -> Output:
        """Aligned store."""
        return self._translated.store

    @cached_property
    def _translated(self) -> Translations:
        return Translations(self.given, self.workspace)

    @cached_property
    def written(self) -> Output | None:
        """What a chat model wrote, where a method needs it."""
        return generate(self.given, self.workspace, self.store)

    @cached_property
    def dataset(self) -> Output:
        """Training data."""
        self.given.require_one_model()  # before anything is translated for it
        return assemble(self.given, self.workspace, self.store, self.written)

    @cached_property
    def tuned(self) -> Output:
        """Adapter and merged weights."""
        return finetune(self.given, self.workspace, self.dataset, self.base)

    @cached_property
    def evaluation(self) -> Evaluation:
        """Scores and report."""
        return evaluate(self.given, self.workspace, self.tuned, self.base)

    @cached_property
    def registered(self) -> Registered:
        """Model version in MLflow."""
        return register(self.given, self.workspace, self.tuned, self.evaluation.output)

    @cached_property
    def decided(self) -> Decision:
        """What the gate says."""
        return decision(self.given, self.workspace, self.tuned, self.evaluation.output)

    @cached_property
    def promoted(self) -> Promotion:
        """The champion, after the gate has passed."""
        version = self.registered.version
        return promote(self.given, self.workspace, version, self.evaluation.output, self.decided)
