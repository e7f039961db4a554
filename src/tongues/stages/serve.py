"""Serve: from a registered version to an endpoint on this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tongues.core.errors import ServingError
from tongues.core.recipe import Recipe, RegistrySection, ServingSection
from tongues.core.recipe_file import load_recipe
from tongues.platform.model_versions import ModelVersion
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.serving.local import Endpoint, ServerPlan, running, start
from tongues.serving.vllm_command import dtype_of
from tongues.stages.serving_mode import Choice, Mode, choose, measured
from tongues.stages.signatures import require_registered
from tongues.stages.weights import ADAPTER, has_adapter, model_of_weights, weights_folder
from tongues.stages.workspace import RECIPE_NAME, Output, Workspace

BASE_NAME = "base"


@dataclass(frozen=True)
class Registered:
    """A registered version whose files were checked.

    Args:
        version: as the registry has it.
        tuned: the folder of its adapter and merged weights.
        base: the model it was tuned on.
        recipe: that made it.
    """

    version: ModelVersion
    tuned: Output
    base: Output
    recipe: Recipe


def open_registered(
    workspace: Workspace, reference: str, section: RegistrySection | None = None
) -> Registered:
    """Find a version, fetch its files and check every one; see `serve` for the errors."""
    version = find_version(workspace, reference, section)
    tuned = workspace.open(model_of_weights(version.uri))
    base = workspace.open(version.tags["tongues.base_uri"])
    recipe = load_recipe(tuned.folder / RECIPE_NAME)
    require_registered(version, tuned, base, signed=recipe.registry.require_signature)
    return Registered(version, tuned, base, recipe)


def chosen(registered: Registered, asked: bool | None, by_measure: Callable[[], Choice]) -> Choice:
    """Whether to serve base and adapter rather than merged weights, and why.

    Args:
        registered: the version; its recipe decides, unless it was asked for one or the other.
        asked: what the user said, if anything.
        by_measure: chooses where the recipe leaves it to what was measured.

    Raises:
        ServingError: an adapter was asked for, and there is none that vLLM serves; or nothing was measured.
    """
    there = registered.recipe.has_servable_adapter and has_adapter(registered.tuned)
    mode: Mode | None = None if asked is None else "adapter" if asked else "merged"
    choice = choose(registered.recipe.serving.mode, asked=mode, there=there, by_measure=by_measure)
    if choice.adapter and not there:
        what = (
            "all weights were tuned" if not has_adapter(registered.tuned) else "vLLM serves no DoRA adapter"
        )
        fix = "serve it with --merged"
        raise ServingError(f"{what}, so there is no adapter to serve", where=registered.tuned.uri, fix=fix)
    return choice


def serve(
    workspace: Workspace,
    reference: str,
    *,
    adapter: bool | None = None,
    beside_base: bool = False,
    port: int | None = None,
    detach: bool = False,
) -> list[Endpoint]:
    """Start an endpoint for a registered version; one that already serves these weights is kept.

    Every file is hashed first, against the signature where a key is set: what is served is what was
    evaluated.

    Args:
        workspace: where the version's files and the endpoint's state are.
        reference: MODEL@ALIAS or MODEL/VERSION.
        adapter: serve base and adapter instead of merged weights; the recipe decides when None.
        beside_base: start the base model too, on a free port, to compare.
        port: overrides the recipe's; 0 takes a free one.
        detach: leave the endpoints running when this process ends.

    Raises:
        RegistryError: nothing stands under the reference.
        SignatureError: not signed where it must be, or not what was signed.
        ServingError: files changed since they were registered, or the server did not start.
    """
    registered = open_registered(workspace, reference)
    settings, base = registered.recipe.serving, registered.base
    choice = chosen(registered, adapter, lambda: _measured(workspace, registered))
    workspace.say(f"serve {registered.version.model}: {choice}")
    plans = [_plan(registered, choice.adapter, port)]
    if beside_base:
        dtype = dtype_of(settings.precision)
        plans.append(ServerPlan(base.folder, BASE_NAME, max_model_len=settings.max_model_len, dtype=dtype))
    return _started(workspace, plans, settings, detach)


def find_version(
    workspace: Workspace, reference: str, section: RegistrySection | None = None
) -> ModelVersion:
    """The version a reference stands for.

    Args:
        workspace: whose MLflow is asked where nothing names another.
        reference: MODEL@ALIAS or MODEL/VERSION.
        section: of a recipe, which may name an MLflow; that of the environment when None.
    """
    model = reference.removeprefix("models:/").split("@")[0].split("/")[0]
    kept_in = section or RegistrySection(model=model)
    return registry.resolve(Tracking(kept_in, workspace.local), reference)


def stop(workspace: Workspace, name: str | None = None) -> list[Endpoint]:
    """Stop the endpoint of that name, or every one started from this workspace."""
    endpoints = [e for e in running(workspace.local) if name in (None, e.name)]
    for endpoint in endpoints:
        endpoint.stop()
    return endpoints


def _measured(workspace: Workspace, registered: Registered) -> Choice:
    plan, timeout_s = _plan(registered, True, 0), registered.recipe.serving.ready_timeout_s
    return measured(workspace, plan, base_sha256=registered.base.manifest.digest(), ready_timeout_s=timeout_s)


def _plan(registered: Registered, adapter: bool, port: int | None) -> ServerPlan:
    tuned, settings = registered.tuned, registered.recipe.serving
    folder: Path = registered.base.folder if adapter else weights_folder(tuned)
    return ServerPlan(
        folder,
        registered.version.model,
        port=settings.port if port is None else port,
        max_model_len=settings.max_model_len,
        adapter=tuned.folder / ADAPTER if adapter else None,
        dtype=dtype_of(settings.precision),
    )


def _started(
    workspace: Workspace, plans: list[ServerPlan], settings: ServingSection, detach: bool
) -> list[Endpoint]:
    here = {(e.folder, e.name): e for e in running(workspace.local)}
    kept = {(str(p.folder), p.name): here.get((str(p.folder), p.name)) for p in plans}
    for endpoint in here.values():
        if endpoint not in kept.values() and endpoint.name in {p.name for p in plans}:
            endpoint.stop()
    new = [p for p in plans if kept[str(p.folder), p.name] is None]
    timeout_s = settings.ready_timeout_s
    fresh = start(new, workspace=workspace.local, ready_timeout_s=timeout_s, detach=detach, say=workspace.say)
    return [e for e in kept.values() if e is not None] + fresh
