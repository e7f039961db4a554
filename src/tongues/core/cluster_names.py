"""Names of the objects that a run's pods read in their namespace; the chart and its readers agree on them."""

SETTINGS = "tongues-pipeline"
"""ConfigMap with addresses and the form of logs."""

MLFLOW_SECRET = f"{SETTINGS}-mlflow"
"""Secret with `username` and `password`."""

STORE_SECRET = f"{SETTINGS}-s3"
"""Secret with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`."""

KEYS_SECRET = f"{SETTINGS}-engines"
"""Secret with a key for each variable that a recipe names in `api_key_env`."""
