"""All models of a comparison at once: the candidate against each of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tongues.core.comparison import Comparison, Contamination
from tongues.core.scores import Scores
from tongues.evaluation.compare import Answers, Change, compare


@dataclass(frozen=True, slots=True)
class Compared:
    """One model: its scores and its answers."""

    scores: Scores
    answers: Answers


@dataclass(frozen=True, slots=True)
class AllCompared:
    """What pages are made of.

    Args:
        comparison: as it is kept.
        models: with their answers; the last one is the candidate.
        changes: role to the candidate's changes against it, clear losses first.
    """

    comparison: Comparison
    models: tuple[Compared, ...]
    changes: Mapping[str, Sequence[Change]]

    @property
    def scores(self) -> tuple[Scores, ...]:
        """Of every model."""
        return self.comparison.models

    @property
    def candidate(self) -> Compared:
        """The model that the others are compared with."""
        return self.models[-1]

    @property
    def against(self) -> str:
        """Role that a page compares with where there is room for one only: the base, else the first."""
        return "base" if "base" in self.changes else next(iter(self.changes), "")

    def answers(self, role: str) -> Answers:
        """The answers of one model."""
        return next(model.answers for model in self.models if model.scores.role == role)


def compare_all(
    models: Sequence[Compared], *, recipe: str, contamination: Contamination | None = None
) -> AllCompared:
    """Compare the last model with each of the others.

    Args:
        models: at least one; the candidate last.
        recipe: its name.
        contamination: what is known of the candidate's training data.
    """
    candidate = models[-1]
    changes = {
        other.scores.role: compare(other.scores, candidate.scores, other.answers, candidate.answers)
        for other in models[:-1]
    }
    comparison = Comparison(
        recipe=recipe,
        models=tuple(model.scores for model in models),
        against={role: tuple(c.as_difference() for c in found) for role, found in changes.items()},
        contamination=contamination,
    )
    return AllCompared(comparison, tuple(models), changes)
