"""What every trainer is told, whatever its loss."""

from pathlib import Path
from typing import Any

from tongues.core.recipe import TuningSection
from tongues.tuning.memory import Needs
from tongues.tuning.models import Precision


def trainer_arguments(
    section: TuningSection,
    folder: Path,
    steps: int,
    precision: Precision,
    seed: int,
    memory: Needs | None = None,
) -> dict[str, Any]:
    """Keyword arguments of TRL's configurations.

    Args:
        section: sizes and rates.
        folder: takes the checkpoints.
        steps: optimiser steps.
        precision: what is computed in.
        seed: of dropout.
        memory: whether weights are divided and activations computed again; None for neither.
    """
    import torch

    return {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": section.batch_rows,
        "gradient_accumulation_steps": section.accumulation_steps,
        "learning_rate": section.learning_rate,
        "lr_scheduler_type": section.scheduler,
        "warmup_steps": round(section.warmup_share * steps),
        "weight_decay": section.weight_decay,
        "seed": seed,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": precision == "bf16",
        "train_sampling_strategy": "sequential",  # the order is ours
        "max_length": None,
        "gradient_checkpointing": bool(memory and memory.recomputes),
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # else a NaN is shown as the last good value
        "save_steps": section.checkpoint_steps,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "ddp_find_unused_parameters": False,
    }


def on_one_device(arguments: Any) -> Any:
    """Keep transformers from spreading one process over all GPUs it sees (its DataParallel)."""
    if arguments.device.type == "cuda":
        arguments._n_gpu = 1
    return arguments
