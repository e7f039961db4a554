"""The weights inside a finished folder: where they lie, and the digest that scores and registry name."""

from pathlib import Path

from tongues.core.digests import digest_value
from tongues.stages.workspace import RECIPE_NAME, Output
from tongues.tuning.model_card import CARD_NAME
from tongues.tuning.stage_runs import ADAPTER, MERGED

__all__ = [
    "ADAPTER",
    "MERGED",
    "has_adapter",
    "model_of_weights",
    "weights_folder",
    "weights_sha256",
    "weights_uri",
]

_NOT_WEIGHTS = {RECIPE_NAME, CARD_NAME}


def weights_folder(model: Output) -> Path:
    """What transformers and vLLM load: the merged weights of a tuned model, a base model as it is."""
    return model.folder / MERGED if _is_tuned(model) else model.folder


def weights_uri(model: Output) -> str:
    """Where that folder is published."""
    return f"{model.uri.rstrip('/')}/{MERGED}" if _is_tuned(model) else model.uri


def weights_sha256(model: Output) -> str:
    """Digest of that folder's files but its card, from the manifest: nothing is hashed again."""
    files = model.manifest.files
    if _is_tuned(model):
        files = {n.removeprefix(f"{MERGED}/"): s for n, s in files.items() if n.startswith(f"{MERGED}/")}
    return digest_value({name: sha for name, sha in files.items() if name not in _NOT_WEIGHTS})


def has_adapter(model: Output) -> bool:
    """Whether it was tuned beside frozen weights, and not as a whole."""
    return (model.folder / ADAPTER).is_dir()


def model_of_weights(uri: str) -> str:
    """The finished folder that a weights URI of the registry lies in."""
    return uri.rstrip("/").removesuffix(f"/{MERGED}")


def _is_tuned(model: Output) -> bool:
    return model.manifest.stage == "finetune"
