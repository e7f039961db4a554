"""A tuned model by whatever name the user has for it."""

from tongues.core.errors import EvaluationError, StorageError
from tongues.platform import storage
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.stages.assemble import assemble
from tongues.stages.finetune import identity
from tongues.stages.generate import generate
from tongues.stages.given import Given, read_recipe
from tongues.stages.prepare import fetch_base_model
from tongues.stages.translations import Translations
from tongues.stages.weights import model_of_weights
from tongues.stages.workspace import Output, Workspace

_RECIPES = (".yaml", ".yml")


def open_model(given: Given, workspace: Workspace, reference: str) -> Output:
    """Open a finished finetune folder.

    Args:
        given: the recipe; its registry is asked.
        workspace: where the folder is fetched to.
        reference: its URI; models:/NAME@ALIAS or models:/NAME/VERSION; the number of a version of the
            recipe's own model; or a recipe whose model is finished in this workspace, RECIPE.yaml#VARIANT,
            #VARIANT for one of this recipe, relative to this recipe.

    Raises:
        RegistryError: nothing stands under that name.
        RecipeError: there is no such recipe, or variant.
        EvaluationError: the recipe's model was not made in this workspace.
        StorageError: the folder is not finished, or gone.
    """
    if "#" in reference or reference.endswith(_RECIPES):
        return _of_recipe(_address(given, reference), workspace)
    name = f"models:/{given.recipe.registry.model}/{reference}" if reference.isdecimal() else reference
    if not name.startswith("models:/"):
        return workspace.open(name)
    version = registry.resolve(Tracking(given.recipe.registry, workspace.local), name)
    return workspace.open(model_of_weights(version.uri))


def _address(given: Given, reference: str) -> str:
    """The recipe's own address before a bare ``#``; else beside the recipe, where it is relative."""
    own = given.origin.partition("#")[0]
    if reference.startswith("#"):
        return f"{own}{reference}"
    path = storage.local_path(reference)
    if path is None or path.is_absolute():
        return reference
    here = storage.local_path(own)
    return str(here.parent / reference) if here else f"{own.rpartition('/')[0]}/{reference}"


def _of_recipe(address: str, workspace: Workspace) -> Output:
    """The model of a recipe, found by the digests of all that it is made from; nothing is made for it."""
    given, place = read_recipe(address), workspace.finished_only()
    try:
        store = Translations(given, place).store
        dataset = assemble(given, place, store, generate(given, place, store))
        _, done = place.find("finetune", **identity(given, dataset, fetch_base_model(given, place)))
        if done is None:
            raise StorageError("finetune is not finished", where=workspace.uri)
    except StorageError as error:
        fix = f"run `tongues finetune '{address}'` in this workspace first"
        raise EvaluationError(f"its model was not made here: {error.what}", where=address, fix=fix) from error
    return done
