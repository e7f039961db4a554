"""Serve: from a registered version to an endpoint on this machine."""

from pathlib import Path

from tongues.core.errors import ServingError
from tongues.core.manifest import verify_files
from tongues.core.recipe import RegistrySection, ServingSection
from tongues.core.recipe_file import load_recipe
from tongues.platform.model_versions import ModelVersion
from tongues.platform.tracking import Tracking
from tongues.promotion import registry
from tongues.serving.local import Endpoint, ServerPlan, running, start
from tongues.serving.vllm_command import dtype_of
from tongues.stages.weights import ADAPTER, has_adapter, model_of_weights, weights_folder
from tongues.stages.workspace import RECIPE_NAME, Output, Workspace

BASE_NAME = "base"


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

    Every file is hashed against its manifest first: what is served is what was evaluated.

    Args:
        workspace: where the version's files and the endpoint's state are.
        reference: MODEL@ALIAS or MODEL/VERSION.
        adapter: serve base and adapter instead of merged weights; the recipe decides when None.
        beside_base: start the base model too, on a free port, to compare.
        port: overrides the recipe's; 0 takes a free one.
        detach: leave the endpoints running when this process ends.

    Raises:
        RegistryError: nothing stands under the reference.
        ServingError: files changed since they were registered, or the server did not start.
    """
    version = find_version(workspace, reference)
    tuned = workspace.open(model_of_weights(version.uri))
    settings = load_recipe(tuned.folder / RECIPE_NAME).serving
    base = workspace.open(version.tags["tongues.base_uri"])
    for output in (tuned, base):
        check_whole(output)
    use_adapter = settings.mode == "adapter" if adapter is None else adapter
    if use_adapter and not has_adapter(tuned):
        raise ServingError(
            "all weights were tuned, so there is no adapter", where=tuned.uri, fix="serve it with --merged"
        )
    plans = [_plan(version, tuned, base, settings, use_adapter, port)]
    if beside_base:
        dtype = dtype_of(settings.precision)
        plans.append(ServerPlan(base.folder, BASE_NAME, max_model_len=settings.max_model_len, dtype=dtype))
    return _started(workspace, plans, settings, detach)


def find_version(workspace: Workspace, reference: str) -> ModelVersion:
    """The version a reference stands for, in the MLflow of the environment or of the workspace."""
    model = reference.removeprefix("models:/").split("@")[0].split("/")[0]
    return registry.resolve(Tracking(RegistrySection(model=model), workspace.local), reference)


def stop(workspace: Workspace, name: str | None = None) -> list[Endpoint]:
    """Stop the endpoint of that name, or every one started from this workspace."""
    endpoints = [e for e in running(workspace.local) if name in (None, e.name)]
    for endpoint in endpoints:
        endpoint.stop()
    return endpoints


def _plan(
    version: ModelVersion,
    tuned: Output,
    base: Output,
    settings: ServingSection,
    adapter: bool,
    port: int | None,
) -> ServerPlan:
    folder: Path = base.folder if adapter else weights_folder(tuned)
    return ServerPlan(
        folder,
        version.model,
        port=settings.port if port is None else port,
        max_model_len=settings.max_model_len,
        adapter=tuned.folder / ADAPTER if adapter else None,
        dtype=dtype_of(settings.precision),
    )


def check_whole(output: Output) -> None:
    """Hash every file of a finished folder against its manifest.

    Raises:
        ServingError: one is missing, changed, or not named.
    """
    if faults := verify_files(output.folder, output.manifest):
        raise ServingError(
            f"not what was registered: {'; '.join(faults[:3])}",
            where=output.uri,
            fix="run the recipe again to restore it, or serve another version",
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
