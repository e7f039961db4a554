"""Adapter or merged: as somebody asked, as the recipe says, or as it was measured here; and why, in words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from tongues.core.digests import digest_value
from tongues.core.errors import ServingError
from tongues.core.manifest import write_atomically
from tongues.serving import mode_probe
from tongues.serving.mode_probe import Measured
from tongues.serving.vllm_command import ServerPlan, max_rank
from tongues.stages.workspace import Workspace

Mode = Literal["adapter", "merged"]
_FOLDER = "measured-modes"


@dataclass(frozen=True, slots=True)
class Choice:
    """How a version is served.

    Args:
        mode: adapter: base with adapter. merged: weights with the adapter folded in.
        why: what decided, in words.
    """

    mode: Mode
    why: str

    @property
    def adapter(self) -> bool:
        """Whether it is the base with the adapter."""
        return self.mode == "adapter"

    def __str__(self) -> str:
        return f"{self.mode} ({self.why})"


def choose(
    wanted: Mode | Literal["auto"], *, asked: Mode | None, there: bool, by_measure: Callable[[], Choice]
) -> Choice:
    """Choose the mode of a version.

    Args:
        wanted: what its recipe says.
        asked: what the user said, if anything.
        there: whether it has an adapter that vLLM serves.
        by_measure: chooses where the recipe leaves it open and there is an adapter.
    """
    if asked is not None:
        return Choice(asked, "as asked for")
    if wanted != "auto":
        return Choice(wanted, "as the recipe says")
    return by_measure() if there else Choice("merged", "there is no adapter that vLLM serves")


def measured(workspace: Workspace, plan: ServerPlan, *, base_sha256: str, ready_timeout_s: float) -> Choice:
    """What a measurement says, made now or earlier for the same base, rank, precision, vLLM and device.

    Args:
        workspace: keeps what was measured.
        plan: of the base with the adapter.
        base_sha256: digest of the base model's manifest.
        ready_timeout_s: longest start of a server, in seconds.

    Raises:
        ServingError: it cannot be measured.
    """
    if plan.adapter is None:
        raise ServingError("there is no adapter to measure", where=str(plan.folder))
    same = [base_sha256, max_rank(plan.adapter), plan.dtype, mode_probe.vllm_version(), mode_probe.device()]
    path = workspace.local / "serving" / _FOLDER / f"{digest_value(same)[:20]}.json"
    try:
        found = Measured.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        found = mode_probe.measure(
            plan, workspace=workspace.local, ready_timeout_s=ready_timeout_s, say=workspace.say
        )
        write_atomically(path, found.model_dump_json(indent=1).encode())
    return Choice("adapter" if found.adapter_is_worth_it else "merged", found.sentence)
