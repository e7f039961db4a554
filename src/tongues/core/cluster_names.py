"""Names of the objects that a run finds on its cluster; the chart and its readers agree on them."""

SETTINGS = "tongues-pipeline"
"""ConfigMap with addresses and the form of logs."""

MLFLOW_SECRET = f"{SETTINGS}-mlflow"
"""Secret with `username` and `password`."""

STORE_SECRET = f"{SETTINGS}-s3"
"""Secret with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`."""

KEYS_SECRET = f"{SETTINGS}-engines"
"""Secret with a key for each variable that a recipe names in `api_key_env`."""

SIGNING_SECRET = f"{SETTINGS}-signing"
"""Secret with `signing.pem`, the private key that the register step signs with."""

VERIFICATION_SECRET = f"{SETTINGS}-verification"
"""Secret with `signing.pem.pub`, the public key by which steps want models to be signed."""

SIGNING_KEY_FILE = "/etc/tongues/signing/signing.pem"
"""Where a pod finds the private key, if it may sign."""

VERIFICATION_KEY_FILE = "/etc/tongues/verification/signing.pem.pub"
"""Where a pod finds the public key, if signatures are asked for."""

TRAINING_RUNTIME = "tongues-torch"
"""Runtime of Kubeflow Trainer that TrainJobs are made from, as the chart makes it (`trainer.name`)."""

RUN_LABEL = "pipeline/runid"
"""Label that Kubeflow Pipelines gives the pods of a run, and steps give what they start for it."""
