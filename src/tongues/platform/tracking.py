"""MLflow runs: parameters, datasets, metrics and artifacts.

Everything can be logged again: a run is found by its tag ``tongues.key`` before it is made, and
metrics carry times that follow from the run's start, so a second logging adds nothing.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tongues.core.recipe import RegistrySection
from tongues.core.scores import Scores
from tongues.platform.mlflow_connection import connect, explained, resolve_tracking_uri, shown
from tongues.platform.model_versions import ModelVersions

KEY_TAG = "tongues.key"
INJECTED_ENV = "MLFLOW_RUN_ID"
"""Where MLflow's own client, and Kubeflow Pipelines beside MLflow, name the run that is open already."""

_METRICS_PER_BATCH = 1000
_PARAMS_PER_BATCH = 100
_PARAM_CHARS = 6000
_DATASET_DIGEST_CHARS = 36


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that a run read.

    Args:
        name: as in the recipe.
        sha256: digest of its content.
        source: URI it was read from.
        rows: how many rows it has.
        context: what it was read for, such as "training" or "evaluation".
    """

    name: str
    sha256: str
    source: str
    rows: int
    context: str


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """What training reported at one step.

    Args:
        step: optimiser step.
        elapsed_s: seconds since training began.
        values: metric name to value, such as {"loss": 2.1, "tokens_per_s": 90.0}.
    """

    step: int
    elapsed_s: float
    values: dict[str, float]


class Tracking:
    """A connection to one MLflow and one experiment in it.

    Args:
        section: the recipe's registry section.
        workspace: local folder for the SQLite file and its artifacts, where no server is named.

    Raises:
        RegistryError: MLflow does not answer, or its database has another schema.
    """

    def __init__(self, section: RegistrySection, workspace: Path) -> None:
        self.uri = resolve_tracking_uri(section.tracking_uri, workspace)
        self.client = connect(self.uri)
        self.models = ModelVersions(self.uri, self.client)
        with self._asking("open the experiment"):
            self.experiment_id = self._experiment(section.experiment, workspace)

    @property
    def shown_uri(self) -> str:
        """The address for people, without a password."""
        return shown(self.uri)

    def _experiment(self, name: str, workspace: Path) -> str:
        if found := self.client.get_experiment_by_name(name):
            return str(found.experiment_id)
        local = self.uri.startswith("sqlite:")
        artifacts = (workspace / "mlflow-artifacts").resolve().as_uri() if local else None
        return str(self.client.create_experiment(name, artifact_location=artifacts))

    # Runs

    def start_run(self, key: str, *, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Find the run of a piece of work, join the one in MLFLOW_RUN_ID, or create it.

        Args:
            key: identity of the work, such as a manifest key; equal key, same run.
            name: what people see.
            tags: set on the run, new or found.

        Returns:
            The run's id.
        """
        with self._asking(f"start run {name!r}"):
            run_id = self._oldest_run(key) or self._injected_run(key)
            if run_id is None:
                self.client.create_run(self.experiment_id, run_name=name, tags={KEY_TAG: key})
                run_id = self._oldest_run(key)
            assert run_id is not None  # noqa: S101 - it was created one line above
            for tag, value in (tags or {}).items():
                self.client.set_tag(run_id, tag, value)
            return run_id

    def find_run(self, key: str) -> str | None:
        """The run of a piece of work in whatever experiment it is; None where there is none."""
        with self._asking(f"find run {key!r}"):
            everywhere = [str(found.experiment_id) for found in self.client.search_experiments()]
            return self._oldest_run(key, everywhere)

    def _injected_run(self, key: str) -> str | None:
        """The run that whoever started this process has opened for it, unless other work is in it already."""
        run_id = os.environ.get(INJECTED_ENV)
        if not run_id or KEY_TAG in self.client.get_run(run_id).data.tags:
            return None
        self.client.set_tag(run_id, KEY_TAG, key)
        return run_id

    def _oldest_run(self, key: str, experiments: Sequence[str] = ()) -> str | None:
        """The same run for all who ask, also when two created it at the same moment."""
        quoted = key.replace("'", "")
        runs = self.client.search_runs(
            list(experiments) or [self.experiment_id],
            f"tags.`{KEY_TAG}` = '{quoted}'",
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
            max_results=1,
        )
        return str(runs[0].info.run_id) if runs else None

    def finish_run(self, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"] = "FINISHED") -> None:
        """Close a run; one that was opened from outside is left to who opened it."""
        if run_id == os.environ.get(INJECTED_ENV):
            return
        with self._asking("finish a run", run_id):
            self.client.set_terminated(run_id, status)

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log parameters; nested mappings become dotted keys.

        Raises:
            RegistryError: one was logged before with another value.
        """
        from mlflow.entities import Param

        flat = [Param(key, value[:_PARAM_CHARS]) for key, value in _flat(params)]
        with self._asking("log parameters", run_id):
            for batch in _batches(flat, _PARAMS_PER_BATCH):
                self.client.log_batch(run_id, params=batch)

    def write_once(self, run_id: str, key: str, value: str) -> str:
        """Write a parameter that nobody has written yet; the first of several writers wins.

        Returns:
            The value that stands: one's own, or that of who was first.
        """
        from mlflow import MlflowException

        with self._asking(f"write {key}", run_id):
            try:
                self.client.log_param(run_id, key, value)
            except MlflowException as error:
                if error.error_code != "INVALID_PARAMETER_VALUE":
                    raise
        return self.read_params(run_id)[key]

    def read_params(self, run_id: str) -> dict[str, str]:
        """All parameters of a run."""
        with self._asking("read parameters", run_id):
            return dict(self.client.get_run(run_id).data.params)

    def log_datasets(self, run_id: str, datasets: Sequence[DatasetInput]) -> None:
        """Log what a run read, with digest, source and rows."""
        from mlflow.entities import Dataset, InputTag
        from mlflow.entities import DatasetInput as Input

        inputs = [
            Input(
                Dataset(
                    name=d.name,
                    digest=d.sha256[:_DATASET_DIGEST_CHARS],
                    source_type=urlsplit(d.source).scheme or "local",
                    source=json.dumps({"uri": d.source}),
                    profile=json.dumps({"num_rows": d.rows, "sha256": d.sha256}),
                ),
                [InputTag("mlflow.data.context", d.context)],
            )
            for d in datasets
        ]
        with self._asking("log datasets", run_id):
            self.client.log_inputs(run_id, inputs)

    def log_scores(self, run_id: str, scores: Scores, *, prefix: str = "") -> None:
        """Log measurements under their own names, ``task/language/metric``.

        Args:
            run_id: the run.
            scores: what was measured.
            prefix: put before each name, such as "base/" for the model it started from.
        """
        values = {f"{prefix}{name}": m.value for name, m in scores.measurements.items()}
        self.log_steps(run_id, [StepMetrics(0, 0.0, values)])

    def log_steps(self, run_id: str, points: Sequence[StepMetrics]) -> None:
        """Log a course over steps, such as loss, learning rate and tokens per second."""
        from mlflow.entities import Metric

        with self._asking("log metrics", run_id):
            start_ms = self.client.get_run(run_id).info.start_time
            metrics = [
                Metric(name, value, start_ms + round(point.elapsed_s * 1000), point.step)
                for point in points
                for name, value in sorted(point.values.items())
            ]
            for batch in _batches(metrics, _METRICS_PER_BATCH):
                self.client.log_batch(run_id, metrics=batch)

    def log_artifact(self, run_id: str, path: Path, folder: str | None = None) -> None:
        """Upload a file, or all that is in a folder, to the run's artifacts."""
        with self._asking(f"upload {path.name}", run_id):
            log = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
            log(run_id, str(path), folder)

    def log_text(self, run_id: str, text: str, name: str) -> None:
        """Write a text to the run's artifacts, replacing what was there."""
        with self._asking(f"upload {name}", run_id):
            self.client.log_text(run_id, text, name)

    def read_artifact(self, run_id: str, name: str) -> bytes:
        """Read one of the run's artifacts.

        Raises:
            RegistryError: it is not there, or its store does not answer.
        """
        with self._asking(f"read artifact {name}", run_id), tempfile.TemporaryDirectory() as folder:
            return Path(self.client.download_artifacts(run_id, name, folder)).read_bytes()

    def artifact_uri(self, run_id: str, name: str) -> str:
        """Where one of the run's artifacts stands."""
        with self._asking("find the artifacts", run_id):
            return f"{self.client.get_run(run_id).info.artifact_uri}/{name}"

    def _asking(self, doing: str, run_id: str = "") -> AbstractContextManager[None]:
        return explained(self.uri, f"{doing} of run {run_id}" if run_id else doing)


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, default=str)


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))
