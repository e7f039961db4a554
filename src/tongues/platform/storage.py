"""Files and folders at a URI: ``s3://`` through boto3, ``file://`` and plain paths.

Between steps everything lives at URIs; inside a step it lives on local disk. A folder is
published file by file with its manifest last, so a reader never takes half a folder for whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tongues.core.digests import digest_file
from tongues.core.errors import StorageError
from tongues.core.manifest import MANIFEST_NAME, SIGNATURE_NAME, Manifest, parse_manifest, write_atomically

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

_FIX_S3 = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL_S3, and that the bucket exists"


def local_path(uri: str) -> Path | None:
    """The local path a URI names; None where it is remote.

    Raises:
        StorageError: the scheme is not one this platform reads.
    """
    scheme = uri.split("://", 1)[0] if "://" in uri else ""
    if scheme in ("", "file"):
        return Path(unquote(urlsplit(uri).path)) if scheme else Path(uri)
    if scheme != "s3":
        raise StorageError(
            f"cannot read scheme {scheme!r}", where=uri, fix="use s3://, file:// or a plain path"
        )
    return None


def join(uri: str, *parts: str) -> str:
    """Append path parts to a URI."""
    return "/".join([uri.rstrip("/"), *parts])


def read_bytes(uri: str) -> bytes | None:
    """A file's content; None where there is no such file.

    Raises:
        StorageError: it is there and cannot be read, or the store does not answer.
    """
    path = local_path(uri)
    if path is None:
        return _s3_read(uri)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot be read ({error.strerror})", where=str(path)) from error


def write_bytes(uri: str, content: bytes) -> None:
    """Write a file, all or nothing.

    Raises:
        StorageError: it cannot be written, or the store does not answer.
    """
    path = local_path(uri)
    if path is None:
        _s3_call(uri, "put_object", Body=content)
        return
    try:
        write_atomically(path, content)
    except OSError as error:
        raise StorageError(f"cannot be written ({error.strerror})", where=str(path)) from error


def fetch_file(uri: str, into: Path) -> Path:
    """A local path that holds the file: itself if it is local, else a download.

    Raises:
        StorageError: there is no such file.
    """
    path = local_path(uri)
    if path is not None:
        if not path.is_file():
            raise StorageError("no such file", where=str(path), fix="check the path in the recipe")
        return path
    into.parent.mkdir(parents=True, exist_ok=True)
    _s3_download(uri, into)
    return into


def fetch_if_there(uri: str, into: Path) -> Path | None:
    """Like `fetch_file`, but None where there is no such file, as when another process removed it.

    Raises:
        StorageError: it is there and cannot be fetched, or the store does not answer.
    """
    path = local_path(uri)
    if path is not None and not path.is_file():
        return None
    try:
        return fetch_file(uri, into)
    except StorageError as error:
        if _is_missing(error):
            return None
        raise


def remove_file(uri: str) -> None:
    """Remove a file; nothing to do where it is gone already.

    Raises:
        StorageError: it cannot be removed, or the store does not answer.
    """
    path = local_path(uri)
    if path is None:
        _s3_call(uri, "delete_object")
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot be removed ({error.strerror})", where=str(path)) from error


def exists(uri: str) -> bool:
    """Whether there is a file at a URI; a remote one is asked for, not fetched."""
    path = local_path(uri)
    return path.is_file() if path is not None else _s3_exists(uri)


def digest_at(uri: str) -> str | None:
    """The sha256 of a file's bytes, wherever it is, 1 MiB in memory at a time; None where there is none.

    Raises:
        StorageError: it is there and cannot be read, or the store does not answer.
    """
    path = local_path(uri)
    if path is not None:
        return digest_file(path) if path.is_file() else None
    try:
        body = _s3_call(uri, "get_object")["Body"]
    except StorageError as error:
        if _is_missing(error):
            return None
        raise
    sha = hashlib.sha256()
    with _s3_refusals(uri, "the download"):
        for block in body.iter_chunks(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def publish_file(path: Path, uri: str) -> None:
    """Upload a local file, or copy it where the URI is local."""
    if local_path(uri) is None:
        _s3_upload(path, uri)
    else:
        write_bytes(uri, path.read_bytes())


def list_names(uri: str) -> list[str]:
    """Names of the files directly or deeply below a folder, relative to it, sorted."""
    path = local_path(uri)
    if path is not None:
        return sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    bucket, prefix = _s3_address(join(uri, ""))
    with _s3_refusals(uri, "the listing"):
        pages = _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(item["Key"][len(prefix) :] for page in pages for item in page.get("Contents", []))


def read_manifest_at(uri: str) -> Manifest | None:
    """The manifest of the folder at a URI; None where the folder is not finished."""
    content = read_bytes(join(uri, MANIFEST_NAME))
    return None if content is None else parse_manifest(content, where=join(uri, MANIFEST_NAME))


def fetch_folder(uri: str, into: Path) -> Path:
    """A local folder that holds all a finished folder's manifest names, verified by digest.

    Files that are already there with the right digest are not fetched again.

    Raises:
        StorageError: the folder is not finished, or a fetched file's digest differs.
    """
    path = local_path(uri)
    manifest = read_manifest_at(uri)
    if manifest is None:
        raise StorageError("no finished output here", where=uri, fix="run the stage that makes it")
    if path is not None:
        return path
    for name, sha256 in manifest.files.items():
        target = into / name
        if not (target.is_file() and digest_file(target) == sha256):
            fetch_file(join(uri, name), target)
            _verify(target, sha256, join(uri, name))
    if fetch_if_there(join(uri, SIGNATURE_NAME), into / SIGNATURE_NAME) is None:
        (into / SIGNATURE_NAME).unlink(missing_ok=True)
    write_atomically(into / MANIFEST_NAME, read_bytes(join(uri, MANIFEST_NAME)) or b"")
    return into


def fetch_files(uri: str, files: Mapping[str, str], into: Path) -> Path:
    """A local folder that holds some of a finished folder's files, each verified by digest.

    Args:
        uri: the folder.
        files: relative path to sha256, as its manifest says.
        into: where downloads go; a local folder is verified where it is.

    Raises:
        StorageError: a file is missing, or its digest differs.
    """
    path = local_path(uri)
    root = into if path is None else path
    for name, sha256 in files.items():
        target = root / name
        if path is None and not (target.is_file() and digest_file(target) == sha256):
            fetch_file(join(uri, name), target)
        _verify(fetch_file(str(target), target), sha256, join(uri, name), keep=path is not None)
    return root


def publish_folder(folder: Path, uri: str) -> None:
    """Upload a finished local folder, manifest last; nothing to do where it already stands there."""
    target = local_path(uri)
    if target is not None and target.resolve() == folder.resolve():
        return
    names = [n for n in list_names(str(folder)) if n != MANIFEST_NAME] + [MANIFEST_NAME]
    for name in names:
        if target is None:
            _s3_upload(folder / name, join(uri, name))
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target / name)


def _verify(path: Path, sha256: str, uri: str, *, keep: bool = False) -> None:
    actual = digest_file(path)
    if actual != sha256:
        if not keep:
            path.unlink()
        raise StorageError(
            f"changed in the store: sha256 {actual[:12]}, its manifest says {sha256[:12]}", where=uri
        )


def _s3_address(uri: str) -> tuple[str, str]:
    """Bucket and key; a key may hold ``#`` and ``?``, which mean nothing in it."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    if not bucket:
        raise StorageError("no bucket", where=uri, fix="write s3://BUCKET/KEY")
    return bucket, key.lstrip("/")


