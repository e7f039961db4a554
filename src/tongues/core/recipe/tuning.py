"""Recipe sections: from training data to an adapter."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from tongues.core.recipe.section import Section, Share


class LoraSection(Section):
    """Low-rank adaptation (arXiv 2106.09685)."""

    r: PositiveInt = 16
    """Rank."""
    alpha: PositiveInt = 32
    """Scaling numerator; the update is scaled by alpha / r."""
    dropout: Share = 0.05
    """Share of adapter inputs set to 0 in training."""
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Layers that get an adapter."""


class TuningSection(Section):
    """LoRA supervised fine-tuning, loss on the assistant's answer only."""

    lora: LoraSection = LoraSection()
    """Shape of the adapter."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak of the schedule."""
    epochs: Annotated[float, Field(gt=0)] = 1.0
    """Passes over the training data."""
    max_steps: PositiveInt | None = None
    """Stop after this many optimiser steps, whatever the epochs."""
    batch_rows: PositiveInt = 8
    """Rows in one forward pass."""
    accumulation_steps: PositiveInt = 1
    """Forward passes per optimiser step."""
    max_seq_tokens: PositiveInt = 512
    """Longer rows are dropped with that reason, never cut in silence."""
    warmup_share: Share = 0.03
    """Share of the steps in which the learning rate rises."""
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after that."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay of the adapter (AdamW)."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """"auto" takes bf16 where the device computes in it natively, else fp32."""
    checkpoint_steps: PositiveInt = 20
    """Optimiser steps between checkpoints."""
    loss: Literal["answer"] = "answer"
    """What is learnt: the last answer and its end of turn, never the prompt."""
