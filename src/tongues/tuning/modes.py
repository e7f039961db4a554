"""What learns: an adapter beside frozen weights, in one of LoRA's variants, or all weights."""

import importlib.util
from pathlib import Path
from typing import Any

from tongues.core.recipe import LoraSection, TuningSection
from tongues.tuning.models import Attention, Precision, load_model, quiet_libraries
from tongues.tuning.ranks import Ranks


def mode_problems(section: TuningSection, ranks: Ranks) -> list[str]:
    """Whether this machine and these processes can train in the mode the recipe asks for."""
    import torch

    problems = []
    if section.preference is not None and ranks.count > 1:
        problems.append(
            "tuning.preference is trained in one process; write tuning.hardware.processes: 1, or make the "
            "preference stage a recipe of its own"
        )
    if section.quantise == "none":
        return problems
    if section.hardware.sharding == "full":
        problems.append("tuning.quantise is nf4, and 4-bit weights cannot be divided; write sharding: none")
    if not torch.cuda.is_available():
        problems.append(
            "tuning.quantise is nf4, which needs an NVIDIA GPU, and there is none here; write none, or train "
            "on a GPU node"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        problems.append(
            "tuning.quantise is nf4, which needs the package bitsandbytes; install it, or write none"
        )
    return problems


def trainable_model(
    base: Path,
    section: TuningSection,
    precision: Precision,
    attention: Attention,
    *,
    adapter: Path | None,
    seed: int,
) -> Any:
    """The model with just those weights set to learn that the mode wants.

    Where all weights learn, they are held in fp32 whatever the precision: an update is mostly smaller
    than half a step of bf16, and would be rounded away. Autocast still computes in bf16.

    Args:
        base: folder of the base model.
        section: mode, adapter shape, quantisation.
        precision: what frozen weights are held in.
        attention: transformers' name of the kernel.
        adapter: folder of the adapter that is trained on; None for a new one.
        seed: of a new adapter's weights.
    """
    if section.mode == "full":
        return load_model(base, "fp32", attention=attention)
    if section.quantise == "nf4":
        model = _quantised(base, attention)
    else:
        model = load_model(base, precision, attention=attention)
    return _with_adapter(model, section.lora, adapter, seed)


def _with_adapter(model: Any, lora: LoraSection, adapter: Path | None, seed: int) -> Any:
    from peft import PeftModel, get_peft_model
    from transformers import set_seed

    if adapter is not None:
        tuned = PeftModel.from_pretrained(model, adapter, is_trainable=True, use_safetensors=True)
        # Where the name is no folder, PEFT asks a hub about it with every checkpoint it writes.
        tuned.peft_config["default"].base_model_name_or_path = model.name_or_path
        return tuned
    set_seed(seed)
    return get_peft_model(model, lora_config(lora))


def lora_config(lora: LoraSection) -> Any:
    """PEFT's form of the section.

    Embeddings and output layer are not trained beside the adapter (`modules_to_save`): vLLM serves no such
    adapter.
    """
    from peft import LoraConfig

    modules = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=modules,
        use_rslora=lora.variant == "rslora",
        use_dora=lora.variant == "dora",
        task_type="CAUSAL_LM",
    )


def _quantised(base: Path, attention: Attention) -> Any:
    """The base in NF4 with doubly quantised constants, as QLoRA has it; its products are taken in bf16."""
    quiet_libraries()
    import torch
    from peft import prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=torch.bfloat16,
        attn_implementation=attention,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
        device_map={"": Ranks.here().local_rank},
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    )
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def inner_model(model: Any) -> Any:
    """The causal language model itself, without PEFT's wrapper where there is one."""
    return model.get_base_model() if hasattr(model, "peft_config") else model
