"""Where a translation model's files come from: a local folder, an object store, or the model hub.

Weights are safetensors only and no code is taken from a model: pickled weights and models with
code of their own are refused, for both would run a stranger's program.
"""

import json
import re
from fnmatch import fnmatch
from pathlib import Path

from tongues.core.digests import digest_file, digest_value
from tongues.core.errors import EngineUnavailableError
from tongues.platform import storage

_HUB = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[^@]+)")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.msgpack", "*.h5")
_WEIGHTS = "*.safetensors"
_TEXTS = ("*.json", "*.txt", "*.model", "*.vocab")
_WHERE = "translation.engine.uri"


def file_names(uri: str) -> list[str]:
    """Names of a model's files.

    Args:
        uri: as in the recipe.

    Raises:
        EngineUnavailableError: there is no such model, or the scheme is unknown.
        StorageError: the object store does not answer.
    """
    if hub := _HUB.fullmatch(uri):
        return _hub_names(uri, hub["repository"], hub["revision"])
    if uri.startswith("hf://"):
        raise EngineUnavailableError(
            "the hub address lacks its revision", where=uri, fix="write hf://ORG/NAME@REVISION"
        )
    path = storage.local_path(uri)
    if path is not None and not path.is_dir():
        raise EngineUnavailableError("no such folder", where=uri, fix=f"check {_WHERE}")
    return [name for name in storage.list_names(uri) if "/" not in name]


def model_problems(uri: str, names: list[str]) -> list[str]:
    """What keeps files from being a model that is safe to load; empty if nothing does."""
    problems = [f"{uri}: {name} is missing" for name in ("config.json",) if name not in names]
    if any(fnmatch(name, _WEIGHTS) for name in names):
        return problems
    pickles = [name for name in names if any(fnmatch(name, pattern) for pattern in _PICKLES)]
    if not pickles:
        return [*problems, f"{uri}: no *.safetensors weights. Fix: check {_WHERE}"]
    return [
        *problems,
        f"{uri}: the weights are pickled ({', '.join(pickles[:3])}), which can run code. "
        "Fix: take a revision with safetensors weights, or convert them once with save_pretrained",
    ]


def fetch_model(uri: str, into: Path, *, weights: bool) -> Path:
    """A local folder with the model's files: itself where it is local.

    Args:
        uri: as in the recipe.
        into: takes the files of an object store; a hub keeps its own cache.
        weights: whether the weights are wanted too, or only config and tokenizer.

    Raises:
        EngineUnavailableError: it cannot be had, or is not safe to load.
        StorageError: the object store does not answer.
    """
    names = file_names(uri)
    if problems := model_problems(uri, names):
        raise EngineUnavailableError("; ".join(problems), where=_WHERE)
    patterns = (*_TEXTS, _WEIGHTS) if weights else _TEXTS
    if hub := _HUB.fullmatch(uri):
        folder = _hub_folder(uri, hub["repository"], hub["revision"], patterns)
    elif (path := storage.local_path(uri)) is not None:
        folder = path
    else:
        folder = into
        for name in names:
            if any(fnmatch(name, pattern) for pattern in patterns):
                storage.fetch_file(storage.join(uri, name), into / name)
    _refuse_code(uri, folder)
    return folder


def model_version(uri: str, folder: Path) -> str:
    """Name and version of a model: the hub's revision, or the digest of all files that are read.

    Args:
        uri: as in the recipe.
        folder: with the weights.
    """
    if hub := _HUB.fullmatch(uri):
        return f"{hub['repository']}@{hub['revision']}"
    patterns = (*_TEXTS, _WEIGHTS)
    files = sorted(p for p in folder.iterdir() if any(fnmatch(p.name, pattern) for pattern in patterns))
    digest = digest_value([[path.name, digest_file(path)] for path in files])
    return f"{uri.rstrip('/').rsplit('/', 1)[-1]}@{digest[:16]}"


def _refuse_code(uri: str, folder: Path) -> None:
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        try:
            brings_code = path.is_file() and "auto_map" in json.loads(path.read_bytes())
        except ValueError as error:
            raise EngineUnavailableError(f"{name} is no JSON ({error})", where=uri) from error
        if brings_code:
            raise EngineUnavailableError(
                f"{name} names code of its own (auto_map)", where=uri, fix="take a model without remote code"
            )


def _hub_names(uri: str, repository: str, revision: str) -> list[str]:
    from httpx2 import HTTPError  # what the hub's client speaks HTTP with
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    try:
        found = HfApi().model_info(repository, revision=revision, timeout=20)
    except (HTTPError, HFValidationError, OSError) as error:
        raise _not_given(uri, error) from error
    return sorted(file.rfilename for file in found.siblings or [] if "/" not in file.rfilename)


def _hub_folder(uri: str, repository: str, revision: str, patterns: tuple[str, ...]) -> Path:
    from httpx2 import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(patterns)))
    except (HTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise _not_given(uri, error) from error


def _not_given(uri: str, error: Exception) -> EngineUnavailableError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return EngineUnavailableError(
        f"the hub does not give it ({first})", where=uri, fix="check name, revision, network and HF_TOKEN"
    )
