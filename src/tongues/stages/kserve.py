"""Serve on a cluster: from a registered version to a KServe object that is ready."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tongues.core.digests import digest_value
from tongues.core.errors import ServingError
from tongues.core.recipe import KServeSection, RegistrySection
from tongues.platform import kserve_objects as objects
from tongues.platform import storage
from tongues.platform.kserve_api import Applied, KServeApi
from tongues.platform.kserve_canary import Canary, keeping_name, same_revision
from tongues.platform.tracking import Tracking
from tongues.promotion.records import ENDPOINT_TAG
from tongues.serving.vllm_command import max_rank
from tongues.stages.kserve_rollout import by_canary
from tongues.stages.serve import Registered, chosen, find_version, open_registered
from tongues.stages.serving_mode import Choice, Mode
from tongues.stages.weights import ADAPTER, weights_uri
from tongues.stages.workspace import Workspace


@dataclass(frozen=True)
class Rendering:
    """The objects that serve a version, in the order in which they are applied.

    Args:
        registered: what they serve.
        items: a ServingRuntime where one was asked for, then the service.
        registry: where the version is kept.
    """

    registered: Registered
    items: Sequence[dict[str, Any]]
    registry: RegistrySection

    @property
    def service(self) -> dict[str, Any]:
        """The InferenceService, or LLMInferenceService."""
        return self.items[-1]


def render(
    workspace: Workspace,
    reference: str,
    *,
    namespace: str,
    adapter: bool | None = None,
    with_runtime: bool = False,
    registry: RegistrySection | None = None,
) -> Rendering:
    """The objects that serve a registered version; its files are checked as for a local server.

    Args:
        workspace: in an object store, where pods can read it.
        reference: MODEL@ALIAS or MODEL/VERSION.
        namespace: on the cluster.
        adapter: base with adapter, or merged weights; the recipe decides when None.
        with_runtime: add the chart's ServingRuntime, for a namespace without the chart.
        registry: of a recipe, which may name an MLflow; that of the environment when None.

    Raises:
        ServingError: the version lies where no pod can read it, or has a name that KServe does not take.
        SignatureError: not signed where it must be, or not what was signed.
    """
    registered = open_registered(workspace, reference, registry)
    section = registered.recipe.serving.kserve
    choice = chosen(registered, adapter, lambda: _by_pool(section))
    workspace.say(f"serve {registered.version.model}: {choice}")
    if choice.adapter and section.canary is not None:
        what = "an adapter moves with the follower in its pod, not by canary"
        raise ServingError(what, where=reference, fix="leave serving.kserve.canary out, or serve it merged")
    model = _served(registered, namespace, choice)
    objects.check(model)
    make = objects.inference_service if section.kind == "InferenceService" else objects.llm_inference_service
    runtime = [objects.serving_runtime(choice.mode, namespace)] if with_runtime else []
    kept = registry or RegistrySection(model=registered.version.model)
    return Rendering(registered, [*runtime, make(model, section)], kept)


def serve_on_kserve(
    workspace: Workspace,
    rendering: Rendering,
    *,
    dry_run: bool = False,
    take_over: bool = False,
    canary_url: str = "",
    api: KServeApi | None = None,
) -> Applied:
    """Apply the objects and wait until this generation is ready; the version then remembers its endpoint.

    Where the recipe asks for a canary and another version serves, the requests move by weight.

    Args:
        workspace: its MLflow holds the version.
        rendering: the objects.
        dry_run: let the server check them and keep nothing; nothing is waited for.
        take_over: take fields that another manager has set.
        canary_url: where a canary is asked, as by a forwarded port; its address inside the cluster if empty.
        api: the cluster; that of the environment when None.

    Raises:
        KubernetesError: refused, failed, or not ready in time.
        ServingError: the canary failed a check, or gets no requests; what served before serves on.
    """
    api = api or KServeApi.here(workspace.say)
    for item in rendering.items[:-1]:
        api.apply(item, dry_run=dry_run, take_over=take_over)
    live = api.find(rendering.service)
    if dry_run:
        return api.apply(keeping_name(live, rendering.service), dry_run=True, take_over=take_over)
    service = _next(workspace, rendering, api, live, canary_url, take_over)
    timeout_s = rendering.registered.recipe.serving.ready_timeout_s
    ready = api.wait_ready(api.apply(service, take_over=take_over), service, timeout_s=timeout_s)
    _remember(workspace, rendering, service, ready)
    return ready


def serve_what_stands(
    workspace: Workspace,
    reference: str,
    *,
    namespace: str,
    with_runtime: bool,
    registry: RegistrySection,
    api: KServeApi | None = None,
) -> tuple[Rendering, Applied]:
    """Serve what a reference stands for, and again where it has moved on while that became ready.

    Two runs that promote one after the other then end with the later version, whichever waits longer.

    Args:
        workspace: see `render`.
        reference: see `render`.
        namespace: see `render`.
        with_runtime: see `render`.
        registry: of the recipe.
        api: see `serve_on_kserve`.

    Raises:
        ServingError: see `render`.
        KubernetesError: see `serve_on_kserve`.
    """
    while True:
        made = render(workspace, reference, namespace=namespace, with_runtime=with_runtime, registry=registry)
        ready = serve_on_kserve(workspace, made, api=api)
        version = find_version(workspace, reference, registry).version
        if version == made.registered.version.version:
            return made, ready
        workspace.say(f"serve {ready.name}: {reference} is version {version} by now; serving that")


def state_page(rendering: Rendering, ready: Applied) -> str:
    """What serves a version, and in what state, as a page of the KFP UI."""
    version, spec = rendering.registered.version, rendering.service["spec"]
    predictor = spec.get("predictor", {})
    facts = {
        "model": f"models:/{version.model}/{version.version}",
        "manifest": rendering.registered.tuned.manifest.digest(),
        "object": f"{ready.kind} {ready.namespace}/{ready.name}, generation {ready.generation}",
        "runtime": predictor.get("model", {}).get("runtime", "the kind's own"),
        "replicas": predictor.get("minReplicas", spec.get("replicas")),
        "endpoint": ready.url,
    }
    lines = [f"| {name} | {value} |" for name, value in facts.items()]
    states = [f"| {name} | {state} |" for name, state in sorted(ready.conditions.items())]
    return "\n".join(
        [
            f"# {version.model} version {version.version} is served\n",
            *("| what | |", "| --- | --- |", *lines, ""),
            *("| condition | status |", "| --- | --- |", *states, ""),
            f"Ask it: `curl {ready.url}/v1/models`\n",
        ]
    )


def _next(
    workspace: Workspace,
    rendering: Rendering,
    api: KServeApi,
    live: Mapping[str, Any] | None,
    canary_url: str,
    take_over: bool,
) -> dict[str, Any]:
    """The object by which all clients get the version, once it may serve them all."""
    version, serving = rendering.registered.version, rendering.registered.recipe.serving
    section, service = serving.kserve, rendering.service
    if live is None or section.canary is None or same_revision(live, service):
        return keeping_name(live, service)
    timeout_s = serving.ready_timeout_s
    canary = Canary(api, live, service, version.version, timeout_s=timeout_s, take_over=take_over)
    by_canary(
        workspace, version, section.canary, canary, url=canary_url, prometheus_url=section.prometheus_url
    )
    return canary.promoted


def _by_pool(section: KServeSection) -> Choice:
    """Nothing is measured from here on a node of the cluster, and the choice says so."""
    mode: Mode = "adapter" if section.pool.gpus else "merged"
    rule = "adapters on GPUs, merged on CPUs"
    return Choice(mode, f"by serving.kserve.pool, {rule}; not measured there")


def _served(registered: Registered, namespace: str, choice: Choice) -> objects.ServedModel:
    version, tuned, base = registered.version, registered.tuned, registered.base
    adapters = {version.model: storage.join(tuned.uri, ADAPTER)} if choice.adapter else {}
    return objects.ServedModel(
        name=version.model,
        namespace=namespace,
        weights_uri=base.uri if choice.adapter else weights_uri(tuned),
        revision={
            "version": str(version.version),
            "manifest-sha256": tuned.manifest.digest(),
            "mode": str(choice),
        },
        adapters=adapters,
        max_rank=max_rank(tuned.folder / ADAPTER) if choice.adapter else 0,
        max_model_len=registered.recipe.serving.max_model_len,
    )


def _remember(workspace: Workspace, rendering: Rendering, service: Mapping[str, Any], ready: Applied) -> None:
    """Note on the version what serves it, and take the note from the version that it served before."""
    version = rendering.registered.version
    models = Tracking(rendering.registry, workspace.local).models
    tag = f"{ENDPOINT_TAG}{ready.namespace}/{ready.name}"
    note = {"generation": ready.generation, "sha256": digest_value(service), "url": ready.url}
    models.tag_version(version.model, version.version, {tag: json.dumps(note, sort_keys=True)})
    for other in models.versions(version.model):
        if other.version != version.version and tag in other.tags:
            models.untag_version(version.model, other.version, tag)