@cache
def _s3() -> S3Client:
    import boto3
    from botocore.config import Config

    config = Config(retries={"max_attempts": 6, "mode": "adaptive"}, connect_timeout=10, read_timeout=60)
    return boto3.client("s3", endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3"), config=config)


@contextmanager
def _s3_refusals(uri: str, operation: str) -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise StorageError(
            f"the object store refused {operation} ({error})", where=uri, fix=_FIX_S3
        ) from error


def _s3_call(uri: str, operation: str, **arguments: Any) -> Any:
    bucket, key = _s3_address(uri)
    with _s3_refusals(uri, operation):
        return getattr(_s3(), operation)(Bucket=bucket, Key=key, **arguments)


def _s3_read(uri: str) -> bytes | None:
    try:
        content: bytes = _s3_call(uri, "get_object")["Body"].read()
    except StorageError as error:
        if _is_missing(error):
            return None
        raise
    return content


def _s3_exists(uri: str) -> bool:
    try:
        _s3_call(uri, "head_object")
    except StorageError as error:
        if _is_missing(error):
            return False
        raise
    return True


def _is_missing(error: StorageError) -> bool:
    code = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")
    return code in ("NoSuchKey", "404")


def _s3_download(uri: str, into: Path) -> None:
    partial = into.with_name(f".{into.name}.partial")
    _s3_call(uri, "download_file", Filename=str(partial))
    partial.replace(into)


def _s3_upload(path: Path, uri: str) -> None:
    bucket, key = _s3_address(uri)
    with _s3_refusals(uri, "the upload"):
        _s3().upload_file(str(path), bucket, key)
