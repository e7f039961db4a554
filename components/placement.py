"""Where a pipeline's steps run: the recipe's node pools on KFP tasks."""

from kfp import dsl, kubernetes

from tongues.core.recipe import NodePoolSection

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 (the device, not a place for files)


def place(task: dsl.PipelineTask, pool: NodePoolSection | None) -> dsl.PipelineTask:
    """Put a task on a node pool.

    Args:
        task: with the pipeline's own settings.
        pool: what the recipe says of the step; None leaves the task as it is.
    """
    if pool is not None:
        _resources(task, pool)
        _nodes(task, pool)
    return task


def _resources(task: dsl.PipelineTask, pool: NodePoolSection) -> None:
    if pool.gpus:
        task.set_accelerator_type(pool.accelerator).set_accelerator_limit(pool.gpus)
    if pool.cpu:
        task.set_cpu_limit(pool.cpu)
    if pool.memory:
        task.set_memory_limit(pool.memory)
    if pool.shared_memory:
        kubernetes.empty_dir_mount(task, "shared-memory", _SHARED_MEMORY, "Memory", pool.shared_memory)
    if pool.timeout_s:
        kubernetes.set_timeout(task, pool.timeout_s)
    if pool.retries is not None:
        task.set_retry(pool.retries, backoff_duration="30s")


def _nodes(task: dsl.PipelineTask, pool: NodePoolSection) -> None:
    for key, value in sorted(pool.node_selector.items()):
        kubernetes.add_node_selector(task, key, value)
    for one in pool.tolerations:
        kubernetes.add_toleration(task, one.key, one.operator, one.value, one.effect)
