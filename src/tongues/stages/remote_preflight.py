"""What is checked here of a recipe that runs in pods: that nothing it names is on this machine only."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tongues.core.cluster_names import KEYS_SECRET
from tongues.core.digests import digest_file, digest_value
from tongues.core.errors import PreflightError, StorageError
from tongues.core.recipe import KEYS, Recipe
from tongues.core.recipe_file import dump_recipe, relative_uris
from tongues.platform import storage
from tongues.stages.given import Given, read_recipe

RECIPES = "recipes"
"""Folder of a workspace that keeps what was uploaded for submitted runs."""

_LONGEST_TEXT = 50_000
_PUBLIC = ("hf://", "wheel://")
_LOCAL = "is on this machine only"
_UPLOAD = "name files at s3://, or let --upload put the recipe and the files beside it into the workspace"


def check_remote(given: Given, workspace: str) -> None:
    """Refuse a recipe that cannot work in a pod.

    Args:
        given: the recipe.
        workspace: where the run is to keep its outputs.

    Raises:
        PreflightError: lists everything that is wrong, each with what to do.
    """
    found = (_workspace(workspace), _keys(given), _places(given), _absent(given), _length(given))
    problems = [problem for some in found for problem in some]
    if problems:
        local = any(_LOCAL in problem for problem in problems)
        raise PreflightError(problems, where=given.origin, fix=_UPLOAD if local else "")


def remote_notes(given: Given) -> list[str]:
    """What cannot be checked from here and is worth a thought."""
    if given.recipe.registry.tracking_uri:
        return []
    return ["registry.tracking_uri is not set: the pods register where their MLFLOW_TRACKING_URI says"]


def pod_recipe(given: Given) -> str:
    """The recipe as a pipeline takes it: its URI if it has one, else its text."""
    if storage.local_path(given.origin.partition("#")[0]) is None:
        return given.origin
    if given.origin == "inline" or "#" in given.origin:
        return dump_recipe(given.recipe)
    return Path(given.origin).read_text(encoding="utf-8")


def upload(given: Given, workspace: str) -> Given:
    """Put a local recipe and the files it names relative to itself into the workspace.

    They go to a folder named after their content, so the same ones are there once.

    Returns:
        The recipe as read from there.

    Raises:
        PreflightError: a file is missing or stands above the recipe; the workspace is no object store.
    """
    path, _, variant = given.origin.partition("#")
    recipe = storage.local_path(path)
    if recipe is None or given.origin == "inline":
        return given
    files = _beside(recipe, given)
    if problems := [*_workspace(workspace), *_missing(files)]:
        raise PreflightError(problems, where=given.origin)
    files |= {recipe.name: recipe}
    digest = digest_value({name: digest_file(file) for name, file in sorted(files.items())})
    to = storage.join(workspace, RECIPES, digest[:16])
    for name, file in sorted(files.items(), key=lambda item: item[0] == recipe.name):  # the recipe last
        storage.publish_file(file, storage.join(to, name))
    return read_recipe(storage.join(to, recipe.name) + (f"#{variant}" if variant else ""))


def _beside(recipe: Path, given: Given) -> dict[str, Path]:
    """Every file that the recipe names relative to itself, and every file in such a folder."""
    found: dict[str, Path] = {}
    for name in relative_uris(given.recipe):
        path = recipe.parent / name
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        found |= {file.relative_to(recipe.parent).as_posix(): file for file in inside}
    return found


def _missing(files: dict[str, Path]) -> Iterator[str]:
    for name, file in files.items():
        if ".." in Path(name).parts:
            yield f"{name}: stands above the recipe; move it beside the recipe to have it uploaded"
        elif not file.is_file():
            yield f"{name}: no such file: {file}"


def key_names(recipe: Recipe) -> list[str]:
    """Variables that the recipe's engines take their keys from."""
    texts = _texts(recipe.model_dump(mode="json"))
    return sorted({value for path, value in texts if path.rsplit(".", 1)[-1] == "api_key_env"})


def _keys(given: Given) -> Iterator[str]:
    """Keys that no step's pod would get, since its pipeline names those it asks the Secret for."""
    known = {*KEYS, *(key for pool in given.recipe.node_pools.values() for key in pool.keys)}
    for name in sorted(set(key_names(given.recipe)) - known):
        yield (
            f"api_key_env: no step gets {name}; add node_pools.STEP.keys: [{name}] for the step that calls "
            f"the engine, and the key to the Secret {KEYS_SECRET}"
        )


def _workspace(workspace: str) -> Iterator[str]:
    if storage.local_path(workspace) is not None:
        yield f"--workspace {workspace}: a folder ends with its pod; write s3://BUCKET/PREFIX"


def _length(given: Given) -> Iterator[str]:
    """The text travels in the arguments of each pod, of which Linux takes 128 KiB."""
    if len(pod_recipe(given)) > _LONGEST_TEXT:
        yield f"the recipe has more than {_LONGEST_TEXT:,} characters; --upload sends its address instead"


def _places(given: Given) -> Iterator[str]:
    for path, value in _texts(given.located.model_dump(mode="json")):
        key = path.rsplit(".", 1)[-1]
        if key == "tracking_uri":
            yield from _tracking(path, value)
        elif key.endswith("uri"):
            yield from _file(path, value)
        elif key == "base_url" and _is_this_machine(value):
            yield f"{path}: {value} is the pod itself inside a pod; write an address that the cluster reaches"


def _file(path: str, uri: str) -> Iterator[str]:
    if not uri.startswith(_PUBLIC) and storage.local_path(uri) is not None:
        yield f"{path}: {uri} {_LOCAL}"


def _absent(given: Given) -> Iterator[str]:
    """Files that are surely not in the store; one that does not answer here may answer in the cluster."""
    try:
        for path, uri in _texts(given.located.model_dump(mode="json")):
            asked = path.endswith("uri") and uri.startswith("s3://")
            if asked and not storage.exists(uri) and not storage.list_names(uri):
                yield f"{path}: no such file: {uri}"
    except StorageError:
        return


def _tracking(path: str, uri: str) -> Iterator[str]:
    if not uri.startswith("http"):
        yield f"{path}: {uri} is a file of the pod; write the MLflow server's http address"
    elif _is_this_machine(uri):
        yield f"{path}: {uri} is the pod itself inside a pod; write an address that the cluster reaches"


def _is_this_machine(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return ip.is_loopback or ip.is_unspecified


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a recipe with its key path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}.{index}")
    elif isinstance(value, str):
        yield path, value
