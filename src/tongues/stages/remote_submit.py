"""Submit a recipe's run to a Kubeflow Pipelines server, once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tongues.core.digests import digest_file, digest_value
from tongues.core.errors import PreflightError
from tongues.platform.kfp_runs import Run
from tongues.platform.kfp_server import KfpServer
from tongues.platform.pipelines import VERSION_CHARACTERS
from tongues.stages.schedule import trigger_of


@dataclass(frozen=True)
class Order:
    """What is to run.

    Args:
        pipeline: compiled pipeline, a YAML file.
        recipe: the recipe's URI or text, as the pipeline takes it.
        recipe_sha256: its digest.
        workspace: ``s3://`` prefix for the outputs.
        experiment: experiment the run is listed under.
        run_name: beginning of the run's name.
        service_account: whose rights the pods have; the server's default when empty.
        further: parameters of the pipeline beside recipe and workspace, such as model, as they are written
            down: serve=true is a truth value where the pipeline has it as one.
    """

    pipeline: Path
    recipe: str
    recipe_sha256: str
    workspace: str
    experiment: str
    run_name: str
    service_account: str = ""
    further: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the pipeline, each of the type that it has there.

        Raises:
            PreflightError: one is not of its type, or the file is not a compiled pipeline.
        """
        known = (
            self._compiled["root"].get("inputDefinitions", {}).get("parameters", {}) if self.further else {}
        )
        typed = {
            name: _typed(name, value, known.get(name, {}).get("parameterType", "STRING"))
            for name, value in self.further.items()
        }
        return {"recipe": self.recipe, "workspace": self.workspace, **typed}

    @property
    def token(self) -> str:
        """What is equal for equal orders, whatever the run is called."""
        content: list[Any] = [digest_file(self.pipeline), self.recipe, self.recipe_sha256, self.workspace]
        return digest_value(content + [dict(self.further)] * bool(self.further))[:VERSION_CHARACTERS]

    @property
    def pipeline_name(self) -> str:
        """Name of the pipeline in its file.

        Raises:
            PreflightError: it is not a compiled pipeline.
        """
        return str(self._compiled["pipelineInfo"]["name"])

    @property
    def _compiled(self) -> dict[str, Any]:
        try:
            documents = YAML(typ="safe", pure=True).load_all(self.pipeline.read_text(encoding="utf-8"))
            compiled = dict(next(iter(documents)))
            return compiled | {"pipelineInfo": dict(compiled["pipelineInfo"]), "root": dict(compiled["root"])}
        except Exception as error:  # the parser raises classes of many kinds
            problem = f"not a compiled pipeline ({type(error).__name__})"
            raise PreflightError(
                [problem], where=str(self.pipeline), fix="`tongues compile` makes one"
            ) from error

    @property
    def version_name(self) -> str:
        """Name that changes with the pipeline's content only."""
        return f"{self.pipeline_name}-{digest_file(self.pipeline)[:VERSION_CHARACTERS]}"


_TRUTH = {"true": True, "false": False}


def _typed(name: str, value: str, kind: str) -> str | bool:
    """The value as the server takes it; KFP converts none of its own."""
    if kind != "BOOLEAN":
        return value
    if value not in _TRUTH:
        raise PreflightError([f"{name}: {value!r} is not true or false"], where="--set", fix=f"{name}=true")
    return _TRUTH[value]


@dataclass(frozen=True)
class Submission:
    """What came of an order.

    Args:
        run: the run that was started, or the one that was found.
        started: whether it was started just now.
        version: name of the pipeline's version.
        uploaded: whether the version was put there just now.
        url: page of the run.
        earlier: state of an earlier run of the same order; empty if there was none.
    """

    run: Run
    started: bool
    version: str
    uploaded: bool
    url: str
    earlier: str

    def as_dict(self) -> dict[str, Any]:
        """The submission as JSON."""
        told = {"started": self.started, "version": self.version, "uploaded": self.uploaded}
        return self.run.as_dict() | told | {"url": self.url, "earlier": self.earlier or None}


@dataclass(frozen=True)
class Recurring:
    """What came of an order that is to run again and again.

    Args:
        recurring_run_id: its identifier.
        name: its name.
        started: whether it was made just now.
        version: name of the pipeline's version.
        url: its page.
    """

    recurring_run_id: str
    name: str
    started: bool
    version: str
    url: str


def schedule(server: KfpServer, order: Order, every: str) -> Recurring:
    """Have an order run again and again; the same one is there once.

    Args:
        server: the server.
        order: what is to run.
        every: see `trigger_of`.

    Raises:
        PreflightError: `every` or a parameter cannot be read.
    """
    trigger, parameters = trigger_of(every), order.parameters
    name = f"{order.run_name}-{digest_value([order.token, trigger])[:VERSION_CHARACTERS]}"
    version = server.version(order.pipeline_name, order.version_name, order.pipeline.read_bytes())
    recurring, made = server.schedule(
        version,
        name,
        parameters,
        trigger=trigger,
        experiment_id=server.experiment(order.experiment),
        service_account=order.service_account,
    )
    return Recurring(recurring, name, made, version.name, server.recurring_url(recurring))


def submit(server: KfpServer, order: Order, *, again: bool = False) -> Submission:
    """Start a run, unless the same order is running or has succeeded already.

    A run that failed or was cancelled is no hindrance: the next one finds its finished work. Two submits in
    the very same second can both start, since KFP has no name that only one run may have.

    Args:
        server: the server.
        order: what is to run.
        again: start another one whatever is there.

    Raises:
        PreflightError: a parameter is not of the pipeline's type.
    """
    parameters = order.parameters
    name = f"{order.run_name}-{order.token}"
    earlier = list(server.runs(name=order.token))
    alive = next((run for run in earlier if run.state not in ("FAILED", "CANCELED", "CANCELING")), None)
    if alive and not again:
        url = server.run_url(alive.run_id)
        return Submission(alive, False, order.version_name, False, url, alive.state)
    version = server.version(order.pipeline_name, order.version_name, order.pipeline.read_bytes())
    run = server.start(
        version,
        f"{name}-{len(earlier) + 1}" if earlier else name,
        parameters,
        experiment_id=server.experiment(order.experiment),
        service_account=order.service_account,
    )
    state = earlier[0].state if earlier else ""
    return Submission(run, True, version.name, version.uploaded, server.run_url(run.run_id), state)
