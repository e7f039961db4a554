"""Every error tongues raises on purpose.

TonguesError                 exit 1: one line that says what, where and what to do
├── ProblemsError            several problems found at once, listed together
│   ├── RecipeError          the recipe is not valid
│   └── PreflightError       the machine or the inputs are not ready for this recipe
├── DataError                a file or a record is not what it should be
├── EngineError              a translation engine failed
│   └── EngineUnavailableError  not installed, not reachable, or lacks the language pair
├── BudgetError              a spending limit was reached; what was paid for is kept
├── TuningError              training cannot start or go on
│   └── TrainingInterruptedError  exit 75: stopped from outside, progress kept; start it again
├── EvaluationError          a suite or a model cannot be scored
├── RegistryError            MLflow refused, or holds something unexpected
├── StorageError             an object store or a file cannot be read or written
├── ServingError             an endpoint did not start or did not answer
├── PipelineServerError      Kubeflow Pipelines refused, or does not answer
├── KubernetesError          the Kubernetes API refused, or does not answer
└── GateRefusedError         exit 3: the gate said no, with reasons; nothing moved
"""

from collections.abc import Sequence


class TonguesError(Exception):
    """An error with an address and a remedy.

    Args:
        what: what went wrong, in one sentence.
        where: the file, key, URI or command it concerns; empty if there is none.
        fix: what the reader can do about it; empty only if nothing can be done.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(self.line())

    def line(self) -> str:
        """The error as one line: ``where: what. Fix: fix``."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head.rstrip('.')}. Fix: {self.fix}" if self.fix else head


class ProblemsError(TonguesError):
    """Several problems, all found before anything was spent.

    Args:
        problems: one line each, already with address and remedy.
        where: the file they were found in.
    """

    def __init__(self, problems: Sequence[str], *, where: str = "", fix: str = "") -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(f"{count} found: " + "; ".join(problems), where=where, fix=fix)


class RecipeError(ProblemsError):
    """The recipe is not valid."""


class PreflightError(ProblemsError):
    """The machine or the inputs are not ready for this recipe."""


class DataError(TonguesError):
    """A file or a record is not what it should be."""


class EngineError(TonguesError):
    """A translation engine failed."""


class EngineUnavailableError(EngineError):
    """An engine is not installed, not reachable, or lacks the language pair."""


class BudgetError(TonguesError):
    """A spending limit was reached; what was paid for is kept."""


class TuningError(TonguesError):
    """Training cannot start or go on."""


class TrainingInterruptedError(TuningError):
    """Training was stopped before its end and can go on: an eviction, or a stall.

    The exit code is that of sysexits.h for a temporary failure. KFP and TrainJob start the pod again for
    any code but 0; a `podFailurePolicy` may tell this one from the errors that a retry does not mend.
    """

    exit_code = 75


class EvaluationError(TonguesError):
    """A suite or a model cannot be scored."""


class RegistryError(TonguesError):
    """MLflow refused, or holds something unexpected."""


class StorageError(TonguesError):
    """An object store or a file cannot be read or written."""


class ServingError(TonguesError):
    """An endpoint did not start or did not answer."""


class PipelineServerError(TonguesError):
    """Kubeflow Pipelines refused, or does not answer."""


class KubernetesError(TonguesError):
    """The Kubernetes API refused, or does not answer."""


class GateRefusedError(TonguesError):
    """The promotion gate said no; nothing moved."""

    exit_code = 3
