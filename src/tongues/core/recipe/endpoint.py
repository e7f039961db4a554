"""Recipe section: the promoted model as a KServe object on a cluster."""

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from tongues.core.recipe.cluster import NodePoolSection
from tongues.core.recipe.section import Section


class CanarySection(Section):
    """How a new version gets its clients a part at a time, and what sends it back."""

    weights: Annotated[tuple[Annotated[int, Field(ge=1, le=99)], ...], Field(min_length=1)] = (5, 25, 50)
    """Percent of the requests it gets, one after the other; after the last one it gets all."""
    watch_s: PositiveFloat = 300
    """Seconds it is watched at each weight."""
    latency_s: PositiveFloat = 60
    """Longest answer to a check, in seconds."""
    error_rate: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Highest share of requests that may fail."""
    language_drop: Annotated[float, Field(ge=0, le=1)] = 0.25
    """How far the share of answers in the language asked may fall below evaluation's."""

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if list(self.weights) != sorted(set(self.weights)):
            raise ValueError(f"weights {list(self.weights)} do not grow; write them as in [5, 25, 50]")
        return self


class KServeSection(Section):
    """What `tongues serve --target kserve` asks KServe for."""

    kind: Literal["InferenceService", "LLMInferenceService"] = "InferenceService"
    """LLMInferenceService is alpha, brings its own image, and has a fixed number of replicas here."""
    runtime: str | None = None
    """ServingRuntime of the namespace; absent: tongues-vllm, or tongues-vllm-adapter, as the chart names them
    for a release `tongues`."""
    service_account: str = "tongues-serving"
    """ServiceAccount with the object store's credentials."""
    min_replicas: PositiveInt = 1
    """Replicas that always stand; a new one is ready before an old one goes."""
    max_replicas: PositiveInt | None = None
    """Above min_replicas KEDA scales on the requests that wait; absent: as many as min_replicas."""
    waiting_requests: PositiveInt = 4
    """Waiting requests per replica above which one more is started."""
    prometheus_url: str | None = None
    """Prometheus that KEDA asks, such as http://prometheus.monitoring:9090."""
    timeout_s: PositiveInt = 600
    """Longest time of a request at the gateway, whose own default of 60 s cuts long answers."""
    pool: NodePoolSection = NodePoolSection()
    """Nodes and resources of a replica; what is absent is as the runtime has it."""
    canary: CanarySection | None = None
    """A new version of merged weights gets a growing share of the requests, and is taken back if it fails
    them; absent: its replicas take the place of the old ones, one after the other."""

    @property
    def most_replicas(self) -> int:
        """Replicas at most."""
        return self.max_replicas or self.min_replicas

    @property
    def scales(self) -> bool:
        """Whether the number of replicas follows the load."""
        return self.most_replicas > self.min_replicas

    @model_validator(mode="after")
    def _can_share(self) -> Self:
        if self.canary is None:
            return self
        if self.kind == "LLMInferenceService":
            raise ValueError("canary needs kind InferenceService")
        if self.min_replicas < 2:
            raise ValueError(
                "KServe takes a canary's replicas from those that serve; set min_replicas to 2 or more"
            )
        return self

    @model_validator(mode="after")
    def _can_scale(self) -> Self:
        if self.most_replicas < self.min_replicas:
            raise ValueError(f"max_replicas {self.max_replicas} is below min_replicas {self.min_replicas}")
        if self.scales and self.kind == "LLMInferenceService":
            raise ValueError("an LLMInferenceService has a fixed number of replicas; leave max_replicas out")
        if self.scales and not (self.prometheus_url or "").startswith(("http://", "https://")):
            raise ValueError(
                "max_replicas is above min_replicas; name the Prometheus to scale by in prometheus_url"
            )
        return self
