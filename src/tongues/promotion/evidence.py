"""What the gate is told beside the scores: paired differences, contamination, parity, lineage, licences."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from tongues.core.comparison import Contamination, Difference


class Evidence(BaseModel):
    """Facts about a candidate; None or absent means that nobody knows, which the gate refuses.

    Args:
        differences: of the candidate to the reference, paired over items.
        contamination: overlap of the candidate's training data with every evaluation set.
        parity: share of tokens at which the weights written prefer what the trained ones prefer, 0..1.
        lineage_faults: one line per file or manifest that is not as it was; empty where all is well.
        base_licence: SPDX identifier of the base model.
        data_licences: SPDX identifiers of everything that was trained on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    differences: tuple[Difference, ...] = ()
    contamination: Contamination | None = None
    parity: float | None = Field(default=None, ge=0, le=1)
    lineage_faults: tuple[str, ...] | None = None
    base_licence: str = ""
    data_licences: tuple[str, ...] = ()

    def difference(self, task: str, lang: str, metric: str) -> Difference | None:
        """One difference, or None where there is none."""
        return next((d for d in self.differences if d.name == f"{task}/{lang}/{metric}"), None)

    @property
    def licences(self) -> Sequence[str]:
        """All licences that the weights stand under; none where the base's or the data's is unknown."""
        if not (self.base_licence and self.data_licences):
            return ()
        return sorted({self.base_licence, *self.data_licences})
