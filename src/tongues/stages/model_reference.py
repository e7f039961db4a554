"""A tuned model by whatever name the user has for it."""

from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.stages.given import Given
from tongues.stages.weights import model_of_weights
from tongues.stages.workspace import Output, Workspace


def open_model(given: Given, workspace: Workspace, reference: str) -> Output:
    """Open a finished finetune folder.

    Args:
        given: the recipe; its registry is asked.
        workspace: where the folder is fetched to.
        reference: its URI; models:/NAME@ALIAS or models:/NAME/VERSION; or the number of a version of the
            recipe's own model.

    Raises:
        RegistryError: nothing stands under that name.
        StorageError: the folder is not finished, or gone.
    """
    name = f"models:/{given.recipe.registry.model}/{reference}" if reference.isdecimal() else reference
    if not name.startswith("models:/"):
        return workspace.open(name)
    version = registry.resolve(Tracking(given.recipe.registry, workspace.local), name)
    return workspace.open(model_of_weights(version.uri))
