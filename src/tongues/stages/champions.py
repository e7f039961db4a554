"""The champions of a model: back to the one before, and how they came and went."""

from tongues.core.errors import RegistryError
from tongues.core.recipe import RegistrySection
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.promotion.journal import Move
from tongues.stages.workspace import Workspace


def rollback(workspace: Workspace, model: str, *, reason: str) -> registry.Promotion:
    """Make the previous champion the champion again.

    Args:
        workspace: its MLflow holds the model, unless the environment names another.
        model: registered name.
        reason: in the mover's words.

    Raises:
        RegistryError: no such model, no previous champion, or somebody moves it at this moment.
    """
    return registry.rollback(_tracking(workspace, model), model, reason=reason)


def history(workspace: Workspace, model: str) -> list[Move]:
    """Every promotion and rollback, oldest first.

    Raises:
        RegistryError: there is no such model.
    """
    return registry.history(_tracking(workspace, model), model)


def _tracking(workspace: Workspace, model: str) -> Tracking:
    tracking = Tracking(RegistrySection(model=model), workspace.local)
    if not tracking.models.versions(model):
        raise RegistryError("no such model is registered", where=model, fix="run `tongues run RECIPE` first")
    return tracking
