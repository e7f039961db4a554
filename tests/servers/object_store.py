"""An S3 server on the loopback: moto, spoken to over HTTP as pods speak to theirs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from tongues.platform import storage

_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True)
class ObjectStore:
    """A running server with one empty bucket.

    Args:
        server: to stop it, and to start another on its port.
        environment: what a process needs to use it.
        client: to look into it without our own code.
    """

    server: ThreadedMotoServer
    environment: dict[str, str]
    client: Any


@contextmanager
def running_store(bucket: str) -> Iterator[ObjectStore]:
    """A server on a free port; moto's content outlives its servers, so the bucket is emptied first."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    session = boto3.Session("test", "test", region_name="us-east-1")
    client = session.client("s3", endpoint_url=url)
    with suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=bucket)
    for item in client.list_objects_v2(Bucket=bucket).get("Contents", []):
        client.delete_object(Bucket=bucket, Key=item["Key"])
    storage._s3.cache_clear()
    try:
        yield ObjectStore(server, _KEYS | {"AWS_ENDPOINT_URL_S3": url}, client)
    finally:
        server.stop()
        storage._s3.cache_clear()
