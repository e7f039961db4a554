"""What a finished training says of itself."""

from dataclasses import dataclass, field

from tongues.core.drops import Drop


@dataclass(frozen=True, slots=True)
class TuningResult:
    """What a finished training says of itself.

    Args:
        steps_run: optimiser steps of this call; 0 if a checkpoint of the last step was there.
        steps_total: optimiser steps of the whole training.
        resumed_from: step of the checkpoint that was continued; None for a fresh start.
        tokens: tokens seen over all steps, padding not counted.
        label_tokens: those the loss was taken on.
        rows: different rows trained on.
        train_loss: mean over the last tenth of the steps, nats per trained token.
        validation_loss: language to nats per trained token, after training; "all" is over all rows.
        validation_loss_before: the same for the base model.
        dropped: rows not used, with reasons.
        seconds: wall time of this call.
        tokens_per_s: tokens of this call's steps by the time they took; 0 if there were none.
        padding_share: share of computed token slots without a token.
        precision: what the weights were held in.
        trainable_parameters: weights that learn: the adapter's, or all.
        layout: "packed" or "padded": how rows lay in a forward pass.
        pass_fill: tokens by what as many passes of `batch_tokens` would hold.
    """

    steps_run: int
    steps_total: int
    resumed_from: int | None
    tokens: int
    label_tokens: int
    rows: int
    train_loss: float
    validation_loss: dict[str, float]
    validation_loss_before: dict[str, float]
    dropped: list[Drop] = field(repr=False)
    seconds: float
    tokens_per_s: float
    padding_share: float
    precision: str
    trainable_parameters: int
    layout: str = "padded"
    pass_fill: float = 0.0

    @property
    def label_share(self) -> float:
        """Share of tokens the loss was taken on."""
        return self.label_tokens / self.tokens if self.tokens else 0.0
