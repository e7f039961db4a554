"""Check what every step of a run reads: MLflow takes its user, the object store its keys."""

import base64
import os
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
ENGINES = ("GOOGLE_TRANSLATE_API_KEY", "HF_TOKEN", "OPENAI_API_KEY")
# Keys that may do little are still the right keys.
KNOWN = ("AccessDenied", "AllAccessDisabled")


def mlflow_answer(uri: str) -> str:
    """What MLflow says to a search by the user of runs, if any: a status, or why there is none."""
    headers = {}
    if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        token = base64.b64encode(f"{user}:{os.environ['MLFLOW_TRACKING_PASSWORD']}".encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    if workspace := os.environ.get("MLFLOW_WORKSPACE"):
        headers["X-MLFLOW-WORKSPACE"] = workspace
    parts = urlsplit(uri)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.netloc, timeout=20)
    try:
        connection.request("GET", parts.path.rstrip("/") + SEARCH, headers=headers)
        return str(connection.getresponse().status)
    except (OSError, HTTPException) as error:
        return str(error)


def store_answer() -> str:
    """What the object store says to the keys: "known", or the code of its refusal."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        boto3.client("s3").list_buckets()
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        return "known" if code in KNOWN else code
    except BotoCoreError as error:
        return str(error)
    return "known"


wrong = []
uri = os.environ["MLFLOW_TRACKING_URI"]
answer = mlflow_answer(uri)
print(f"MLflow at {uri}: {answer}")
if answer != "200":
    wrong.append(f"MLflow answered {answer}: check its address and the Secret tongues-pipeline-mlflow")
answer = store_answer()
print(f"object store at {os.environ.get('AWS_ENDPOINT_URL_S3', 'AWS')}: {answer}")
if answer != "known":
    wrong.append(f"the object store answered {answer}: check its address and the Secret tongues-pipeline-s3")
print(f"keys of engines: {', '.join(name for name in ENGINES if os.environ.get(name)) or 'none'}")
if wrong:
    raise SystemExit("; ".join(wrong))
