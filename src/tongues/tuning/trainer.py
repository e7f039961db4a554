"""TRL's trainer with the loss computed where it is needed, and nothing sent or written unasked.

TRL's fused head scores every position on a CPU, also the two thirds that carry no label, and then
measures entropy and accuracy on them. Here only labelled positions meet the vocabulary.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from types import MethodType
from typing import Any

from tongues.core.errors import TuningError
from tongues.tuning.answer_loss import summed_nll
from tongues.tuning.divided import DividedModel
from tongues.tuning.masks import IGNORED

# Attributes with which some architectures scale or bend their logits: there TRL's own head is used.
_HEAD_SCALES = (
    "final_logit_softcapping",
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
    "output_router_logits",
)


class AnswerLoss:
    """SFT on given labels: the mean negative log-likelihood of the labelled tokens.

    It stands before TRL's trainer among the bases of `trainer_class`.
    """

    accelerator: Any
    args: Any
    state: Any
    compute_loss_context_manager: Callable[[], Any]
    _prepare_inputs: Callable[[Any], Any]
    last_good: Callable[[], Path | None]
    loader: Callable[[int, int], Any]
    """Rank and number of processes to a `tongues.tuning.batches.step_loader`."""

    def get_train_dataloader(self) -> Any:
        """One item per optimiser step; each process reads its own share."""
        return self.loader(self.accelerator.process_index, self.accelerator.num_processes)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """All passes of one optimiser step, as if they were one.

        Each is summed over its labelled tokens and divided by those of the whole step, on all
        processes; gradients meet once, with the last pass.
        """
        import torch

        model.train()
        inputs = self._prepare_inputs(inputs)
        ranks, passes = self.accelerator.num_processes, inputs["passes"]
        total = torch.zeros((), device=self.args.device)
        for number, one in enumerate(passes, start=1):
            with self.accelerator.no_sync(model) if number < len(passes) else nullcontext():
                total += self._pass(model, one, ranks / inputs["label_tokens"])
        # Of several processes all see it in the step's logged loss, and stop together.
        if ranks == 1 and not torch.isfinite(total):
            raise diverged(self.state.global_step + 1, f"loss {float(total)}", self.last_good())
        return total

    def _pass(self, model: Any, one: Any, weight: float) -> Any:
        """Forwards and backwards through one pass; its part of the step's loss."""
        with self.compute_loss_context_manager():
            loss = answer_nll(model, one) * weight
        self.accelerator.backward(loss)
        return loss.detach()

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """A checkpoint needs none."""

    def _send_telemetry(self) -> None:
        """Nothing about a run leaves the machine."""


@cache
def trainer_class(*, divided: bool = False) -> Any:
    """The trainer; a function, because importing TRL takes seconds.

    Args:
        divided: whether its model's weights are divided among the processes.
    """
    from trl import SFTTrainer

    ours = (DividedModel, AnswerLoss) if divided else (AnswerLoss,)
    return type("AnswerTrainer", (*ours, SFTTrainer), {})


def diverged(step: int, seen: str, last_good: Path | None) -> TuningError:
    """The error for a run whose numbers are no longer finite."""
    kept = f"the last good checkpoint is {last_good}" if last_good else "there is no checkpoint yet"
    return TuningError(
        f"training diverged at step {step} ({seen}); {kept}",
        fix="lower tuning.learning_rate, or set tuning.precision to fp32",
    )


def answer_nll(model: Any, inputs: dict[str, Any]) -> Any:
    """Sum of the negative log-likelihoods (nats) of the labelled tokens; a differentiable scalar.

    Args:
        model: as `use_answer_head` prepared it, wrapped or not.
        inputs: a pass, packed or padded, as `tongues.tuning.batches` makes it.
    """
    given = {name: value for name, value in inputs.items() if name != "labels"}
    return model(**given, answer_labels=inputs["labels"])["nll"]


def use_answer_head(model: Any, *, sharded: bool = False) -> None:
    """Teach a model's forward the keyword ``answer_labels``, which returns the summed loss.

    On a CPU the logits are computed at labelled positions only. On a GPU TRL's Triton kernel already
    does so, where the head is whole. Without the keyword, forward stays what it was.

    Args:
        model: the causal language model inside any PEFT wrapper, with TRL's fused head added.
        sharded: whether its weights will be divided among processes.
    """
    fused = model.forward
    config = model.config.get_text_config()
    plain_head = not any(getattr(config, name, None) for name in _HEAD_SCALES) and _is_plain(
        model.get_output_embeddings()
    )

    def forward(self: Any, *args: Any, answer_labels: Any = None, **kwargs: Any) -> Any:
        if answer_labels is None:
            return fused(*args, **kwargs)
        if not plain_head or (answer_labels.device.type != "cpu" and not sharded):
            outputs = fused(*args, **kwargs, labels=answer_labels, use_cache=False, fused_lm_head=True)
            return {"nll": -outputs.log_probs.sum()}
        # Rows are padded on the right and attention is causal: no real token sees a padded one, and
        # without a mask the faster kernel is taken.
        kwargs.pop("attention_mask", None)
        hidden = self.base_model(*args, **kwargs, use_cache=False).last_hidden_state[:, :-1]
        wanted = answer_labels[:, 1:] != IGNORED
        weight = self.get_output_embeddings().weight
        dtype = _computing_type(hidden)
        nll = summed_nll(hidden[wanted].to(dtype), weight.to(dtype), answer_labels[:, 1:][wanted])
        return {"nll": nll}

    model.forward = MethodType(forward, model)


def _is_plain(head: Any) -> bool:
    from torch import nn

    return type(head) is nn.Linear and head.bias is None


def _computing_type(hidden: Any) -> Any:
    import torch

    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


def keep_inputs_as_they_are(model: Any, precision: str) -> None:
    """Let autocast choose the type adapters compute in.

    PEFT turns every input of an adapter into fp32, the type its weights are kept in, and autocast
    turns it back into bf16: two copies of every activation for nothing.
    """
    for module in model.modules():
        if precision == "bf16" and hasattr(module, "lora_A"):
            module.cast_input_dtype_enabled = False
