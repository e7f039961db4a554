"""TRL's trainer with the loss computed where it is needed, and nothing sent or written unasked.

TRL's fused head scores every position on a CPU, also the two thirds that carry no label, and then
measures entropy and accuracy on them. Here only labelled positions meet the vocabulary.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import MethodType
from typing import Any

from tongues.core.errors import TuningError

# Attributes with which some architectures scale or bend their logits: there TRL's own head is used.
_HEAD_SCALES = (
    "final_logit_softcapping",
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
    "output_router_logits",
)


@cache
def trainer_class() -> Any:
    """The trainer; a function, because importing TRL takes seconds."""
    import torch
    from trl import SFTTrainer

    class AnswerTrainer(SFTTrainer):  # type: ignore[misc]
        """SFT on given labels: the mean negative log-likelihood of the labelled tokens."""

        last_good: Callable[[], Path | None]

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Sum over the batch's labelled tokens, divided by those of the whole step."""
            labels = int((inputs["labels"] != -100).sum())
            total = answer_nll(model, inputs)
            loss = total / (labels if num_items_in_batch is None else num_items_in_batch)
            if not torch.isfinite(loss):
                raise diverged(self.state.global_step + 1, f"loss {float(loss.detach())}", self.last_good())
            if self.args.average_tokens_across_devices and num_items_in_batch is not None:
                loss = loss * self.accelerator.num_processes
            return (loss, None) if return_outputs else loss

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """A checkpoint needs none."""

        def _send_telemetry(self) -> None:
            """Nothing about a run leaves the machine."""

    return AnswerTrainer


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
        inputs: input_ids, labels (-100 where there is no loss), attention_mask; rows padded on the right.
    """
    return model(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], answer_labels=inputs["labels"]
    )["nll"]


def use_answer_head(model: Any) -> None:
    """Teach a model's forward the keyword ``answer_labels``, which returns the summed loss.

    On a CPU the logits are computed at labelled positions only. On a GPU TRL's Triton kernel already
    does so. Without the keyword, forward stays what it was.

    Args:
        model: the causal language model inside any PEFT wrapper, with TRL's fused head added.
    """
    import torch

    fused = model.forward
    config = model.config.get_text_config()
    plain_head = not any(getattr(config, name, None) for name in _HEAD_SCALES)

    def forward(self: Any, *args: Any, answer_labels: Any = None, **kwargs: Any) -> Any:
        if answer_labels is None:
            return fused(*args, **kwargs)
        if not plain_head or answer_labels.device.type != "cpu":
            outputs = fused(*args, **kwargs, labels=answer_labels, use_cache=False, fused_lm_head=True)
            return {"nll": -outputs.log_probs.sum()}
        # Rows are padded on the right and attention is causal: no real token sees a padded one, and
        # without a mask the faster kernel is taken.
        kwargs.pop("attention_mask", None)
        hidden = self.base_model(*args, **kwargs, use_cache=False).last_hidden_state[:, :-1]
        wanted = answer_labels[:, 1:] != -100
        logits = self.get_output_embeddings()(hidden[wanted]).float()
        nll = torch.nn.functional.cross_entropy(logits, answer_labels[:, 1:][wanted], reduction="sum")
        return {"nll": nll}

    model.forward = MethodType(forward, model)


def keep_inputs_as_they_are(model: Any, precision: str) -> None:
    """Let autocast choose the type adapters compute in.

    PEFT turns every input of an adapter into fp32, the type its weights are kept in, and autocast
    turns it back into bf16: two copies of every activation for nothing.
    """
    for module in model.modules():
        if precision == "bf16" and hasattr(module, "lora_A"):
            module.cast_input_dtype_enabled = False
