"""Model and tokenizer from a folder: safetensors only, no code from the folder, no network."""

import os
from pathlib import Path
from typing import Any, Literal

from tongues.core.errors import TuningError

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
MODEL_FILES = (*TOKENIZER_FILES, "config.json", "generation_config.json", "model.safetensors.index.json")

Precision = Literal["bf16", "fp32"]
Attention = Literal["sdpa", "eager"]

_SHORT_TOKENS = 192


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model or adapter folder.

    Raises:
        TuningError: there is none that works without code from the folder.
    """
    quiet_libraries()
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise TuningError(f"no usable tokenizer ({_first_line(error)})", where=str(folder)) from error


def load_model(folder: Path, precision: Precision, *, attention: Attention = "sdpa") -> Any:
    """A causal language model on the CPU.

    Args:
        folder: full weights in safetensors.
        precision: what the weights are held in.
        attention: transformers' name of the kernel.

    Raises:
        TuningError: unknown architecture, no safetensors, or broken files.
    """
    quiet_libraries()
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=attention,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise TuningError(
            f"cannot load the model ({_first_line(error)})",
            where=str(folder),
            fix="fetch the base model again; only safetensors of architectures transformers ships are read",
        ) from error


def resolve_precision(wanted: Literal["auto", "bf16", "fp32"]) -> Precision:
    """Take bf16 where the device multiplies in it natively, else fp32, unless one is asked for."""
    if wanted != "auto":
        return wanted
    return "bf16" if computes_in_bf16() else "fp32"


def choose_attention(longest_tokens: int) -> Attention:
    """Plain matrix products for short rows on a CPU, else the fused kernel.

    The fused kernel's backward pass is slow on a CPU: on rows of 60 tokens it takes a quarter of the
    step. Plain products keep tokens x tokens scores in memory, so long rows are not given to them.
    """
    import torch

    return "eager" if not torch.cuda.is_available() and longest_tokens <= _SHORT_TOKENS else "sdpa"


def computes_in_bf16() -> bool:
    """Whether this machine's GPU, or else its CPU, has bf16 matrix instructions."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") or capabilities.get("bf16"))


def quiet_libraries() -> None:
    """Keep libraries from drawing bars and from reporting use to anybody.

    Worker threads of OpenMP sleep between two operations instead of spinning: where cores are shared,
    or a pod has a CPU limit, spinning threads take the time the working ones need. It counts only if
    it is set before torch is first imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
