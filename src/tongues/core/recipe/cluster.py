"""Recipe sections: on which nodes a pipeline's steps run, which never changes what comes out."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from tongues.core.recipe.section import Section

StepName = Literal[
    "prepare",
    "translate",
    "gather",
    "generate",
    "assemble",
    "finetune",
    "evaluate",
    "register",
    "promote",
    "vary",
    "compare",
    "report",
]
KEYS = ("GOOGLE_TRANSLATE_API_KEY", "HF_TOKEN", "OPENAI_API_KEY")
"""Variables that a step which calls engines always has, where the Secret holds them."""

KEY_STEPS: tuple[StepName, ...] = (
    "prepare",
    "translate",
    "gather",
    "generate",
    "evaluate",
    "vary",
    "compare",
)
"""Steps that call engines, or look whether they answer."""

VariableName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]


class TolerationSection(Section):
    """A taint of the pool that the step's pod puts up with."""

    key: str | None = None
    """Key of the taint, such as nvidia.com/gpu; any taint when absent."""
    operator: Literal["Equal", "Exists"] = "Exists"
    """Whether the value counts."""
    value: str | None = None
    """Value of the taint, with operator Equal."""
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None
    """Effect of the taint; any when absent."""


class NodePoolSection(Section):
    """Where one step's pod runs and what it gets there; what is absent is as the pipeline has it."""

    gpus: Annotated[int, Field(ge=0, le=8)] = 0
    """GPUs of one pod."""
    accelerator: str = "nvidia.com/gpu"
    """Resource name of a GPU, such as nvidia.com/gpu or nvidia.com/mig-1g.10gb."""
    cpu: Quantity | None = None
    """CPU limit, such as "16"."""
    memory: Quantity | None = None
    """Memory limit, such as 128G."""
    shared_memory: Quantity | None = None
    """Size of /dev/shm, such as 16Gi; it counts towards the memory limit."""
    node_selector: dict[str, str] = Field(default={})
    """Labels of the pool's nodes, such as cloud.google.com/gke-accelerator: nvidia-h100-80gb."""
    tolerations: tuple[TolerationSection, ...] = ()
    """Taints of the pool."""
    keys: tuple[VariableName, ...] = ()
    """Variables, beside the usual ones, that hold keys of engines: names that `api_key_env` gives and that
    are keys of the Secret tongues-pipeline-engines."""
    timeout_s: PositiveInt | None = None
    """Longest time of one try."""
    retries: Annotated[int, Field(ge=0, le=10)] | None = None
    """Further tries after a crash; finished work is found again."""
