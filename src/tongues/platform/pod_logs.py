"""The pods of a TrainJob: which stand, in what state they are, and what the first of them prints."""

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tongues.core.progress import Say
from tongues.platform.kubernetes_api import ApiRefusedError, KubernetesApi

NODE = "node"
"""Trainer's name for the training's replicated job and for its container."""
_JOBSET_LABEL = "jobset.sigs.k8s.io/jobset-name"
_INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d) (.*)\n")
_LAST_LINES = 20
_TAIL_CHARACTERS = 1500

Pod = Mapping[str, Any]


class PodLogs:
    """Passes on what node 0 prints, each line once, across restarts of the pod and of the connection.

    Args:
        api: requests to the cluster.
        path: of the namespace's pods.
        job: name of the TrainJob, which is that of its JobSet.
        say: takes the lines.
    """

    def __init__(self, api: KubernetesApi, path: str, job: str, say: Say) -> None:
        self._api, self._path, self._job, self._say = api, path, job, say
        self._upto: dict[str, tuple[str, int]] = {}
        self.seen: deque[str] = deque(maxlen=_LAST_LINES)

    def pods(self) -> list[dict[str, Any]]:
        """The job's pods, node by node; of one that was started again, the earlier ones first."""
        found = self._api.get(self._path, labelSelector=f"{_JOBSET_LABEL}={self._job}") or {}
        return sorted(found.get("items", []), key=lambda pod: (number_of(pod), _created(pod)))

    def pass_on(self, pods: Sequence[Pod]) -> None:
        """Say what the pods of node 0 have printed since the last time."""
        for pod in pods:
            if number_of(pod) == 0 and _has_begun(pod):
                for line in self._new_lines(str(pod["metadata"]["name"])):
                    self.seen.append(line)
                    self._say(line)

    def last_lines(self, pod: Pod) -> list[str]:
        """The end of a pod's log."""
        path = f"{self._path}/{pod['metadata']['name']}/log"
        return self._read(path, tailLines=str(_LAST_LINES)).splitlines()

    def _read(self, path: str, **asked: str) -> str:
        """A log, or what there is of it: a container that is about to start has none to be read."""
        try:
            return self._api.text(path, container=NODE, **asked) or ""
        except ApiRefusedError as error:
            if error.status == 400:
                return ""
            raise

    def _new_lines(self, name: str) -> Iterator[str]:
        """The server counts from whole seconds, so the lines of the last one come again and are left out."""
        since, seen = self._upto.get(name, ("", 0))
        asked = {"sinceTime": since} if since else {}
        text = self._read(f"{self._path}/{name}/log", timestamps="true", **asked)
        for second, line in _stamped(text):
            if second == since and seen:
                seen -= 1
                continue
            last, count = self._upto.get(name, ("", 0))
            self._upto[name] = (second, count + 1 if second == last else 1)
            yield line


def number_of(pod: Pod) -> int:
    """Number of the pod's node, from 0."""
    return int(pod["metadata"].get("labels", {}).get(_INDEX_LABEL, 0))


def state_of(pod: Pod) -> str:
    """What a pod does, in one word or two."""
    phase = str(pod.get("status", {}).get("phase", "Pending")).lower()
    if phase == "failed":
        return f"failed ({_why(pod)})"
    waiting = _container_state(pod).get("waiting", {}).get("reason") or _unschedulable(pod)
    return f"{phase} ({waiting})" if phase == "pending" and waiting else phase


def exit_code_of(pod: Pod) -> int | None:
    """What its process ended with; None where that is not known."""
    code = _container_state(pod).get("terminated", {}).get("exitCode")
    return None if code is None else int(code)


def tail_of(lines: Sequence[str] | deque[str]) -> str:
    """The last lines as one."""
    return " | ".join(line for line in lines if line.strip())[-_TAIL_CHARACTERS:] or "no lines"


def _why(pod: Pod) -> str:
    """Evicted, OOMKilled, or the exit code."""
    ended = _container_state(pod).get("terminated", {})
    reason = pod["status"].get("reason") or ended.get("reason") or "Error"
    code = exit_code_of(pod)
    return f"{reason}, exit code {code}" if code is not None else str(reason)


def _unschedulable(pod: Pod) -> str:
    conditions = pod.get("status", {}).get("conditions") or []
    return next((str(one.get("reason")) for one in conditions if one.get("reason") == "Unschedulable"), "")


def _container_state(pod: Pod) -> dict[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return next((dict(one.get("state") or {}) for one in statuses if one["name"] == NODE), {})


def _has_begun(pod: Pod) -> bool:
    return not _container_state(pod).get("waiting") and pod.get("status", {}).get("phase") != "Pending"


def _created(pod: Pod) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _stamped(text: str) -> Iterator[tuple[str, str]]:
    """Second and line of a log with timestamps; half a line at the end waits for its rest."""
    for found in _LINE.finditer(text):
        second, zone, line = found.groups()
        yield f"{second}{zone}", line
