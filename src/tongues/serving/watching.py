"""Live checks: a revision that clients just got is asked through the door, and its failures are counted."""

import time
from dataclasses import dataclass

from tongues.core.ports import Identify
from tongues.serving.checks import Limits, Watch
from tongues.serving.door_metrics import DoorState
from tongues.serving.door_process import DoorAt
from tongues.serving.jobs import Jobs
from tongues.serving.memory import Serving
from tongues.serving.reconcile import Verdict
from tongues.serving.revision import Recorded


@dataclass(slots=True)
class _Watched:
    """One revision under live checks, and what the door had counted of it before."""

    watch: Watch
    answered_before: int
    failed_before: int
    last_round: float = float("-inf")


class Watching:
    """All revisions under live checks.

    Args:
        door: what clients come through.
        limits: what a revision must keep to.
        identify: guesses the language of an answer.
        key: API key of the door; empty where it asks for none.
    """

    def __init__(self, door: DoorAt, limits: Limits, identify: Identify, key: str) -> None:
        self._door, self._limits, self._identify, self._key = door, limits, identify, key
        self._all = dict[str, _Watched]()

    def step(
        self, serving: Serving, recorded: tuple[Recorded, ...], door: DoorState | None, jobs: Jobs
    ) -> None:
        """Ask another round, if it is time."""
        name, model = serving.revision.served_as, serving.revision.model
        if door is None:
            return
        one = self._all.get(name)
        if one is None:
            watch = Watch(recorded, self._limits, self._identify)
            one = _Watched(watch, door.answered.get(name, 0), door.failed.get(name, 0))
            self._all[name] = one
        if time.monotonic() - one.last_round >= self._limits.every_s:
            one.last_round = time.monotonic()
            jobs.start(("watch", name), lambda: one.watch.round(self._door.url, model, self._key))

    def verdict(self, serving: Serving, door: DoorState | None) -> Verdict | None:
        """What came of it so far; None while it goes on."""
        if self.complaint(serving, door):
            return "bad"
        one = self._all.get(serving.revision.served_as)
        over = time.time() - serving.since >= self._limits.watch_s
        return "good" if over and one is not None and one.watch.rounds else None

    def complaint(self, serving: Serving, door: DoorState | None) -> str:
        """Why the revision must not go on serving; empty while there is no reason."""
        name = serving.revision.served_as
        one = self._all.get(name)
        if one is None or door is None:
            return ""
        # The door counts the questions of the watch too; those that failed are the watch's own to tell.
        answered = max(0, door.answered.get(name, 0) - one.answered_before - one.watch.asked)
        failed = max(0, door.failed.get(name, 0) - one.failed_before - one.watch.failed)
        return one.watch.complaint(answered=answered, failed=failed)

    def forget(self, name: str) -> None:
        """The revision is no longer under live checks."""
        self._all.pop(name, None)
