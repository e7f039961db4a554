"""Finetune on several nodes: a TrainJob does the work, and this step sees to it that it is done."""

import os
from typing import Any

from tongues.core.cluster_names import RUN_LABEL
from tongues.core.errors import KubernetesError, PreflightError, RecipeError, TuningError
from tongues.core.images import CUDA
from tongues.core.log_lines import run_id
from tongues.core.progress import Say
from tongues.core.recipe import Recipe
from tongues.platform import storage
from tongues.platform.kubernetes_api import KubernetesApi, in_cluster, namespace_here
from tongues.platform.train_jobs import TrainJobs
from tongues.stages.finetune import finetune, identity
from tongues.stages.given import Given, kept_recipe, recipe_uri
from tongues.stages.workspace import Output, Workspace
from tongues.tuning.trainjob import Surroundings, surroundings_of, train_job

_POD_ENV = "KFP_POD_NAME"
"""KFP tells each step the name of its pod."""


def finetune_where_it_belongs(given: Given, workspace: Workspace, dataset: Output, base: Output) -> Output:
    """Finetune in this process, or as a TrainJob where a step on a cluster has several nodes for it.

    On a machine of one's own the node pools count for nothing, as they do for every step.
    """
    pool = given.recipe.node_pools.get("finetune")
    if pool is None or pool.nodes == 1 or not (in_cluster() and _POD_ENV in os.environ):
        return finetune(given, workspace, dataset, base)
    return finetune_on_nodes(given, workspace, dataset, base)


def finetune_on_nodes(given: Given, workspace: Workspace, dataset: Output, base: Output) -> Output:
    """Have a TrainJob do the work, unless it is done; one that is under way is followed.

    Raises:
        PreflightError: the nodes could not read the workspace.
        KubernetesError: the cluster refused, or was away for too long.
        TuningError: the job failed; with the last lines of its pods.
    """
    folder, done = workspace.find("finetune", **identity(given, dataset, base))
    if done:
        return done
    _require_store(workspace.uri)
    api = KubernetesApi.here(workspace.say)
    place = _own_surroundings(api)
    kept_recipe(given.recipe, workspace.uri)
    job = _job(given, workspace.uri, (dataset.uri, base.uri), place, key=folder.name)
    TrainJobs(api, place.namespace, workspace.say).run(job)
    return _made(given, workspace, dataset, base)


def _made(given: Given, workspace: Workspace, dataset: Output, base: Output) -> Output:
    """What the job has left in the object store."""
    folder, done = workspace.find("finetune", **identity(given, dataset, base))
    if done is None:
        fix = "look at the log of its pods: kubectl logs -l jobset.sigs.k8s.io/jobset-name=" + _name(
            folder.name
        )
        raise TuningError(
            "the TrainJob is complete and left no output", where=workspace.uri_of(folder), fix=fix
        )
    return done


def free_nodes(recipe: Recipe, say: Say) -> list[str]:
    """Delete what this pipeline run still has on other nodes: names of its TrainJobs that had not ended.

    The last step of a run calls it, whatever became of the others. A recipe that spreads nothing has no such
    jobs, and its run may have no right to look for them.

    Raises:
        KubernetesError: the cluster refused, or was away for too long; they hold their nodes.
    """
    pool = recipe.node_pools.get("finetune")
    if pool is None or pool.nodes == 1 or not (run_id() and _POD_ENV in os.environ):
        return []
    return TrainJobs(KubernetesApi.here(say), namespace_here(), say).delete_of_run(run_id())


def free_nodes_of(run: str, namespace: str, say: Say) -> list[str]:
    """Delete what a pipeline run has on other nodes, from outside, with kubectl's access.

    Args:
        run: its identifier.
        namespace: of its pods.
        say: takes lines for the user.

    Raises:
        KubernetesError: no access, refused or away; the fix is the command that does it.
    """
    try:
        return TrainJobs(KubernetesApi.here(say, patience_s=0.0), namespace, say).delete_of_run(run)
    except KubernetesError as error:
        fix = f"kubectl delete trainjob -n {namespace} -l {RUN_LABEL}={run}"
        raise KubernetesError(error.what, where=error.where, fix=fix) from error


def rendered(given: Given, workspace_uri: str, *, namespace: str) -> dict[str, Any]:
    """The TrainJob of a recipe whose data is not made yet: to look at, or to try on a cluster without effect.

    Args:
        given: the recipe.
        workspace_uri: what its command names.
        namespace: where it would stand.

    Raises:
        RecipeError: the recipe tunes in one pod, or is of several models.
        PreflightError: the nodes could not read the workspace.
    """
    given.require_one_model()
    _require_store(workspace_uri)
    place = Surroundings(namespace=namespace, image=CUDA)
    inputs = (storage.join(workspace_uri, "assemble", "KEY"), storage.join(workspace_uri, "base", "KEY"))
    return _job(given, workspace_uri, inputs, place, key=given.recipe.digest()[:20])


def _job(
    given: Given, workspace_uri: str, inputs: tuple[str, str], place: Surroundings, *, key: str
) -> dict[str, Any]:
    pool = given.recipe.node_pools.get("finetune")
    if pool is None or pool.nodes == 1:
        problem = "node_pools.finetune.nodes is 1, so the step's own pod trains and there is no TrainJob"
        raise RecipeError([problem], where=given.origin, fix="set it to 2 or more")
    dataset, base = inputs
    command = ["tongues", "finetune", recipe_uri(given.recipe, workspace_uri), "--workspace", workspace_uri]
    command += ["--dataset", dataset, "--base", base]
    grace_s = given.recipe.tuning.safety.grace_s
    return train_job(_name(key), command, pool, place, grace_s=grace_s)


def _name(key: str) -> str:
    """The same for the same work, so that a job is found again."""
    return f"tongues-finetune-{key}"


def _require_store(workspace_uri: str) -> None:
    if storage.local_path(workspace_uri) is not None:
        problem = f"workspace {workspace_uri}: other nodes cannot read this folder; name an s3:// prefix"
        raise PreflightError([problem])


def _own_surroundings(api: KubernetesApi) -> Surroundings:
    name, namespace = os.environ[_POD_ENV], namespace_here()
    pod = api.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    if pod is None:
        fix = f"check that {_POD_ENV} is the pod's name"
        raise KubernetesError("this step's own pod is not there", where=f"{namespace}/{name}", fix=fix)
    return surroundings_of(pod)
