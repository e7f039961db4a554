"""The parity gate of a finished training: what is served answers like what was trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tongues.core.recipe import Recipe
from tongues.stages.finetune_served import served_parity, told
from tongues.stages.weights import ADAPTER, MERGED
from tongues.stages.workspace import Output, Workspace
from tongues.tuning.merge import merge
from tongues.tuning.parity import Likeness, Parity, parity, parity_of_full
from tongues.tuning.stage_runs import CHECKPOINTS, StageResult


@dataclass(frozen=True, slots=True)
class Alike:
    """How alike trained weights and those that are served answer.

    Args:
        written: the weights written, in transformers.
        served: "merged" and "adapter", where vLLM was asked for them, to vLLM beside transformers.
    """

    written: Parity
    served: dict[str, Likeness] = field(default_factory=dict)

    def measured(self) -> dict[str, Any]:
        """As it stands in the manifest."""
        return self.written.measured() | {
            "vllm": {side: likeness.measured() for side, likeness in self.served.items()}
        }


def write_and_compare(
    recipe: Recipe,
    workspace: Workspace,
    last: StageResult,
    base: Output,
    folder: Path,
    prompts: Sequence[str],
) -> Alike:
    """Write the full weights where an adapter was trained, and hold all against what was trained.

    Args:
        recipe: says how they will be served.
        workspace: takes the servers' logs, and lines for the user.
        last: the last stage.
        base: the base model.
        folder: with the adapter; gets the merged weights.
        prompts: user turns; at least one.

    Raises:
        ServingError: vLLM does not serve them.
        TuningError: they answer otherwise.
    """
    alike, what = _written(last, base.folder, folder, prompts)
    found = alike.likeness
    workspace.say(
        f"finetune: merged weights answer like {what} ({found.agreement:.1%} of {found.tokens} tokens)"
    )
    served = served_parity(recipe, workspace, base.folder, folder, alike)
    for line in told(served):
        workspace.say(line)
    return Alike(alike, served)


def least_agreement(measured: dict[str, Any], *, vllm: bool) -> float | None:
    """The least share of tokens over all engines that were asked; None where one was not that had to be.

    Args:
        measured: as `Alike.measured` gives it; empty where nothing was.
        vllm: whether vLLM had to be asked.
    """
    served = measured.get("vllm", {})
    if "agreement" not in measured or (vllm and not served):
        return None
    return float(min(one["agreement"] for one in (measured, *served.values())))


def _written(last: StageResult, base: Path, folder: Path, prompts: Sequence[str]) -> tuple[Parity, str]:
    if last.stage.section.mode == "full":
        trained = last.folder / CHECKPOINTS / f"checkpoint-{last.training.steps_total}"
        return parity_of_full(base, trained, folder / MERGED, prompts), "the trained ones"
    merge(base, folder / ADAPTER, folder / MERGED)
    return parity(base, folder / ADAPTER, folder / MERGED, prompts), "the adapter"
