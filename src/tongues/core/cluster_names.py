"""Names of the objects that a run finds on its cluster; the chart and its readers agree on them."""

SETTINGS = "tongues-pipeline"
"""ConfigMap with addresses and the form of logs."""

MLFLOW_SECRET = f"{SETTINGS}-mlflow"
"""Secret with `username` and `password`."""

STORE_SECRET = f"{SETTINGS}-s3"
"""Secret with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`."""

KEYS_SECRET = f"{SETTINGS}-engines"
"""Secret with a key for each variable that a recipe names in `api_key_env`."""

TRAINING_RUNTIME = "tongues-torch"
"""Runtime of Kubeflow Trainer that TrainJobs are made from, as the chart makes it (`trainer.name`)."""

RUN_LABEL = "pipeline/runid"
"""Label that Kubeflow Pipelines gives the pods of a run, and steps give what they start for it."""
