"""What stands around a step in its pod: settings, keys by reference, its run, a metrics port."""

from kfp import dsl, kubernetes

from tongues.core.cluster_names import KEYS_SECRET, MLFLOW_SECRET, SETTINGS, STORE_SECRET
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
_STORE = {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


def surround(task: dsl.PipelineTask, pool: NodePoolSection | None) -> dsl.PipelineTask:
    """Give a step its settings; keys of engines go to the steps that call engines, and to no other.

    All of it is optional: a pod starts without the ConfigMap and the Secrets too.
    """
    kubernetes.use_config_map_as_env(task, SETTINGS, _SETTINGS, optional=True)
    kubernetes.use_secret_as_env(task, MLFLOW_SECRET, _MLFLOW, optional=True)
    kubernetes.use_secret_as_env(task, STORE_SECRET, _STORE, optional=True)
    if task.component_spec.name in KEY_STEPS:
        names = [*KEYS, *(pool.keys if pool else ())]
        kubernetes.use_secret_as_env(task, KEYS_SECRET, {name: name for name in names}, optional=True)
    kubernetes.use_field_path_as_env(task, "TONGUES_RUN_ID", "metadata.labels['pipeline/runid']")
    return task.set_env_variable("TONGUES_METRICS_PORT", str(METRICS_PORT))
