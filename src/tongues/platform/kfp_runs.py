"""A run as Kubeflow Pipelines reports it, and the steps in it.

KFP lists the nodes of the Argo workflow behind a run, not the steps that a reader knows: each step is a
node of its name, one "NAME-driver" before it and an "executor" in it, with an "executor(0)", "executor(1)"
and so on for each try where the step has retries. Loops add nodes of their own. Nodes that have not begun
are not listed, and a time that is not known yet is sent as the year 1970 or 1.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

Node = Mapping[str, Any]

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
_DONE = frozenset({"SUCCEEDED", "SKIPPED", "CACHED"})
_WORST_FIRST = ("FAILED", "CANCELED", "CANCELING", "RUNNING", "PAUSED", "PENDING")
_DRIVER = "-driver"
_EXECUTOR = re.compile(r"executor(\(\d+\))?$")
_LOOP = re.compile(r"(for-loop|iteration-item|iteration-iterations|condition|exit-handler)-")


@dataclass(frozen=True)
class Step:
    """One step of a run; a step of a loop counts once, with a task for each turn.

    Args:
        name: as in the pipeline.
        state: the worst of its tasks: FAILED before RUNNING before SUCCEEDED.
        tasks: how many there are so far.
        done: how many of them are finished well.
        retries: further tries after a failure, over all tasks.
        started: when the first task began; None if none has.
        finished: when the last one ended; None while one is not.
        pods: names of its pods, as far as the server tells.
        message: why it failed, as far as the server tells.
    """

    name: str
    state: str
    tasks: int = 1
    done: int = 0
    retries: int = 0
    started: datetime | None = None
    finished: datetime | None = None
    pods: tuple[str, ...] = ()
    message: str = ""

    def seconds(self, now: datetime) -> float:
        """How long it took, or has taken until now."""
        return ((self.finished or now) - self.started).total_seconds() if self.started else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The step as JSON."""
        times = {"started": _text(self.started), "finished": _text(self.finished)}
        return asdict(self) | times | {"pods": list(self.pods)}


@dataclass(frozen=True)
class Run:
    """One run.

    Args:
        run_id: the server's identifier.
        name: display name.
        state: PENDING, RUNNING, SUCCEEDED, SKIPPED, FAILED, CANCELING, CANCELED or PAUSED.
        created: when it was asked for.
        finished: when it ended; None while it has not.
        experiment_id: the experiment it is in.
        message: why it failed, as far as the server tells.
        steps: what has begun, in order of beginning.
    """

    run_id: str
    name: str
    state: str
    created: datetime | None = None
    finished: datetime | None = None
    experiment_id: str = ""
    message: str = ""
    steps: tuple[Step, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in TERMINAL

    @property
    def failed_step(self) -> Step | None:
        """The step that failed first; what stands around it, such as a loop, fails after it."""
        failed = [step for step in self.steps if step.state == "FAILED"]
        return min(failed, key=lambda step: step.finished or datetime.max.replace(tzinfo=UTC), default=None)

    def seconds(self, now: datetime) -> float:
        """How long it took, or has taken until now."""
        return ((self.finished or now) - self.created).total_seconds() if self.created else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON, without its steps."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "state": self.state,
            "created": _text(self.created),
            "finished": _text(self.finished),
        }


def parse_run(answer: Mapping[str, Any]) -> Run:
    """A run out of the server's JSON; what is missing stays empty."""
    state = str(answer.get("state") or "PENDING")
    nodes = (answer.get("run_details") or {}).get("task_details") or []
    return Run(
        run_id=str(answer.get("run_id", "")),
        name=str(answer.get("display_name", "")),
        state=state,
        created=_time(answer.get("created_at")),
        finished=_time(answer.get("finished_at")) if state in TERMINAL else None,
        experiment_id=str(answer.get("experiment_id", "")),
        message=_error(answer),
        steps=parse_steps(nodes),
    )


def parse_steps(nodes: Sequence[Node]) -> tuple[Step, ...]:
    """The steps among a workflow's nodes, in order of beginning."""
    by_key = {_key(str(node["pod_name"])): node for node in nodes if node.get("pod_name")}
    tasks: dict[str, list[Node]] = defaultdict(list)
    for node in _named(nodes):
        tasks[str(node.get("display_name"))].append(node)
    steps = [_step(name, found, by_key) for name, found in tasks.items()]
    steps += [_failed_driver(node) for node in nodes if _is_failed_driver(node, tasks)]
    last = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(steps, key=lambda step: (step.started or last, step.name)))


