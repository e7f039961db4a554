"""Write MLflow's auth configuration, which takes the user database from a file only."""

import configparser
import os
from pathlib import Path

config = configparser.ConfigParser(interpolation=None)
config["mlflow"] = {
    "default_permission": os.environ["DEFAULT_PERMISSION"],
    # MLflow reads the file with interpolation on, where a percent sign is written twice.
    "database_uri": os.environ["AUTH_DATABASE_URI"].replace("%", "%%"),
    "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
}
with Path(os.environ["AUTH_CONFIG"]).open("w", encoding="utf-8") as file:
    config.write(file)
