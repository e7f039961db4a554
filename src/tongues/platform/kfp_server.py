"""What tongues asks of a Kubeflow Pipelines server, standalone or multi-user.

Whatever makes something looks first whether it is there, and looks again after a refusal or a broken
connection, so that two submits at a time leave one pipeline, one version and one experiment.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tongues.core.errors import PipelineServerError
from tongues.platform.kfp_access import KfpAccess
from tongues.platform.kfp_connection import (
    KfpConnection,
    NotFoundError,
    RefusedError,
    ServerAwayError,
)
from tongues.platform.kfp_runs import Run, parse_run

API = "/apis/v2beta1"
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_EQUALS, _IS_SUBSTRING = "EQUALS", "IS_SUBSTRING"
_PAGE_ROWS = 100
_INSTALLED_IN = "kubeflow"


@dataclass(frozen=True)
class Version:
    """A version of a pipeline on the server.

    Args:
        pipeline_id: of the pipeline.
        version_id: of the version.
        name: of the version.
        uploaded: whether it was put there just now.
    """

    pipeline_id: str
    version_id: str
    name: str
    uploaded: bool


class KfpServer:
    """One server; the constructor asks it what it is.

    Args:
        access: where it is and who asks.
        ui: address of its pages; the same as the API's when empty.
        connection: how it is reached.

    Raises:
        PipelineServerError: it does not answer, refuses, is too old, or needs a namespace.
    """

    def __init__(self, access: KfpAccess, *, ui: str = "", connection: KfpConnection | None = None) -> None:
        self._connection = connection or KfpConnection(access)
        self._ui = (ui or access.host).rstrip("/")
        self.host = access.host
        self.multi_user = self._multi_user()
        self.namespace = _namespace(access) if self.multi_user else ""
        self.pods_namespace = self.namespace or access.namespace or _INSTALLED_IN

    def run_url(self, run_id: str) -> str:
        """Page of a run."""
        return f"{self._ui}/#/runs/details/{run_id}"

    def version(self, pipeline: str, name: str, compiled: bytes) -> Version:
        """The version of that name, uploaded where it is not there yet.

        Args:
            pipeline: name of the pipeline.
            name: name of the version, which changes with the content.
            compiled: the pipeline's YAML.
        """
        pipeline_id = self._pipeline(pipeline)
        if found := self._find_version(pipeline_id, name):
            return Version(pipeline_id, found, name, uploaded=False)
        query = {"name": name, "display_name": name, "pipelineid": pipeline_id}

        def upload() -> str:
            path = f"{API}/pipelines/upload_version"
            answer = self._connection.upload(path, f"{name}.yaml", compiled, **query)
            return _identifier(answer, "pipeline_version_id", self.host)

        made = _made(upload, lambda: self._find_version(pipeline_id, name))
        return Version(pipeline_id, made, name, uploaded=True)

    def experiment(self, name: str) -> str:
        """Identifier of the experiment of that name, made where it is not there yet."""
        body = (
            {"display_name": name, "namespace": self.namespace} if self.namespace else {"display_name": name}
        )

        def make() -> str:
            answer = self._connection.post(f"{API}/experiments", body)
            return _identifier(answer, "experiment_id", self.host)

        return self.find_experiment(name) or _made(make, lambda: self.find_experiment(name))

    def find_experiment(self, name: str) -> str:
        """Identifier of the experiment of that name; empty where there is none."""
        query = {"namespace": self.namespace, "filter": _filter("display_name", _EQUALS, name)}
        found = self._connection.get(f"{API}/experiments", **query).get("experiments") or [{}]
        return str(found[0].get("experiment_id", ""))

    def start(
        self,
        version: Version,
        name: str,
        parameters: Mapping[str, Any],
        *,
        experiment_id: str,
        service_account: str = "",
    ) -> Run:
        """Start a run; caching is as the pipeline has it.

        After a broken connection the run is looked for by its name before the error is passed on.
        """
        reference = {"pipeline_id": version.pipeline_id, "pipeline_version_id": version.version_id}
        body: dict[str, Any] = {
            "display_name": name,
            "experiment_id": experiment_id,
            "pipeline_version_reference": reference,
            "runtime_config": {"parameters": dict(parameters)},
        }
        if service_account:
            body["service_account"] = service_account
        try:
            return parse_run(self._connection.post(f"{API}/runs", body))
        except ServerAwayError:
            if started := next((run for run in self.runs(name=name) if run.name == name), None):
                return started
            raise

    def schedule(
        self,
        version: Version,
        name: str,
        parameters: Mapping[str, Any],
        *,
        trigger: Mapping[str, Any],
        experiment_id: str,
        service_account: str = "",
    ) -> tuple[str, bool]:
        """Have a pipeline run again and again, one run at a time, without making up for missed ones.

        Args:
            version: of the pipeline.
            name: of the recurring run; one of this name that is there already is left as it is.
            parameters: of each run.
            trigger: as the API takes it, ``cron_schedule`` or ``periodic_schedule``.
            experiment_id: the runs are listed under.
            service_account: whose rights the pods have; the server's default when empty.

        Returns:
            Identifier, and whether it was made just now.
        """
        reference = {"pipeline_id": version.pipeline_id, "pipeline_version_id": version.version_id}
        body: dict[str, Any] = {
            "display_name": name,
            "experiment_id": experiment_id,
            "pipeline_version_reference": reference,
            "runtime_config": {"parameters": dict(parameters)},
            "trigger": dict(trigger),
            "mode": "ENABLE",
            "max_concurrency": "1",
            "no_catchup": True,
        }
        body |= {"namespace": self.namespace} if self.namespace else {}
        body |= {"service_account": service_account} if service_account else {}

        def make() -> str:
            answer = self._connection.post(f"{API}/recurringruns", body)
            return _identifier(answer, "recurring_run_id", self.host)

        if found := self._find_recurring(name, experiment_id):
            return found, False
        return _made(make, lambda: self._find_recurring(name, experiment_id)), True

    def recurring_url(self, recurring_id: str) -> str:
        """Page of a recurring run, where it is paused and deleted."""
        return f"{self._ui}/#/recurringrun/details/{recurring_id}"

    def _find_recurring(self, name: str, experiment_id: str) -> str:
        query = {"experiment_id": experiment_id, "filter": _filter("display_name", _EQUALS, name)}
        answer = self._connection.get(f"{API}/recurringruns", **query)
        found = answer.get("recurringRuns") or answer.get("recurring_runs") or [{}]
        return str(found[0].get("recurring_run_id", ""))

    def run(self, run_id: str) -> Run:
        """One run with its steps.

        Raises:
            NotFoundError: there is none.
        """
        try:
            return parse_run(self._connection.get(f"{API}/runs/{_segment(run_id)}"))
        except NotFoundError as error:
            fix = "`tongues runs` lists what there is; a namespace has runs of its own"
            raise NotFoundError(f"no run {run_id}", where=self.host, fix=error.fix or fix) from error

    def runs(self, *, name: str = "", experiment_id: str = "") -> Iterator[Run]:
        """Runs, the newest first, page by page.

        Args:
            name: part of the name; any when empty.
            experiment_id: any when empty.
        """
        query = {
            "page_size": _PAGE_ROWS,
            "sort_by": "created_at desc",
            "filter": _filter("display_name", _IS_SUBSTRING, name) if name else "",
            "experiment_id": experiment_id,
            "namespace": "" if experiment_id else self.namespace,
        }
        token = ""
        while True:
            answer = self._connection.get(f"{API}/runs", page_token=token, **query)
            yield from map(parse_run, answer.get("runs") or [])
            token = str(answer.get("next_page_token") or "")
            if not token:
                return

    def find(self, named: str) -> Run:
        """A run by its identifier or its name; of several with that name, the newest.

        Raises:
            NotFoundError: there is none.
        """
        if named.count("-") == 4 and len(named) == 36:
            return self.run(named)
        if found := next((run for run in self.runs(name=named) if run.name == named), None):
            return self.run(found.run_id)
        return self.run(named)

    def terminate(self, run_id: str) -> None:
        """Ask for the end of a run; its pods get time to finish."""
        self._connection.post(f"{API}/runs/{_segment(run_id)}:terminate")

    def log(self, run_id: str, pod: str) -> Iterator[str]:
        """The lines of a pod's log: from the API, else from the pages' server, which can read it too.

        Raises:
            PipelineServerError: neither has it, most likely because the pod is gone.
        """
        told = False
        try:
            for line in self._connection.lines(
                f"/apis/v1alpha1/runs/{_segment(run_id)}/nodes/{_segment(pod)}/log"
            ):
                told = True
                yield line
        except PipelineServerError:
            if told:
                raise
            query = {"runid": run_id, "podname": pod, "podnamespace": self.pods_namespace}
            yield from self._connection.lines("/k8s/pod/logs", **query)

    def kubectl(self, run_id: str, pod: str = "") -> str:
        """The command that shows a pod's log, or lists the run's pods, without this server."""
        if pod:
            return f"kubectl logs -n {self.pods_namespace} {pod} -c main"
        return f"kubectl get pods -n {self.pods_namespace} -l pipeline/runid={run_id}"

    def _multi_user(self) -> bool:
        try:
            return bool(self._connection.get(f"{API}/healthz").get("multi_user"))
        except NotFoundError as error:
            raise self._too_old() or error from None

    def _too_old(self) -> PipelineServerError | None:
        """A server of KFP 1 answers at the old address only."""
        try:
            tag = self._connection.get("/apis/v1beta1/healthz").get("tag_name", "1")
        except PipelineServerError:
            return None
        what = f"this is Kubeflow Pipelines {tag}, which cannot run these pipelines"
        return RefusedError(what, where=self.host, fix="upgrade the server to 2.15 or later")

    def _pipeline(self, name: str) -> str:
        body = {"name": name, "display_name": name}
        body |= {"namespace": self.namespace} if self.namespace else {}

        def make() -> str:
            return _identifier(self._connection.post(f"{API}/pipelines", body), "pipeline_id", self.host)

        return self._find_pipeline(name) or _made(make, lambda: self._find_pipeline(name))

    def _find_pipeline(self, name: str) -> str:
        try:
            answer = self._connection.get(f"{API}/pipelines/names/{_segment(name)}", namespace=self.namespace)
        except NotFoundError:
            return ""
        return str(answer.get("pipeline_id", ""))

    def _find_version(self, pipeline_id: str, name: str) -> str:
        query = {"page_size": _PAGE_ROWS, "filter": _filter("display_name", _EQUALS, name)}
        answer = self._connection.get(f"{API}/pipelines/{pipeline_id}/versions", **query)
        found = answer.get("pipeline_versions") or [{}]
        return str(found[0].get("pipeline_version_id", ""))


def first(runs: Iterator[Run], limit: int, state: str = "") -> list[Run]:
    """The first runs in a state, or in any."""
    return list(islice((run for run in runs if state in ("", run.state)), limit))


def _made(make: Callable[[], str], find: Callable[[], str]) -> str:
    """Make something; where that fails because somebody else was quicker, or the answer got lost, find it."""
    try:
        return make()
    except (ServerAwayError, RefusedError):
        if found := find():
            return found
        raise


def _identifier(answer: Mapping[str, Any], key: str, host: str) -> str:
    if not answer.get(key):
        raise ServerAwayError(f"the answer has no {key}", where=host, fix="check that --host is the KFP API")
    return str(answer[key])


def _segment(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _filter(key: str, operation: str, value: str) -> str:
    """A filter as the server reads it: JSON that is escaped once more inside the query."""
    predicate = {"operation": operation, "key": key, "string_value": value}
    return quote(json.dumps({"predicates": [predicate]}))


def _namespace(access: KfpAccess) -> str:
    if access.namespace:
        return access.namespace
    if POD_NAMESPACE.is_file():
        return POD_NAMESPACE.read_text(encoding="utf-8").strip()
    fix = "give --namespace, the one of your profile: kubectl get profiles"
    raise PipelineServerError(
        "this server is multi-user and no namespace is named", where=access.host, fix=fix
    )
