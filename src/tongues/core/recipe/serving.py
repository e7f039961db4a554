"""Recipe sections: where versions are kept, and how the promoted model answers."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from tongues.core.recipe.endpoint import KServeSection
from tongues.core.recipe.section import Name, Section


class RegistrySection(Section):
    """Where runs and model versions are kept."""

    model: Name
    """Registered model name."""
    experiment: str = "tongues"
    """MLflow experiment."""
    tracking_uri: str | None = None
    """MLflow address; absent: MLFLOW_TRACKING_URI, else SQLite in the workspace."""
    signing_key: str | None = None
    """Path of the private key that signs what is registered; absent: the file that TONGUES_SIGNING_KEY
    names, or that a Secret mounts into the pod; without any nothing is signed."""
    require_signature: bool = False
    """Register, verify and serve only what is signed; where TONGUES_VERIFICATION_KEY names a public key, that
    holds for every artefact."""


class ServingSection(Section):
    """How the promoted model answers."""

    mode: Literal["merged", "adapter", "auto"] = "merged"
    """merged: weights with the adapter folded in; adapter: base model with the adapter beside it, so that
    many languages share one server; auto: the adapter where a short measurement gave it at least half the
    output tokens per second of merged weights (on CPUs vLLM's LoRA path was 1.6 to 40 times slower), merged
    where there is none that vLLM could serve. For a cluster nothing is measured: adapter where
    serving.kserve.pool has GPUs, else merged. What decided stands in log and status."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """"auto" is fp32 on a CPU, as evaluation computes there, and bf16 on a GPU."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """0 takes a free port."""
    max_model_len: PositiveInt = 2048
    """Tokens of prompt and answer together."""
    ready_timeout_s: PositiveInt = 300
    """Longest wait until the endpoint answers."""
    kserve: KServeSection = KServeSection()
    """The same on a cluster."""
