"""Data sets to where others find them: a folder of an object store, or the Hugging Face Hub.

Nothing is pushed unless a command names the place. On the hub a new data set is private; what is private or
public already stays so.
"""

from pathlib import Path

from tongues.core.errors import StorageError
from tongues.platform import storage

_HUB = "hf://"
_FIX_HUB = "log in (HF_TOKEN, a token that may write) and name hf://ORG/NAME"


def push(folder: Path, uri: str) -> str:
    """Copy a folder to a place that holds nothing yet, or commit it to the hub as one version.

    Args:
        folder: its files, of any depth.
        uri: ``s3://BUCKET/PREFIX``, ``file://`` or a path, new or empty; or ``hf://ORG/NAME``.

    Returns:
        Where it can be found: the URI, or the address of the hub's commit.

    Raises:
        StorageError: the place holds something, or refuses.
    """
    return _push_to_hub(folder, uri.removeprefix(_HUB)) if uri.startswith(_HUB) else _copy(folder, uri)


def _copy(folder: Path, uri: str) -> str:
    if there := storage.list_names(uri):
        raise StorageError(
            f"holds {len(there)} files, {there[0]} among them", where=uri, fix="name a new prefix"
        )
    for name in storage.list_names(str(folder)):
        storage.publish_file(folder / name, storage.join(uri, name))
    return uri


def _push_to_hub(folder: Path, name: str) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api, where = HfApi(), _HUB + name
    try:
        api.create_repo(name, repo_type="dataset", private=True, exist_ok=True)
        commit = api.upload_folder(
            repo_id=name, folder_path=folder, repo_type="dataset", commit_message="Data set and card"
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise StorageError(f"the hub refused: {_first_line(error)}", where=where, fix=_FIX_HUB) from error
    return str(commit.commit_url)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
