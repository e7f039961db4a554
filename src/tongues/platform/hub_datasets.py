"""Data sets of the Hugging Face hub, streamed row by row through `datasets`."""

import re
from collections.abc import Iterator
from typing import Any

from tongues.core.errors import StorageError

_ADDRESS = re.compile(r"hf://(?P<name>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?@(?P<revision>[^@/]+)")


def is_hub(uri: str) -> bool:
    """Whether a URI names a data set of the hub."""
    return uri.startswith("hf://")


def revision_of(uri: str) -> tuple[str, str]:
    """Name and revision of a data set: hf://ORG/NAME@REVISION.

    Raises:
        StorageError: the address is not of that form.
    """
    parts = _ADDRESS.fullmatch(uri)
    if parts is None or parts["config"]:
        raise StorageError("no hub address", where=uri, fix="write hf://ORG/NAME@REVISION")
    return parts["name"], parts["revision"]


def stream_rows(uri: str) -> Iterator[tuple[str, Any]]:
    """The rows of the split "train", in order, nothing kept on disk.

    Args:
        uri: hf://ORG/NAME/CONFIG@REVISION; the configuration may be left out.

    Yields:
        "NAME:row" with the row's columns.

    Raises:
        StorageError: `datasets` is not installed, or the hub does not give the data set.
    """
    parts = _ADDRESS.fullmatch(uri)
    if parts is None:
        raise StorageError("no hub address", where=uri, fix="write hf://ORG/NAME/CONFIG@REVISION")
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise StorageError(
            "the package datasets is not installed", where=uri, fix="install tongues[train]"
        ) from error
    name = parts["config"] or parts["name"].split("/")[1]
    try:
        rows = load_dataset(
            parts["name"], parts["config"], revision=parts["revision"], split="train", streaming=True
        )
        for number, row in enumerate(rows):
            yield f"{name}:{number}", row
    except Exception as error:  # the library and what is below it raise many kinds
        raise StorageError(
            f"the hub does not give it ({type(error).__name__}: {str(error)[:200]})",
            where=uri,
            fix="check name, configuration and revision, and HF_TOKEN for a gated set; or download the "
            "Parquet files and name their folder",
        ) from error
