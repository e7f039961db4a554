"""Recipe sections: on which nodes a pipeline's steps run, which never changes what comes out."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from tongues.core.cluster_names import TRAINING_RUNTIME
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
    "serve",
    "vary",
    "compare",
    "report",
]
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the device, not a place for files
"""Where processes of one pod share memory."""

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
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=63)]
"""Name of a Kubernetes object."""


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
    """CPUs that are set aside for the pod, and that it gets at most, such as "16"."""
    memory: Quantity | None = None
    """Memory that is set aside for the pod, and that it gets at most, such as 128G."""
    shared_memory: Quantity | None = None
    """Size of /dev/shm, such as 16Gi; it counts towards the memory limit."""
    ephemeral_storage: Quantity | None = None
    """Most of the node's disk that work in progress (downloads, checkpoints, weights) may take, such as
    200Gi. A TrainJob's pods have it set aside for them; KFP lets a step's pod have a limit only."""
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
    nodes: Annotated[int, Field(ge=1, le=512)] = 1
    """Pods that work together, each with what this pool says. Only finetune spreads: with more than 1 it is a
    TrainJob of Kubeflow Trainer, and timeout_s counts from when that begins to run."""
    queue: ObjectName | None = None
    """LocalQueue of Kueue that a TrainJob waits in, for as long as it takes; absent: it does not wait."""
    runtime: ObjectName = TRAINING_RUNTIME
    """Runtime that a TrainJob is made from; the default is the chart's; Trainer brings torch-distributed."""
    runtime_kind: Literal["ClusterTrainingRuntime", "TrainingRuntime"] = "ClusterTrainingRuntime"
    """TrainingRuntime is one of the namespace, as the chart makes it with trainer.clusterWide=false."""

    @model_validator(mode="after")
    def _queue_has_a_job(self) -> Self:
        if self.queue and self.nodes == 1:
            raise ValueError(
                "queue is for a TrainJob, but nodes is 1; remove queue, or set nodes to 2 or more"
            )
        return self
