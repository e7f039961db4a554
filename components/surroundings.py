"""What stands around a step in its pod: settings, keys by reference, its run, a metrics port."""

from pathlib import PurePosixPath

from kfp import dsl, kubernetes

from tongues.core.cluster_names import (
    KEYS_SECRET,
    MLFLOW_SECRET,
    SETTINGS,
    SIGNING_KEY_FILE,
    SIGNING_SECRET,
    STORE_SECRET,
    VERIFICATION_KEY_FILE,
    VERIFICATION_SECRET,
)
from tongues.core.recipe import KEY_STEPS, KEYS, NodePoolSection

METRICS_PORT = 9464
_SETTINGS = {
    "mlflow-tracking-uri": "MLFLOW_TRACKING_URI",
    "mlflow-workspace": "MLFLOW_WORKSPACE",
    "s3-endpoint-url": "AWS_ENDPOINT_URL_S3",
    "s3-region": "AWS_DEFAULT_REGION",
    "log-format": "TONGUES_LOG_FORMAT",
    "pushgateway-url": "TONGUES_PUSHGATEWAY_URL",
}
_MLFLOW = {"username": "MLFLOW_TRACKING_USERNAME", "password": "MLFLOW_TRACKING_PASSWORD"}
_SIGNS = ("register",)
_VERIFIES = ("evaluate", "register", "promote", "serve")
_STORE = {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


def surround(task: dsl.PipelineTask, pool: NodePoolSection | None) -> dsl.PipelineTask:
    """Give a step its settings; keys go to the steps that use them, and to no other.

    All of it is optional: a pod starts without the ConfigMap and the Secrets too.
    """
    kubernetes.use_config_map_as_env(task, SETTINGS, _SETTINGS, optional=True)
    kubernetes.use_secret_as_env(task, MLFLOW_SECRET, _MLFLOW, optional=True)
    kubernetes.use_secret_as_env(task, STORE_SECRET, _STORE, optional=True)
    if task.component_spec.name in KEY_STEPS:
        names = [*KEYS, *(pool.keys if pool else ())]
        kubernetes.use_secret_as_env(task, KEYS_SECRET, {name: name for name in names}, optional=True)
    if task.component_spec.name in _SIGNS:
        _mount(task, SIGNING_SECRET, SIGNING_KEY_FILE)
    if task.component_spec.name in _VERIFIES:
        _mount(task, VERIFICATION_SECRET, VERIFICATION_KEY_FILE)
    kubernetes.use_field_path_as_env(task, "TONGUES_RUN_ID", "metadata.labels['pipeline/runid']")
    return task.set_env_variable("TONGUES_METRICS_PORT", str(METRICS_PORT))


def _mount(task: dsl.PipelineTask, secret: str, file: str) -> None:
    """A Secret as the folder of a file that is read where it is there."""
    kubernetes.use_secret_as_volume(task, secret, str(PurePosixPath(file).parent), optional=True)
