"""TrainJobs on a cluster: asked for once, followed to the end, gone when the run is cancelled.

A job is asked about again and again rather than watched: a watch ends by itself, needs a right of its own,
and tells nothing that the next question does not. Waiting has no end, since a queue may hold a job for days.
"""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tongues.core.cluster_names import RUN_LABEL
from tongues.core.errors import KubernetesError, TrainingInterruptedError, TuningError
from tongues.core.progress import Say
from tongues.platform.kubernetes_api import KubernetesApi
from tongues.platform.pod_logs import PodLogs, exit_code_of, number_of, state_of, tail_of

API_VERSION, KIND = "trainer.kubeflow.org/v1alpha1", "TrainJob"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"

_STILL_S = 600.0
_DELETION_LOOKS = 120
_PRESERVED = "what was saved is kept; run the same again and it goes on from there"


class CancelledError(TrainingInterruptedError):
    """The step that follows the job was asked to end."""


class TrainJobs:
    """The TrainJobs of a namespace.

    Args:
        api: requests to the cluster.
        namespace: where they stand.
        say: takes what happens, and the lines of the first node.
        every_s: seconds between two looks at a job.
        wait: what waits.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        api: KubernetesApi,
        namespace: str,
        say: Say,
        *,
        every_s: float = 5.0,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api, self._namespace, self._say = api, namespace, say
        self._every_s, self._wait, self._clock = every_s, wait, clock
        self._jobs = f"/apis/{API_VERSION}/namespaces/{namespace}/trainjobs"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    def run(self, job: Mapping[str, Any]) -> None:
        """See a job to its good end: the one that is there, or else a new one.

        Args:
            job: the object; its name stands for its work.

        Raises:
            TuningError: it failed; with the last lines of the pods that did.
            TrainingInterruptedError: it was deleted, evicted, or this process was asked to end.
            KubernetesError: the cluster refused, or was away for too long; the job goes on.
        """
        name = str(job["metadata"]["name"])
        with self._gone_when_cancelled(name):
            self._ask_for(job, name)
            self._follow(name)

    def delete(self, name: str) -> bool:
        """Delete a job and its pods; whether there was one."""
        return self._api.delete(f"{self._jobs}/{name}")

    def delete_of_run(self, run_id: str) -> list[str]:
        """Delete the jobs of a pipeline run that have not ended, and with them their pods.

        Those that have ended hold no node, and stay to be looked at.

        Args:
            run_id: of Kubeflow Pipelines; jobs bear it as a label.

        Returns:
            Names of those deleted.

        Raises:
            KubernetesError: the cluster refused, or is away.
        """
        found = self._api.get(self._jobs, labelSelector=f"{RUN_LABEL}={run_id}") or {}
        names = [str(job["metadata"]["name"]) for job in found.get("items", []) if not _ended(job)]
        for name in names:
            self.delete(name)
            self._say(f"TrainJob {name} of run {run_id} deleted; {_PRESERVED}")
        return names

    def _ask_for(self, job: Mapping[str, Any], name: str) -> None:
        """Take up the job of that name; one that has ended makes room for a new one."""
        found = self._api.get(f"{self._jobs}/{name}")
        if found is not None and (_ended(found) or found["metadata"].get("deletionTimestamp")):
            self._say(f"finetune: TrainJob {name} of an earlier try is {_state(found)}; making a new one")
            self.delete(name)
            self._wait_until_gone(name)
            found = None
        if found is None and self._api.create(self._jobs, job):
            self._say(f"finetune: TrainJob {name} created in {self._namespace}")
        else:
            self._say(f"finetune: TrainJob {name} is there already; following it")

    def _wait_until_gone(self, name: str) -> None:
        for _ in range(_DELETION_LOOKS):
            if self._api.get(f"{self._jobs}/{name}") is None:
                return
            self._wait(self._every_s)
        fix = f"look at its finalizers: kubectl get trainjob -n {self._namespace} {name} -o yaml"
        raise KubernetesError("the TrainJob of an earlier try does not go away", where=name, fix=fix)

    @contextmanager
    def _gone_when_cancelled(self, name: str) -> Iterator[None]:
        """KFP ends a cancelled run's pods with SIGTERM, and knows nothing of what they started."""

        def cancel(_number: int, _frame: FrameType | None) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise CancelledError("stopped by SIGTERM; the TrainJob is deleted", where=name, fix=_PRESERVED)

        before = signal.signal(signal.SIGTERM, cancel)
        try:
            yield
        except (CancelledError, KeyboardInterrupt):
            self.delete(name)
            self._say(f"finetune: TrainJob {name} deleted, because this run was asked to end")
            raise
        finally:
            signal.signal(signal.SIGTERM, before)

    def _follow(self, name: str) -> None:
        told = _Told(self._say, self._clock)
        logs = PodLogs(self._api, self._pods, name, self._say)
        while True:
            job = self._api.get(f"{self._jobs}/{name}")
            if job is None:
                raise TrainingInterruptedError("the TrainJob was deleted", where=name, fix=_PRESERVED)
            pods = logs.pods()
            told.look(job, pods)
            logs.pass_on(pods)
            if _holds(job, "Complete"):
                return
            if failed := _holds(job, "Failed"):
                raise _failure(name, failed, pods, logs)
            self._wait(self._every_s)


