"""How a pipeline's steps run: limits, tries, and the recipe's node pools on KFP tasks."""

from collections.abc import Mapping

from kfp import dsl, kubernetes

from components.surroundings import surround
from tongues.core.recipe import NodePoolSection, StepName
from tongues.core.recipe.cluster import SHARED_MEMORY

Pools = Mapping[StepName, NodePoolSection]
"""Step to the nodes it runs on, as the recipe's `node_pools` says."""

_SCRATCH = "/tmp/.cache"  # noqa: S108 (the home of the images is /tmp, and work in progress lies below)
_BACK_OFF = {"backoff_duration": "30s", "backoff_factor": 2.0, "backoff_max_duration": "600s"}
_LONGEST_S = 7 * 24 * 3600
"""Of one try, where the pool does not say: longer than any step should take, so that none hangs for ever."""


def light(task: dsl.PipelineTask, pool: NodePoolSection | None = None) -> dsl.PipelineTask:
    """Steps that fit on any node; a crash is worth another try, since finished work is found again."""
    _bounded(task, cpu=("1", "4"), memory=("2G", "8G"))
    return uncached(retried(task, 2), pool)


def resumed(task: dsl.PipelineTask, pool: NodePoolSection | None = None) -> dsl.PipelineTask:
    """Training goes on from its last checkpoint, so a lost node or an eviction costs minutes, not the run."""
    return uncached(retried(task, 3), pool)


def retried(task: dsl.PipelineTask, tries: int) -> dsl.PipelineTask:
    """Further tries, each after a longer wait: half a minute, one, two, at most ten."""
    return task.set_retry(tries, **_BACK_OFF)


def uncached(task: dsl.PipelineTask, pool: NodePoolSection | None = None) -> dsl.PipelineTask:
    """KFP's cache looks at parameter values only and is blind to what stands behind a URI.

    The stages find finished work by digest themselves, so nothing is done twice without it.
    """
    if pool is None or pool.nodes == 1:
        kubernetes.set_timeout(task, _LONGEST_S)
    return place(surround(task.set_caching_options(False), pool), pool)


def place(task: dsl.PipelineTask, pool: NodePoolSection | None) -> dsl.PipelineTask:
    """Put a task on a node pool.

    Args:
        task: with the pipeline's own settings.
        pool: what the recipe says of the step; None leaves the task as it is.
    """
    if pool is None:
        return task
    if pool.retries is not None:
        retried(task, pool.retries)
    if pool.nodes > 1:
        # A TrainJob gets the pool; the step asks for it and waits, in a queue for as long as it takes.
        return _bounded(task, cpu=("100m", "1"), memory=("1G", "4G"))
    _resources(task, pool)
    _nodes(task, pool)
    return task


def _bounded(task: dsl.PipelineTask, *, cpu: tuple[str, str], memory: tuple[str, str]) -> dsl.PipelineTask:
    """Request and limit of each: without a request Kubernetes sets the whole limit aside for every pod."""
    task.set_cpu_request(cpu[0]).set_cpu_limit(cpu[1])
    return task.set_memory_request(memory[0]).set_memory_limit(memory[1])


def _resources(task: dsl.PipelineTask, pool: NodePoolSection) -> None:
    if pool.gpus:
        task.set_accelerator_type(pool.accelerator).set_accelerator_limit(pool.gpus)
    if pool.cpu:
        task.set_cpu_request(pool.cpu).set_cpu_limit(pool.cpu)
    if pool.memory:
        task.set_memory_request(pool.memory).set_memory_limit(pool.memory)
    if pool.shared_memory:
        kubernetes.empty_dir_mount(task, "shared-memory", SHARED_MEMORY, "Memory", pool.shared_memory)
    if pool.ephemeral_storage:
        kubernetes.empty_dir_mount(task, "scratch", _SCRATCH, size_limit=pool.ephemeral_storage)
    if pool.timeout_s:
        kubernetes.set_timeout(task, pool.timeout_s)


def _nodes(task: dsl.PipelineTask, pool: NodePoolSection) -> None:
    for key, value in sorted(pool.node_selector.items()):
        kubernetes.add_node_selector(task, key, value)
    for one in pool.tolerations:
        kubernetes.add_toleration(task, one.key, one.operator, one.value, one.effect)
