"""Recipe sections: from training data to an adapter."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from tongues.core.recipe.section import Name, Section, Share, Weight, known_language

Language = Annotated[str, AfterValidator(known_language)]

_FULL_LEARNING_RATE = 2e-5


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
    variant: Literal["standard", "rslora", "dora"] = "standard"
    """rslora scales by alpha / sqrt(r), which keeps high ranks learning (arXiv 2312.03732); dora learns
    the length of each weight row apart from its direction (arXiv 2402.09353), and vLLM serves it merged
    only."""


class TakeSection(Section):
    """Which training records a stage learns from: those that fulfil all that is given."""

    stages: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Values of the records' "stage", such as TaCo's "1" and "2"; absent: any, or none."""
    methods: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Methods, whole ("taco/english") or up to the slash ("taco"); absent: any."""
    languages: (
        Annotated[tuple[Annotated[str, AfterValidator(known_language)], ...], Field(min_length=1)] | None
    ) = None
    """BCP-47 codes of the answers; absent: any."""


class StageSection(Section):
    """One stage of a curriculum; what is absent is taken from the tuning section."""

    name: Name
    """Name in the manifest, the log and the output's folders."""
    take: TakeSection = TakeSection()
    """Which training records it learns from; a record may be taken by several stages."""
    learning_rate: Weight | None = None
    """Peak of this stage's own schedule."""
    epochs: Weight | None = None
    """Passes over this stage's records."""
    max_steps: PositiveInt | None = None
    """Stop the stage after this many optimiser steps."""
    adapter: Literal["continue", "merge", "new"] = "continue"
    """continue: train the stage before's adapter on; merge: fold it into the base and put a new one on
    top, the output's adapter is both; new: put it aside, as a result of its own, and start from the base.
    The first stage always starts a new one."""


class PreferenceSection(Section):
    """A last stage that learns to prefer the better of two answers (DPO, arXiv 2305.18290)."""

    beta: Weight = 0.1
    """How strongly the model is held to what it was before the stage; larger holds more."""
    learning_rate: Weight = 5e-6
    """Peak of the schedule."""
    epochs: Weight = 1.0
    """Passes over the pairs."""
    max_steps: PositiveInt | None = None
    """Stop after this many optimiser steps."""


class SafetySection(Section):
    """When a run stops by itself. None of it changes what is learnt."""

    divergence_nats: Weight = 1.0
    """A loss this far above its running median is high, if it also is six times its usual scatter above."""
    divergence_steps: Annotated[int, Field(ge=2)] = 8
    """So many high losses in a row are a divergence."""
    stall_factor: Annotated[float, Field(ge=2)] = 20.0
    """No step for so many times the median step is a stall."""
    stall_least_s: Weight = 300.0
    """But never before so many seconds."""
    grace_s: Weight = 30.0
    """Seconds between SIGTERM and SIGKILL (Kubernetes: terminationGracePeriodSeconds)."""
    parity: Literal["auto", "transformers", "vllm"] = "auto"
    """What has to answer like the trained weights before the result counts. transformers: the weights
    written, in transformers; vllm: these and the adapter in vLLM besides; "auto" asks vLLM, where it is
    installed, for the one of the two that serving.mode serves."""


class HardwareSection(Section):
    """How the machine is used. None of it changes what is learnt, but for the order of additions."""

    processes: PositiveInt | Literal["auto"] = "auto"
    """Processes of one node that share each step; "auto" takes one for each GPU, and one without."""
    sharding: Literal["auto", "none", "full"] = "auto"
    """none: every process holds all weights (DDP); full: weights, gradients and optimiser are divided
    among the processes (FSDP2); "auto" divides where one device cannot hold them."""
    gradient_checkpointing: Literal["auto", "always", "never"] = "auto"
    """Compute activations again in the backward pass instead of keeping them: a fraction of the memory for
    about a third more time; "auto" does so where they would not fit."""
    kernels: Literal["auto", "torch"] = "auto"
    """"auto" takes Liger's fused kernels for norms, rotations and gated layers on a GPU where the package
    liger-kernel is installed; torch: never."""


class TuningSection(Section):
    """Supervised fine-tuning, loss on the assistant's answer only."""

    mode: Literal["lora", "full"] = "lora"
    """lora: a small adapter beside frozen weights; full: all weights, which needs about 16 bytes per
    parameter and leaves no adapter behind."""
    quantise: Literal["none", "nf4"] = "none"
    """nf4: hold the frozen weights in 4 bits while an adapter learns (QLoRA, arXiv 2305.14314; NVIDIA
    GPU and bitsandbytes)."""
    lora: LoraSection = LoraSection()
    """Shape of the adapter."""
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    """Peak of the schedule; where mode is full, the default is 2e-5."""
    epochs: Annotated[float, Field(gt=0)] = 1.0
    """Passes over the training data."""
    max_steps: PositiveInt | None = None
    """Stop after this many optimiser steps, whatever the epochs."""
    batch_rows: PositiveInt = 8
    """Rows of one forward pass at most; with accumulation_steps 1, the rows of an optimiser step."""
    batch_tokens: PositiveInt = 4096
    """Tokens of one forward pass at most. A step with more is taken in several passes with the same
    result, so this decides memory and speed and not what is learnt. A longer row has a pass to itself."""
    accumulation_steps: PositiveInt = 1
    """An optimiser step sees batch_rows times this many rows."""
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
    """What is learnt: the last answer and its end of turn, never the prompt; in records that say so
    ("loss" is "every-answer" in their metadata), every answer."""
    stages: tuple[StageSection, ...] = ()
    """A curriculum, in this order; empty: one stage with all records."""
    preference: PreferenceSection | None = None
    """A last stage on records that carry a worse answer ("rejected" in their metadata)."""
    safety: SafetySection = SafetySection()
    """When a run stops by itself."""
    hardware: HardwareSection = HardwareSection()
    """How the machine is used."""

    @model_validator(mode="before")
    @classmethod
    def _gentler_where_all_weights_learn(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("mode") == "full":
            return {"learning_rate": _FULL_LEARNING_RATE} | data
        return data

    @model_validator(mode="after")
    def _mode_fits(self) -> Self:
        if self.mode == "full" and self.quantise != "none":
            raise ValueError(
                f"quantise is {self.quantise}, but 4-bit weights cannot be trained; set mode: lora, or "
                "quantise: none"
            )
        return self

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        problems = [*self._repeated_names(), *self._impossible_adapters()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _repeated_names(self) -> list[str]:
        names = [stage.name for stage in self.stages] + (["preference"] if self.preference else [])
        return [
            f"two stages are named {name!r}; rename one"
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]

    def _impossible_adapters(self) -> list[str]:
        problems = []
        if self.stages and self.stages[0].adapter == "merge":
            problems.append(
                f"stage {self.stages[0].name!r} merges, but no adapter stands before it; remove `adapter`"
            )
        for stage in self.stages:
            if self.mode == "full" and stage.adapter != "continue":
                problems.append(
                    f"stage {stage.name!r} has adapter: {stage.adapter}, but mode full trains no adapter; "
                    "remove `adapter`"
                )
            if self.lora.variant == "dora" and stage.adapter == "merge":
                problems.append(
                    f"stage {stage.name!r} merges, but two DoRA adapters do not add up to one; "
                    "write adapter: continue, or another lora.variant"
                )
        return problems
