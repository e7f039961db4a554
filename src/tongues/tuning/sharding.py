"""FSDP2: weights, gradients and optimiser state divided among the processes, a decoder layer at a time.

torch's own `fully_shard` is used, on a GPU as on a CPU. accelerate's way to it is not: on a CPU it takes
DDP instead and says nothing, so that what is tested here would not be what runs there. A checkpoint holds
whole tensors, written by the leading process, so another number of processes reads it.
"""

from pathlib import Path
from typing import Any


def shard(model: Any) -> None:
    """Divide a model among all processes, in place; it moves to each process's own device on the way.

    Each decoder layer is gathered for its own forward and backward pass and let go again; what stands
    around the layers (embeddings, output layer) stays gathered for the step.

    Args:
        model: a causal language model, with or without adapters; any types of weights.
    """
    import torch
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    kind = "cuda" if torch.cuda.is_available() else "cpu"
    mesh = init_device_mesh(kind, (torch.distributed.get_world_size(),))
    layers = [module for module in model.modules() if type(module).__name__ in _layer_classes(model)]
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def let_go(model: Any) -> None:
    """Give back what a forward pass without a backward pass has left gathered; nothing for a whole model.

    Else whoever asks for the parameters gets the gathered copies, and an optimiser made of them moves
    nothing.
    """
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def _layer_classes(model: Any) -> set[str]:
    """Transformers' names of the blocks that a model consists of."""
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    return set(inner._no_split_modules or ())


def whole_weights(model: Any) -> dict[str, Any]:
    """The state of a divided model in whole tensors, for the leading process; empty for the others.

    All processes must ask.
    """
    from torch.distributed.checkpoint.state_dict import get_model_state_dict

    weights: dict[str, Any] = get_model_state_dict(model, options=_whole())
    return weights


def save_optimiser(model: Any, optimiser: Any, path: Path, *, writes: bool) -> None:
    """Write the optimiser's state in whole tensors; all processes take part and one writes."""
    import torch
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    state = get_optimizer_state_dict(model, optimiser, options=_whole())
    if writes:
        torch.save(state, path)


def load_optimiser(model: Any, optimiser: Any, path: Path, *, reads: bool) -> None:
    """Hand out what `save_optimiser` wrote; one process reads."""
    import torch
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

    state = torch.load(path, map_location="cpu", weights_only=True) if reads else {}
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_optimizer_state_dict(model, optimiser, state, options=options)


def _whole() -> Any:
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(full_state_dict=True, cpu_offload=True)