def _named(nodes: Sequence[Node]) -> Iterator[Node]:
    """Leave out what KFP adds: the workflow, its root, drivers, executors and loops."""
    workflows = {str(node.get("pod_name", "")).rsplit("-", 1)[0] for node in nodes} - {""}
    parents = _parents_of_root(nodes)
    for node in nodes:
        name = str(node.get("display_name", ""))
        added = name == "root" or name.endswith(_DRIVER) or _EXECUTOR.match(name) or _LOOP.match(name)
        if name and not added and name not in workflows | parents and node.get("state"):
            yield node


def _parents_of_root(nodes: Sequence[Node]) -> set[str]:
    """The workflow's own node has its children named after it."""
    found = set()
    for node in nodes:
        name = str(node.get("display_name", ""))
        children = [str(child.get("pod_name", "")) for child in node.get("child_tasks") or []]
        if children and all(child.rsplit("-", 1)[0] == name for child in children):
            found.add(name)
    return found


def _step(name: str, tasks: Sequence[Node], by_key: Mapping[str, Node]) -> Step:
    states = [str(task["state"]) for task in tasks]
    tries = [_executors(task, by_key) for task in tasks]
    ends = [_time(task.get("end_time")) for task in tasks]
    begins = [begun for task in tasks if (begun := _time(task.get("start_time")))]
    over = all(state in TERMINAL | _DONE for state in states)
    return Step(
        name=name,
        state=next((state for state in _WORST_FIRST if state in states), states[0]),
        tasks=len(tasks),
        done=sum(state in _DONE for state in states),
        retries=sum(_retries(task, found) for task, found in zip(tasks, tries, strict=True)),
        started=min(begins, default=None),
        finished=max((end for end in ends if end), default=None) if over else None,
        pods=tuple(str(node["pod_name"]) for found in tries for node in _leaves(found)),
        message=next(filter(None, (_error(node) for node in [*tasks, *(n for t in tries for n in t)])), ""),
    )


def _is_failed_driver(node: Node, tasks: Mapping[str, Any]) -> bool:
    name = str(node.get("display_name", ""))
    return name.endswith(_DRIVER) and node.get("state") == "FAILED" and name[: -len(_DRIVER)] not in tasks


def _failed_driver(node: Node) -> Step:
    """A step whose inputs could not even be resolved; only its driver is there."""
    pods = (str(node["pod_name"]),) if node.get("pod_name") else ()
    begun, ended = _time(node.get("start_time")), _time(node.get("end_time"))
    name = str(node["display_name"])[: -len(_DRIVER)]
    message = _error(node) or "its driver failed before the step began"
    return Step(name, "FAILED", started=begun, finished=ended, pods=pods, message=message)


def _executors(task: Node, by_key: Mapping[str, Node]) -> list[Node]:
    """The executor nodes below a task; what comes after them in the workflow is left out."""
    found: list[Node] = []
    for child in task.get("child_tasks") or []:
        node = by_key.get(_key(str(child.get("pod_name", ""))))
        if node is not None and _EXECUTOR.match(str(node.get("display_name", ""))):
            found += [node, *_executors(node, by_key)]
    return found


def _leaves(executors: Sequence[Node]) -> list[Node]:
    """The pods among the executors: with retries, "executor" is no pod, its tries are."""
    tries = [node for node in executors if "(" in str(node["display_name"])]
    return tries or [node for node in executors if node.get("state") != "SKIPPED"][-1:]


def _retries(task: Node, executors: Sequence[Node]) -> int:
    listed = (task.get("executor_detail") or {}).get("failed_main_jobs") or []
    tries = sum("(" in str(node["display_name"]) for node in executors)
    return max(len(listed), tries - 1, 0)


def _key(pod: str) -> str:
    """What a node's two names, that of its pod and that of the workflow's node, have in common."""
    return pod.rsplit("-", 1)[-1]


def _error(answer: Mapping[str, Any]) -> str:
    history = [state.get("error") for state in answer.get("state_history") or []]
    told = [error.get("message") for error in [answer.get("error"), *reversed(history)] if error]
    return next((str(message).split("\n", 1)[0] for message in told if message), "")


def _time(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.year > 1970 else None


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