class _Told:
    """Says what a job does when that changes, and now and then that it still does."""

    def __init__(self, say: Say, clock: Callable[[], float]) -> None:
        self._say, self._clock = say, clock
        self._last, self._since, self._said_at = "", clock(), clock()

    def look(self, job: Mapping[str, Any], pods: list[dict[str, Any]]) -> None:
        """Take a job as it stands now."""
        now, line = self._clock(), _line(job, pods)
        if line != self._last:
            self._last, self._since = line, now
            self._tell(line, now)
        elif now - self._said_at >= _STILL_S:
            minutes = round((now - self._since) / 60)
            self._tell(f"{line}, for {minutes // 60} h {minutes % 60:02} min now", now)

    def _tell(self, line: str, now: float) -> None:
        self._said_at = now
        self._say(f"finetune: {line}")


def _line(job: Mapping[str, Any], pods: list[dict[str, Any]]) -> str:
    state = _state(job)
    if state == "queued":
        queue = job["metadata"].get("labels", {}).get(QUEUE_LABEL, "")
        return f"TrainJob waits in queue {queue}" if queue else "TrainJob is suspended"
    states = [f"node {number_of(pod)} {state_of(pod)}" for pod in pods]
    return f"TrainJob {state}: {', '.join(states) or 'no pods yet'}"


def _state(job: Mapping[str, Any]) -> str:
    if job["metadata"].get("deletionTimestamp"):
        return "being deleted"
    for type_, word in (("Complete", "complete"), ("Failed", "failed")):
        if _holds(job, type_):
            return word
    return "queued" if job["spec"].get("suspend") else "started"


def _ended(job: Mapping[str, Any]) -> bool:
    return bool(_holds(job, "Complete") or _holds(job, "Failed"))


def _holds(job: Mapping[str, Any], type_: str) -> dict[str, Any] | None:
    """A condition of the job that holds now."""
    conditions = (job.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == type_ and one["status"] == "True"), None)


def _failure(
    name: str, condition: Mapping[str, Any], pods: list[dict[str, Any]], logs: PodLogs
) -> TuningError:
    """What went wrong: the job's own words, and the last lines of each pod that failed."""
    told = f"TrainJob {condition.get('reason', 'failed')}: {condition.get('message', '')}".rstrip(": ")
    failed = [pod for pod in pods if state_of(pod).startswith("failed")]
    lines = [f"node {number_of(pod)} {state_of(pod)}: {tail_of(logs.last_lines(pod))}" for pod in failed]
    what = "; ".join([told, *(lines or [f"no pod is left; the last lines were: {tail_of(logs.seen)}"])])
    if condition.get("reason") == "DeadlineExceeded":
        fix = f"raise node_pools.finetune.timeout_s; {_PRESERVED}"
    else:
        fix = f"mend what the last lines say; {_PRESERVED}"
    interrupted = any(exit_code_of(pod) == TrainingInterruptedError.exit_code for pod in failed)
    kind = TrainingInterruptedError if interrupted else TuningError
    return kind(what, where=name, fix=fix)
